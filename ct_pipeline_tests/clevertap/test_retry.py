"""Waits grow, differ, and end."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.clevertap.retry import HURRIED, Backoff, Patience

BACKOFF = Backoff(2.0, 15.0, 6)


@given(st.integers(0, 5), st.integers())
def test_a_wait_doubles_up_to_the_longest_and_half_of_it_is_random(number: int, seed: int) -> None:
    whole = min(15.0, 2.0 * 2**number)
    wait = BACKOFF.wait_seconds(number, Random(seed))
    assert wait is not None
    assert whole / 2 <= wait <= whole


def test_callers_who_failed_together_come_back_apart() -> None:
    assert len({BACKOFF.wait_seconds(3, Random(seed)) for seed in range(50)}) == 50


def test_patience_ends() -> None:
    assert BACKOFF.wait_seconds(6, Random(1)) is None
    for patience in (Patience(), HURRIED):
        for backoff in (patience.trouble, patience.busy, patience.not_ready, patience.counting):
            waits = [backoff.wait_seconds(number, Random(1)) for number in range(backoff.waits)]
            assert None not in waits
            assert backoff.wait_seconds(backoff.waits, Random(1)) is None
            assert sum(filter(None, waits)) < 3600
            assert Backoff(1.0, 60.0, 10**6).wait_seconds(10**5, Random(1)) is not None


def test_what_the_server_asks_for_is_waited_at_least_but_bounded() -> None:
    assert BACKOFF.wait_seconds(0, Random(1), 10.0) == 10.0
    assert BACKOFF.wait_seconds(0, Random(1), 9999.0) == 15.0
    assert BACKOFF.wait_seconds(5, Random(1), 0.001) != 0.001
