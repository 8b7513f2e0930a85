"""A small account of the sandbox's CleverTap, and the client on it."""

import asyncio
from random import Random

from pydantic import SecretStr

from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.clevertap.connection import Connection
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator

PEOPLE = 300


def people() -> list[AccountProfile]:
    """Every fourth is anonymous, every tenth shares its address with the one before."""
    return [
        AccountProfile(
            identity=None if number % 4 == 0 else f"cust-{number}",
            object_ids=(f"-device-{number}", f"-second-{number}"),
            email=f"u{number - (number % 10 == 1)}@example.net",
            properties={"plan": "gold", "number": number},
            phone=4930000000 + number,
        )
        for number in range(PEOPLE)
    ]


def client_of(simulator: CleverTapSimulator, passcode: str | None = None, seed: int = 0) -> CleverTap:
    """Waits as the real one does, but in no time."""
    access = simulator.account.access
    connection = Connection(simulator.base_url, access.project_id, SecretStr(passcode or access.passcode))
    return CleverTap(connection, page_size=46, zone=access.zone, sleep=lambda _: asyncio.sleep(0), random=Random(seed))
