"""What counts as stored when a profile is read back."""

from datetime import UTC, datetime

import pytest

from ct_pipeline.clevertap.records import Identifier, Profile, PropertyValue
from ct_pipeline.to_clevertap.changes import Change
from ct_pipeline.to_clevertap.read_back import is_held, judge_sample, sample
from ct_pipeline.vocabulary import ChangeKind, IdentifierKind, Subscription, SubscriptionSource

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def change(number: int, **properties: PropertyValue) -> Change:
    identifier = Identifier(IdentifierKind.IDENTITY, f"cust-{number}")
    nothing = (Subscription.UNKNOWN, SubscriptionSource.NONE, "invalid", "", "", "", "", NOON)
    return Change(
        number, 1, ChangeKind.SET_PROPERTIES, None, None, number, identifier, properties or {"EV": 1}, {}, *nothing
    )


def profile(**properties: object) -> Profile:
    return Profile(None, (), (), None, properties)


@pytest.mark.parametrize(
    ("written", "held", "is_so"),
    [
        ("invalid", "invalid", True),
        ("invalid", "valid", False),
        ("invalid", None, False),
        (False, False, True),
        (False, "false", True),
        (False, "False", True),
        (False, True, False),
        (False, 0, False),
        (3, 3, True),
        (3, "3", True),
        (3, 4, False),
        ("$D_1790000000", "$D_1790000000", True),
        ("$D_1790000000", "$D_1790000001", False),
        ("$D_1790000000", "2026-09-21", True),  # how dates are shown is not documented
        ("$D_1790000000", 1790000000, True),
        ("$D_1790000000", None, False),
        ({"$delete": True}, None, True),
        ({"$delete": True}, "still there", False),
        ({"$add": ["x"]}, ["x"], True),
        ({"$add": ["x"]}, None, False),
    ],
)
def test_what_was_written_against_what_is_there(written: PropertyValue, held: object, is_so: bool) -> None:
    assert is_held({} if held is None else {"EV": held}, "EV", written) is is_so


def test_a_sample_is_spread_over_the_batch() -> None:
    changes = [change(number) for number in range(1000)]
    chosen = [one.change_id for one in sample(changes, 5)]
    assert (chosen[0], chosen[-1], len(set(chosen))) == (0, 999, 5)
    assert sample(changes[:3], 5) == changes[:3]
    assert sample([], 5) == []


def test_one_missing_property_is_enough() -> None:
    pairs = [(change(1), profile(EV=1)), (change(2), profile(Other=1))]
    found = judge_sample(pairs)
    assert not found.is_stored
    assert "EV (1 of 2 profiles)" in found.words


def test_a_profile_that_is_gone_says_nothing_unless_all_are() -> None:
    some = judge_sample([(change(1), profile(EV=1)), (change(2), None)])
    assert some.is_stored
    assert "1 more could not be found" in some.words
    assert not judge_sample([(change(1), None), (change(2), None)]).is_stored
