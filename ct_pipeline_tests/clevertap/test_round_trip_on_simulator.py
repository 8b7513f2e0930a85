"""Read all, write some, under every mixture of faults: all is read, and what is written is there, and nothing else."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ct_pipeline.clevertap.client import CleverTap, PropertyRecord, SubscriptionRecord
from ct_pipeline.clevertap.query import day_query, everyone_query
from ct_pipeline.clevertap.records import Identifier, Profile
from ct_pipeline.errors import CursorExpiredError
from ct_pipeline.sandbox.clevertap.faults import Faults, Switches, fault_profile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline_tests.clevertap.on_simulator import PEOPLE, client_of, people


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
