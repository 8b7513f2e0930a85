"""What refusals in a row are worth, before and after somebody is accepted, or refused who had been."""

from datetime import UTC, datetime, timedelta

from ct_pipeline.verification.probe import DueAddress
from ct_pipeline.verification.refusal_streak import LONG_ROW, RefusalStreak, Refused
from ct_pipeline_tests.verification.test_domain_knowledge import UNKNOWN

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def refused(number: int, refused_at: datetime | None = None) -> Refused:
    """The address of that number, asked in that second."""
    due = DueAddress(number, f"n{number}@a.test", "a.test", 0, refused_at=refused_at)
    return Refused(due, UNKNOWN, 1000 + number, at(number))


def numbers(some: list[Refused]) -> list[int]:
    return [one.due.address_id for one in some]


def row_of(length: int, *, refuses_us: bool = False) -> tuple[RefusalStreak, list[list[int]]]:
    streak = RefusalStreak(refuses_us=refuses_us)
    return streak, [numbers(streak.add(refused(number))) for number in range(length)]


def test_a_short_row_is_believed():
    streak, open_ones = row_of(LONG_ROW - 1)
    assert open_ones == [[]] * (LONG_ROW - 1)
    assert streak.confirm(at(99)) == []


def test_a_long_row_is_open_from_its_first_to_its_last_each_once():
    _, open_ones = row_of(LONG_ROW + 2)
    assert open_ones[LONG_ROW - 1 :] == [list(range(LONG_ROW)), [LONG_ROW], [LONG_ROW + 1]]


def test_one_that_waits_for_its_second_word_is_open_by_itself_and_hides_nobody():
    streak, _ = row_of(LONG_ROW - 1)
    assert numbers(streak.add(refused(LONG_ROW, NOON - timedelta(hours=1)))) == [LONG_ROW]
    assert numbers(streak.add(refused(LONG_ROW + 1))) == [*range(LONG_ROW - 1), LONG_ROW + 1]
    assert numbers(streak.confirm(at(99))) == [*range(LONG_ROW - 1), LONG_ROW, LONG_ROW + 1]


def test_an_acceptance_closes_what_was_refused_before_it():
    streak, _ = row_of(LONG_ROW + 2)
    assert numbers(streak.confirm(at(LONG_ROW))) == list(range(LONG_ROW + 1)), "its question came after theirs"
    assert numbers(streak.confirm(at(99))) == [LONG_ROW + 1]
    assert streak.add(refused(50)) == [], "the row begins anew"


def test_a_refused_witness_takes_everything_back_and_nothing_makes_up_for_it():
    streak, _ = row_of(3)
    assert numbers(streak.retract()) == [0, 1, 2]
    assert streak.refuses_us
    assert numbers(streak.add(refused(3))) == [3], "still under way when it was found"
    assert streak.confirm(at(99)) == []
    assert streak.refuses_us


def test_what_an_earlier_run_found_ends_with_the_first_acceptance():
    streak, open_ones = row_of(2, refuses_us=True)
    assert open_ones == [[0], [1]]
    assert numbers(streak.confirm(at(5))) == [0, 1]
    assert not streak.refuses_us
    assert streak.add(refused(6)) == []
