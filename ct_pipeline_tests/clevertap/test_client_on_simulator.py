"""The client against the sandbox's CleverTap: events, look-ups, checks, storms, cursors and refusals."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr

from ct_pipeline.clevertap.client import CleverTap, PropertyRecord
from ct_pipeline.clevertap.connection import Connection
from ct_pipeline.clevertap.query import day_query, everyone_query, unsubscribe_events_query
from ct_pipeline.clevertap.records import Event, Identifier, RecordAnswer
from ct_pipeline.errors import (
    CleverTapRefusedError,
    CleverTapUnavailableError,
    CredentialsError,
    CursorExpiredError,
    NotAllowedError,
)
from ct_pipeline.sandbox.clevertap.faults import Faults, Switches
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.vocabulary import IdentifierKind
from ct_pipeline_tests.clevertap.on_simulator import PEOPLE, client_of, people


async def unsubscribe_events(client: CleverTap, *days: date) -> list[Event]:
    query = unsubscribe_events_query(*days)
    return [event async for page in client.event_pages(query) for event in page.records]


def test_events_of_unsubscribing_are_read_with_their_time_and_direction() -> None:
    async def reading() -> list[Event]:
        simulator = CleverTapSimulator(people())
        async with simulator, client_of(simulator) as client:
            simulator.opt_out(identity="cust-5", properties={"Type": "bounced", "Reason": "550 5.1.1 no such user"})
            simulator.opt_in(identity="cust-5")
            today = datetime.now(simulator.account.access.zone).date()
            return await unsubscribe_events(client, today - timedelta(days=1), today)

    out, back = sorted(asyncio.run(reading()), key=lambda event: bool(event.properties["Resubscribed"]))
    assert out.identifier == Identifier(IdentifierKind.IDENTITY, "cust-5")
    assert (out.email, out.properties["Identity"], out.properties["Type"]) == (
        "u5@example.net",
        "u5@example.net",
        "bounced",
    )
    for event in (out, back):
        assert abs(datetime.now(UTC) - event.happened_at) < timedelta(minutes=5), "times are told in the project's zone"


@pytest.mark.parametrize("not_found", ["null", "404", "fail"])
def test_who_is_not_there_is_none(not_found: str) -> None:
    async def looking() -> None:
        simulator = CleverTapSimulator(people(), switches=Switches.model_validate({"not_found": not_found}))
        async with simulator, client_of(simulator) as client:
            assert await client.profile(Identifier(IdentifierKind.IDENTITY, "cust-9999")) is None
            found = await client.profile(Identifier(IdentifierKind.OBJECT_ID, "-second-8"))
            assert found is not None
            assert found.email == "u8@example.net"

    asyncio.run(looking())


@pytest.mark.parametrize(
    ("faults", "error", "words"),
    [
        ({"is_passcode_expired": True}, CredentialsError, "CT_PASSCODE"),
        ({"is_wrong_region": True}, CredentialsError, "CT_REGION"),
        ({"is_forbidden": True}, NotAllowedError, "IP addresses"),
        ({"html_bodies": 1.0}, None, ""),
    ],
)
@pytest.mark.parametrize("unknown_partner", ["accepted", "refused"])
def test_a_check_says_what_to_mend(
    faults: dict[str, object], error: type[Exception] | None, words: str, unknown_partner: str
) -> None:
    async def checking() -> None:
        switches = Switches.model_validate({"unknown_partner": unknown_partner})
        simulator = CleverTapSimulator(people(), faults=Faults.model_validate(faults), switches=switches)
        async with simulator, client_of(simulator) as client:
            if error is None:
                await client.check()
            else:
                with pytest.raises(error, match=words):
                    await client.check()
            assert not any(request.path in ("/1/upload", "/1/subscribe") for request in simulator.requests)

    asyncio.run(checking())


def test_a_wrong_passcode_and_a_wrong_project_are_told() -> None:
    async def checking() -> None:
        simulator = CleverTapSimulator(people())
        async with simulator:
            async with client_of(simulator, passcode="WRONG-ONE") as client:
                with pytest.raises(CredentialsError, match="Invalid Credentials") as caught:
                    await client.check()
                assert "WRONG-ONE" not in str(caught.value)
            stranger = Connection(simulator.base_url, "NOT-THE-1ONE", SecretStr("x"))
            async with CleverTap(stranger) as client:
                with pytest.raises(CredentialsError, match="CT_PROJECT_ID"):
                    await client.check()

    asyncio.run(checking())


def test_a_passcode_that_expires_in_mid_export_stops_it_with_the_mend() -> None:
    async def reading() -> int:
        simulator = CleverTapSimulator(people(), faults=Faults(passcode_expires_after=4))
        count = 0
        async with simulator, client_of(simulator) as client:
            pages = client.profile_pages(everyone_query())
            for _ in range(3):
                count += len((await anext(pages)).records)
            with pytest.raises(CredentialsError, match="expired"):
                await anext(pages)
        return count

    assert 0 < asyncio.run(reading()) < PEOPLE


def test_an_export_resumes_at_a_kept_cursor_in_another_client() -> None:
    async def reading() -> None:
        simulator = CleverTapSimulator(people())
        async with simulator:
            async with client_of(simulator) as client:
                first = await anext(client.profile_pages(everyone_query()))
            async with client_of(simulator) as client:
                rest = [page async for page in client.profile_pages(everyone_query(), first.next_cursor)]
                names = [profile.identifier for page in [first, *rest] for profile in page.records]
                assert len(names) == len(set(names)) == PEOPLE
                simulator.expire_cursors()
                with pytest.raises(CursorExpiredError):
                    await anext(client.profile_pages(everyone_query(), first.next_cursor))

    asyncio.run(reading())


def test_a_storm_of_429_is_weathered_and_we_are_not_its_cause() -> None:
    async def storm() -> None:
        simulator = CleverTapSimulator(people(), faults=Faults(answer_seconds=0.005))
        async with simulator, client_of(simulator) as ours, client_of(simulator, seed=1) as other:
            day = day_query("App Launched", datetime.now(UTC).date() - timedelta(days=3))
            counts = [client.count_profiles(day) for client in (ours, other) * 20]
            assert len(set(await asyncio.gather(*counts))) == 1
        refused = sum(request.status == 429 for request in simulator.requests)
        assert refused, "two clients with three slots each did not meet"
        assert len(simulator.requests) == 40 + refused

    asyncio.run(storm())


def test_a_bad_record_is_told_apart_from_the_good_ones_around_it() -> None:
    async def writing() -> list[RecordAnswer]:
        simulator = CleverTapSimulator(people())
        async with simulator, client_of(simulator) as client:
            records = [PropertyRecord(Identifier(IdentifierKind.IDENTITY, f"cust-{n}"), {"EV": 1}) for n in (1, 2, 3)]
            records[1] = PropertyRecord(Identifier(IdentifierKind.IDENTITY, "null"), {"EV": 1})
            return await client.upload(records)

    answers = asyncio.run(writing())
    assert [answer.is_processed for answer in answers] == [True, False, True]
    assert answers[1].code == 523


def test_queries_that_are_refused_say_why() -> None:
    async def asking() -> None:
        simulator = CleverTapSimulator(people())
        async with simulator, client_of(simulator) as client:
            with pytest.raises(CleverTapRefusedError):
                await client.count_profiles(everyone_query())

    asyncio.run(asking())


def test_an_api_that_is_down_for_good_is_given_up() -> None:
    async def asking() -> None:
        simulator = CleverTapSimulator(people())
        async with simulator:
            gone = simulator.base_url
        access = simulator.account.access
        connection = Connection(gone, access.project_id, SecretStr(access.passcode))
        async with CleverTap(connection, sleep=lambda _: asyncio.sleep(0)) as client:
            with pytest.raises(CleverTapUnavailableError, match="cannot connect"):
                await client.check()

    asyncio.run(asking())
