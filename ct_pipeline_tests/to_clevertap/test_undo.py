"""Whose events they were: the doubtful cases of an undo."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.to_clevertap.changes import AddressHolder, Sending, SubscriptionEvent, SubscriptionEvidence
from ct_pipeline.to_clevertap.undo import FEWEST_WITNESSES, opted_out
from ct_pipeline.vocabulary import IdentifierKind

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def who(name: str) -> Identifier:
    return Identifier(IdentifierKind.IDENTITY, name)


def opt_out(at: datetime, name: str = "ann") -> SubscriptionEvent:
    return SubscriptionEvent(at, False, who(name), "account")


def sending(at: datetime = NOON, *, is_answered: bool = True, spelling: str = "ann@x.test") -> Sending:
    return Sending(False, at, at + SECOND if is_answered else None, spelling, True)


def of(*events: SubscriptionEvent, sendings: list[Sending], **spellings: str) -> SubscriptionEvidence:
    holders = [AddressHolder(who(name), raw_email=spelling) for name, spelling in spellings.items()]
    return SubscriptionEvidence(events, sendings, holders or [AddressHolder(who("ann"), raw_email="ann@x.test")])


def theirs(evidence: SubscriptionEvidence) -> bool:
    return opted_out({"ann@x.test": evidence}) == {"ann@x.test"}


@pytest.mark.parametrize(
    ("happened", "is_theirs"),
    [
        (NOON, False),
        (NOON - SECOND, False),
        (NOON + MINUTE, False),
        (NOON - 3 * SECOND, True),
        (NOON + timedelta(minutes=16), True),
    ],
)
def test_one_event_beside_one_sending(happened: datetime, is_theirs: bool) -> None:
    assert theirs(of(opt_out(happened), sendings=[sending()])) is is_theirs


def test_a_second_event_is_theirs() -> None:
    assert theirs(of(opt_out(NOON), opt_out(NOON + SECOND), sendings=[sending()]))


def test_a_sending_without_an_answer_explains_nothing_by_itself() -> None:
    assert theirs(of(opt_out(NOON), sendings=[sending(is_answered=False)]))
    assert theirs(
        of(opt_out(NOON), opt_out(NOON + MINUTE), sendings=[sending(is_answered=False), sending(NOON + MINUTE)])
    )


def test_a_sending_to_one_spelling_explains_no_event_of_another() -> None:
    """Each spelling had its own sending, and ann-too has clicked as well."""
    both = [sending(), sending(spelling="Ann@x.test")]
    spellings = {"ann": "ann@x.test", "too": "Ann@x.test"}
    assert not theirs(of(opt_out(NOON), opt_out(NOON, "too"), sendings=both, **spellings))
    assert theirs(of(opt_out(NOON), opt_out(NOON, "too"), opt_out(NOON + MINUTE, "too"), sendings=both, **spellings))
    assert theirs(of(opt_out(NOON), opt_out(NOON, "too"), sendings=both[:1], **spellings))


def test_an_event_under_another_name_of_the_profile_is_explained_where_there_is_one_spelling() -> None:
    assert not theirs(of(opt_out(NOON, "ann's phone"), sendings=[sending()]))
    both = [sending(), sending(spelling="Ann@x.test")]
    assert theirs(of(opt_out(NOON, "a phone"), sendings=both, ann="ann@x.test", too="Ann@x.test"))


@pytest.mark.parametrize(
    ("people_count", "heard_twice", "left_alone"),
    [
        (50, 50, 0),  # the first call has arrived: everybody has two events, and nobody clicked
        (50, 45, 0),
        (50, 3, 3),  # it has not: these three have clicked
        (50, 30, 30),  # nobody can tell
        (FEWEST_WITNESSES - 1, FEWEST_WITNESSES - 1, FEWEST_WITNESSES - 1),  # too few to tell
    ],
)
def test_whether_a_call_without_an_answer_has_arrived_is_told_by_its_many_addresses(
    people_count: int, heard_twice: int, left_alone: int
) -> None:
    evidence = {}
    for number in range(people_count):
        spelling = f"user{number}@x.test"
        sendings = [sending(is_answered=False, spelling=spelling), sending(NOON + MINUTE, spelling=spelling)]
        times = [NOON, NOON + MINUTE] if number < heard_twice else [NOON + MINUTE]
        evidence[spelling] = of(*(opt_out(at) for at in times), sendings=sendings, ann=spelling)
    assert len(opted_out(evidence)) == left_alone
