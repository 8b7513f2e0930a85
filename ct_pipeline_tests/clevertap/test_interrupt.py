"""Ctrl-C while an answer is awaited: the process ends at once, the connection is closed, nothing is complained of."""

import asyncio
import signal
import sys

from ct_pipeline_tests.clevertap.scripted_api import PASSCODE, Reply, ScriptedApi

PROGRAM = """
import asyncio, sys
from pydantic import SecretStr
from ct_pipeline.clevertap.client import CleverTap, Connection
from ct_pipeline.clevertap.query import everyone_query

async def main():
    connection = Connection(sys.argv[1], "TEST-ABC-123Z", SecretStr(sys.stdin.readline().strip()))
    async with CleverTap(connection) as client:
        counts = [client.count_profiles(everyone_query()) for _ in range(5)]
        await asyncio.gather(anext(client.profile_pages(everyone_query())), *counts)

asyncio.run(main())
"""


def test_ctrl_c_ends_it_cleanly() -> None:
    async def interrupting() -> tuple[int | None, str]:
        async with ScriptedApi([Reply(after=asyncio.Event())]) as api:
            command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", PROGRAM]
            process = await asyncio.create_subprocess_exec(
                *command, api.connection.address, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            assert process.stdin is not None
            process.stdin.write(f"{PASSCODE}\n".encode())
            await api.until(lambda: api.in_flight == 4)
            process.send_signal(signal.SIGINT)
            _, complaints = await process.communicate()
            await api.until(lambda: api.open_connections == 0)
            return process.returncode, complaints.decode()

    exit_code, complaints = asyncio.run(interrupting())
    assert exit_code == -signal.SIGINT
    assert complaints.splitlines()[-1] == "KeyboardInterrupt"
    assert "never retrieved" not in complaints
    assert "Warning" not in complaints
    assert PASSCODE not in complaints
