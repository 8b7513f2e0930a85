"""The client against the sandbox's CleverTap: whatever goes wrong, all is read, and what is written is there."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from ct_pipeline.clevertap.client import CleverTap, PropertyRecord, SubscriptionRecord
from ct_pipeline.clevertap.connection import Connection
from ct_pipeline.clevertap.query import day_query, everyone_query, unsubscribe_events_query
from ct_pipeline.clevertap.records import Event, Identifier, Profile, RecordAnswer
from ct_pipeline.errors import (
    CleverTapRefusedError,
    CleverTapUnavailableError,
    CredentialsError,
    CursorExpiredError,
    NotAllowedError,
)
from ct_pipeline.sandbox.clevertap_faults import Faults, Switches, fault_profile
from ct_pipeline.sandbox.clevertap_profiles import AccountProfile
from ct_pipeline.sandbox.clevertap_simulator import CleverTapSimulator
from ct_pipeline.vocabulary import IdentifierKind

PEOPLE = 300
TODAY = datetime.now(UTC).date()
LAST_DAYS = (TODAY - timedelta(days=3), TODAY - timedelta(days=1))


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


async def everyone(client: CleverTap) -> list[Profile]:
    """As a pull does it: an expired cursor begins anew, an empty export is repeated once; each profile once."""
    for _ in range(4):
        found: dict[Identifier, Profile] = {}
        try:
            async for page in client.profile_pages(everyone_query()):
                assert page.set_aside == []
                found |= {profile.identifier: profile for profile in page.records if profile.identifier}
        except CursorExpiredError:
            continue
        if found:
            return list(found.values())
    raise AssertionError("no complete export in four attempts")


async def unsubscribe_events(client: CleverTap, *days: date) -> list[Event]:
    query = unsubscribe_events_query(*days)
    return [event async for page in client.event_pages(query) for event in page.records]


async def written(client: CleverTap, records: Sequence[PropertyRecord]) -> None:
    """Code 555 is CleverTap's own trouble: such records are sent again."""
    left = list(records)
    for _ in range(6):
        answers = await client.upload(left)
        assert {answer.code for answer in answers if not answer.is_processed} <= {555}
        left = [record for record, answer in zip(left, answers, strict=True) if not answer.is_processed]
        if not left:
            return
    raise AssertionError("records are refused for ever")


async def round_trip(simulator: CleverTapSimulator, seed: int) -> None:
    """Read all, write to a random half of them, and look whether the account is what was meant."""
    random = Random(seed)
    async with simulator, client_of(simulator, seed=seed) as client:
        await client.check()
        profiles = await everyone(client)
        assert len(profiles) == PEOPLE
        assert {len(profile.object_ids) for profile in profiles} == {2}
        assert all(profile.properties["plan"] == "gold" for profile in profiles)
        day = datetime.now(simulator.account.access.zone).date() - timedelta(days=1)
        assert await client.count_profiles(day_query("App Launched", day)) == PEOPLE

        chosen = random.sample(profiles, PEOPLE // 2)
        identifiers = [profile.identifier for profile in chosen if profile.identifier]
        await written(client, [PropertyRecord(each, {"EV Status": "invalid"}) for each in identifiers])
        addresses = sorted({profile.email for profile in chosen if profile.email})
        left = [SubscriptionRecord(address, False) for address in addresses]
        for _ in range(6):
            answers = await client.subscribe(left)
            left = [change for change, answer in zip(left, answers, strict=True) if not answer.is_processed]
        assert left == []

        state = simulator.state()
        assert len(state) == PEOPLE, "no profile was made"
        names = {each.value for each in identifiers}
        for each in state:
            is_chosen = bool(names & {each["identity"], *as_list(each["object_ids"])})
            assert as_dict(each["properties"]).get("EV Status") == ("invalid" if is_chosen else None)
            assert each["is_dnd"] == (each["email"] in addresses)
        back = await client.profile(identifiers[0])
        assert back is not None
        assert back.properties["EV Status"] == "invalid"
        assert back.properties["plan"] == "gold", "what was there stays"
        limits = {"profiles": 3, "upload": 3, "profile count": 3}
        assert all(simulator.log.most_in_flight[api] <= most for api, most in limits.items())
        assert sum(request.named_by_email_count for request in simulator.requests) == 0
        assert sum(request.made_profile_count for request in simulator.requests) == 0


def as_list(value: object) -> list[object]:
    assert isinstance(value, list | tuple)
    return list(value)


def as_dict(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("profile", ["none", "mild", "harsh"])
def test_a_round_trip_ends_as_it_was_meant(profile: str, seed: int) -> None:
    simulator = CleverTapSimulator(people(), faults=fault_profile(profile, seed))
    asyncio.run(round_trip(simulator, seed))
    if profile == "harsh":
        assert sum(bool(request.fault) for request in simulator.requests) > 5, "the test meets no fault"


RATES = ["server_errors", "html_bodies", "lost_answers", "busy_answers", "malformed_uploads", "record_errors"]
FAULTS = st.fixed_dictionaries(
    {"seed": st.integers(0, 10**6)},
    optional={
        name: st.sampled_from([0.02, 0.1, 0.3]) for name in [*RATES, "throttled_exports", "empty_pages", "duplicates"]
    }
    | {name: st.integers(0, 3) for name in ("not_ready_fetches", "count_polls")}
    | {name: st.integers(0, 1) for name in ("empty_exports", "stale_cursors")}
    | {"not_ready_status": st.sampled_from([200, 202])},
)
SWITCHES = st.fixed_dictionaries(
    {},
    optional={
        "not_found": st.sampled_from(["null", "404", "fail"]),
        "too_many_requests_body": st.sampled_from(["json", "text"]),
        "stale_cursor_status": st.sampled_from([200, 400]),
        "unknown_partner": st.sampled_from(["accepted", "refused"]),
        "shows_subscription": st.booleans(),
        "has_case_sensitive_addresses": st.booleans(),
        "event_booleans": st.sampled_from(["bool", "text"]),
        "default_batch_size": st.sampled_from([10, 500]),
    },
)


@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(FAULTS, SWITCHES, st.integers(0, 10**6))
def test_a_round_trip_ends_as_it_was_meant_under_any_mixture_of_faults(
    faults: dict[str, object], switches: dict[str, object], seed: int
) -> None:
    simulator = CleverTapSimulator(
        people(), faults=Faults.model_validate(faults), switches=Switches.model_validate(switches)
    )
    asyncio.run(round_trip(simulator, seed))


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
            day = day_query("App Launched", LAST_DAYS[0])
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
