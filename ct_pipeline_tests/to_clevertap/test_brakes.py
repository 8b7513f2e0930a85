"""When unsubscribes have to wait for a person."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.to_clevertap.brakes import (
    BRAKE_WINDOW,
    SMALL_PROVIDERS,
    ProviderCount,
    ProviderRate,
    WeekShare,
    next_rates,
    pooled,
    provider_brakes,
    share_brake,
    with_approvals,
)

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def accepted(provider: str, judged: int, invalid: int, at: datetime = NOON - DAY) -> dict[str, ProviderRate]:
    return {provider: ProviderRate(provider, at, judged, invalid)}


def test_a_share_above_the_limit_is_held_and_one_at_the_limit_is_not() -> None:
    assert share_brake([WeekShare("the project's", 100, 1000)], 0.1) == ""
    words = share_brake([WeekShare("the project's", 101, 1000)], 0.1)
    assert words == "101 of the project's 1,000 addresses (10.1%) unsubscribed within 7 days, more than 10.0%"


def test_a_limit_of_nothing_holds_everybody_but_not_nobody() -> None:
    assert share_brake([WeekShare("the project's", 1, 1_000_000)], 0) != ""
    assert share_brake([WeekShare("the project's", 0, 1000)], 0) == ""


def test_an_audience_is_braked_where_its_project_would_not_be() -> None:
    words = share_brake([WeekShare("the project's", 60, 100_000), WeekShare("the audience's", 60, 100)], 0.1)
    assert words.startswith("60 of the audience's 100 addresses")


def test_a_provider_is_compared_with_its_accepted_rate() -> None:
    counts = [ProviderCount("a", 1000, 300), ProviderCount("b", 1000, 30)]
    known = accepted("a", 900, 45) | accepted("b", 900, 27)
    assert provider_brakes(counts, known, 0.25).keys() == set()
    assert provider_brakes(counts, known, 0.24) == {
        "a": "30.0% of 1,000 judged addresses at a are invalid, 5.0% before; "
        "a rise of more than 24% has to be approved"
    }  # fmt: skip


def test_a_new_or_renamed_provider_is_compared_with_all_others() -> None:
    counts = [ProviderCount("renamed", 1000, 400), ProviderCount("b", 1000, 100)]
    assert provider_brakes(counts, {}, 0.25).keys() == {"renamed"}
    assert provider_brakes(counts, accepted("renamed", 1000, 400), 0.25) == {}


def test_an_only_provider_is_compared_with_no_invalid_at_all() -> None:
    assert provider_brakes([ProviderCount("only", 1000, 300)], {}, 0.25).keys() == {"only"}
    assert provider_brakes([ProviderCount("only", 1000, 200)], {}, 0.25) == {}


def test_small_providers_are_one_and_those_without_a_mail_host_are_none() -> None:
    counts = [ProviderCount("", 500, 500), *(ProviderCount(f"small{n}", 50, 50) for n in range(3))]
    assert pooled(counts) == [ProviderCount(SMALL_PROVIDERS, 150, 150)]
    assert provider_brakes(pooled(counts), {}, 0.25).keys() == {SMALL_PROVIDERS}
    assert provider_brakes(pooled(counts[:2]), {}, 0.25) == {}, "too few to rest on"


def test_a_braked_rate_is_not_what_the_next_plan_compares_with() -> None:
    counts = [ProviderCount("a", 1000, 500)]
    known = accepted("a", 1000, 50)
    for _ in range(3):
        braked = provider_brakes(counts, known, 0.25)
        assert braked.keys() == {"a"}
        known = {rate.provider: rate for rate in next_rates(counts, known, braked, frozenset({"a"}), NOON + 30 * DAY)}
        assert known["a"].rate == 0.05


def test_a_rate_that_creeps_is_compared_with_where_it_began() -> None:
    known = accepted("a", 1000, 50, NOON)
    for step in range(1, 6):
        counts = [ProviderCount("a", 1000, 50 + 60 * step)]
        braked = provider_brakes(counts, known, 0.25)
        assert braked.keys() == ({"a"} if step == 5 else set())
        rates = next_rates(counts, known, braked, frozenset(), NOON + step * DAY)
        known = {rate.provider: rate for rate in rates}


def test_a_rate_is_accepted_after_a_week_below_the_limit_and_a_lower_one_at_once() -> None:
    known = accepted("a", 1000, 100, NOON)
    higher = [ProviderCount("a", 1000, 200)]
    (kept,) = next_rates(higher, known, {}, frozenset(), NOON + BRAKE_WINDOW - timedelta(seconds=1))
    assert kept.rate == 0.1
    (moved,) = next_rates(higher, known, {}, frozenset(), NOON + BRAKE_WINDOW)
    assert moved.rate == 0.2
    (lower,) = next_rates([ProviderCount("a", 1000, 90)], known, {}, frozenset(), NOON + DAY)
    assert lower.rate == 0.09


def test_an_approval_accepts_the_rate_that_held_the_batches() -> None:
    counts = [ProviderCount("a", 1000, 500)]
    known = accepted("a", 1000, 50)
    braked = provider_brakes(counts, known, 0.25)
    known = {rate.provider: rate for rate in next_rates(counts, known, braked, frozenset({"a"}), NOON)}
    before = with_approvals(known, {"a": NOON - timedelta(seconds=1)})
    assert provider_brakes(counts, before, 0.25).keys() == {"a"}, "it was about an earlier batch"
    assert provider_brakes(counts, with_approvals(known, {"a": NOON}), 0.25) == {}
    higher = [ProviderCount("a", 1000, 760)]
    assert provider_brakes(higher, with_approvals(known, {"a": NOON}), 0.25).keys() == {"a"}


def test_a_brake_that_held_nothing_cannot_be_approved() -> None:
    counts = [ProviderCount("a", 1000, 500)]
    (kept,) = next_rates(counts, {}, {"a": "why"}, frozenset(), NOON)
    assert (kept.rate, kept.braked_at) == (None, None)
    assert with_approvals({"a": kept}, {"a": NOON + DAY}) == {"a": kept}


@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1)), min_size=1, max_size=8),
    st.floats(0, 1),
)
def test_no_unbraked_provider_is_far_above_its_accepted_rate(rows: list[tuple[int, float]], limit: float) -> None:
    counts = pooled([ProviderCount(f"p{n}", judged, int(judged * rate)) for n, (judged, rate) in enumerate(rows)])
    known = {count.provider: ProviderRate(count.provider, NOON, 1000, 100) for count in counts}
    braked = provider_brakes(counts, known, limit)
    for count in counts:
        assert (count.provider in braked) == (count.judged_count >= 100 and count.rate - 0.1 > limit)


@pytest.mark.parametrize("plan_count", [1, 4, 25])
def test_many_small_plans_get_no_further_than_a_large_one(plan_count: int) -> None:
    """A provider turns against us: all its addresses are read as invalid, a part of them before each plan."""
    known = accepted("a", 1000, 50, NOON)
    let_through = 50
    for number in range(1, plan_count + 1):
        invalid = 50 + 950 * number // plan_count
        counts = [ProviderCount("a", 1000, invalid)]
        braked = provider_brakes(counts, known, 0.25)
        let_through = let_through if braked else invalid
        rates = next_rates(counts, known, braked, frozenset(braked), NOON + number * timedelta(hours=5))
        known = {rate.provider: rate for rate in rates}
    assert let_through <= 300
