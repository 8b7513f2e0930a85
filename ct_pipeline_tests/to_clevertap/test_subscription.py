"""What is known of a subscription, our own changes left out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.to_clevertap.changes import AddressHolder, Sending, SubscriptionEvent, SubscriptionEvidence
from ct_pipeline.to_clevertap.subscription import not_ours, somebody_opted_out, subscription_of
from ct_pipeline.vocabulary import IdentifierKind, Subscription, SubscriptionSource

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ANN = Identifier(IdentifierKind.IDENTITY, "ann")
BOB = Identifier(IdentifierKind.IDENTITY, "bob")

UNSUBSCRIBED = (Subscription.UNSUBSCRIBED, SubscriptionSource.EVENT)
SUBSCRIBED = (Subscription.SUBSCRIBED, SubscriptionSource.EVENT)
DISPUTED = (Subscription.UNKNOWN, SubscriptionSource.EVENT)
NOTHING = (Subscription.UNKNOWN, SubscriptionSource.NONE)
UNREAD = (Subscription.UNKNOWN, SubscriptionSource.PROFILE_SUMMARY)


def out(at: datetime = NOON, who: Identifier = ANN, level: str = "account") -> SubscriptionEvent:
    return SubscriptionEvent(at, False, who, level)


def back(at: datetime = NOON, who: Identifier = ANN, level: str = "account") -> SubscriptionEvent:
    return SubscriptionEvent(at, True, who, level)


def sent(at: datetime = NOON, is_resubscribe: bool = False, answered_after: timedelta | None = MINUTE) -> Sending:
    return Sending(is_resubscribe, at, None if answered_after is None else at + answered_after)


def evidence(
    *events: SubscriptionEvent, sendings: tuple[Sending, ...] = (), holders: tuple[AddressHolder, ...] = ()
) -> SubscriptionEvidence:
    return SubscriptionEvidence(events, sendings, holders or (AddressHolder(ANN),))


def test_the_newest_event_decides() -> None:
    assert subscription_of(evidence()) == NOTHING
    assert subscription_of(evidence(out())) == UNSUBSCRIBED
    assert subscription_of(evidence(out(NOON - DAY), back())) == SUBSCRIBED
    assert subscription_of(evidence(back(NOON - DAY), out())) == UNSUBSCRIBED
    assert subscription_of(evidence(back(), out())) == UNSUBSCRIBED, "both in one second"


@pytest.mark.parametrize(
    ("happened_at", "is_ours"),
    [
        (NOON - 5 * MINUTE, True),
        (NOON - 6 * MINUTE, False),
        (NOON + 16 * MINUTE, True),
        (NOON + 17 * MINUTE, False),
    ],
)
def test_an_event_around_our_sending_is_ours(happened_at: datetime, is_ours: bool) -> None:
    known = evidence(out(happened_at), sendings=(sent(),))
    assert not_ours(known.events, known.sendings) == ([] if is_ours else [out(happened_at)])
    assert subscription_of(known) == (NOTHING if is_ours else UNSUBSCRIBED)
    assert somebody_opted_out(known) is not is_ours


def test_an_event_of_the_other_direction_is_not_ours() -> None:
    assert subscription_of(evidence(back(NOON + MINUTE), sendings=(sent(),))) == SUBSCRIBED
    assert subscription_of(evidence(out(NOON + MINUTE), sendings=(sent(is_resubscribe=True),))) == UNSUBSCRIBED


def test_a_sending_explains_one_event_of_each_profile() -> None:
    events = (out(NOON), out(NOON + MINUTE), out(NOON, BOB))
    assert not_ours(events, [sent()]) == [out(NOON + MINUTE)]
    assert not_ours(events, [sent(), sent(NOON + MINUTE)]) == []


def test_a_sending_without_an_answer_explains_its_event_too() -> None:
    assert not_ours([out(NOON + 14 * MINUTE)], [sent(answered_after=None)]) == []


def test_who_opted_out_before_or_after_us_is_not_resubscribed() -> None:
    assert somebody_opted_out(evidence(out(NOON - DAY), out(), sendings=(sent(),)))
    assert somebody_opted_out(evidence(out(), out(NOON + DAY), sendings=(sent(),)))
    assert not somebody_opted_out(evidence(out(), out(NOON - DAY), back(NOON - DAY + MINUTE), sendings=(sent(),)))
    undone = (sent(), sent(NOON + DAY, is_resubscribe=True))
    assert not somebody_opted_out(evidence(out(), back(NOON + DAY), sendings=undone))
    assert somebody_opted_out(evidence(out(), back(NOON + DAY), out(NOON + 2 * DAY), sendings=undone))


def test_one_of_several_profiles_that_opted_out_decides_for_undo_but_not_for_all() -> None:
    both = (AddressHolder(ANN), AddressHolder(BOB))
    only_ann = evidence(out(who=ANN, level="profile"), holders=both)
    assert subscription_of(only_ann) == DISPUTED
    assert somebody_opted_out(only_ann)
    assert subscription_of(evidence(out(who=ANN, level="account"), holders=both)) == UNSUBSCRIBED
    assert subscription_of(evidence(out(who=ANN, level=""), out(who=BOB, level=""), holders=both)) == UNSUBSCRIBED
    assert subscription_of(evidence(back(who=ANN, level=""), holders=both)) == DISPUTED
    assert not somebody_opted_out(evidence(back(who=ANN, level=""), holders=both))
    gone = evidence(out(who=Identifier(IdentifierKind.OBJECT_ID, "x"), level="profile"), holders=both)
    assert somebody_opted_out(gone), "it may be one of them under another identifier"


def test_a_summary_whose_events_were_not_read_leaves_it_unknown() -> None:
    assert subscription_of(evidence(holders=(AddressHolder(ANN, 1, NOON - DAY),))) == UNREAD
    assert subscription_of(evidence(holders=(AddressHolder(ANN, 1),))) == UNREAD
    read = evidence(out(NOON - DAY), holders=(AddressHolder(ANN, 1, NOON - DAY),))
    assert subscription_of(read) == UNSUBSCRIBED
    newer = evidence(out(NOON - DAY), holders=(AddressHolder(ANN, 2, NOON),))
    assert subscription_of(newer) == UNREAD, "it may be an opt-in"
    older = evidence(back(NOON - DAY), holders=(AddressHolder(ANN, 3, NOON - DAY),))
    assert subscription_of(older) == SUBSCRIBED


def test_a_summary_that_counts_our_own_events_says_nothing() -> None:
    ours = (sent(),)
    assert subscription_of(evidence(sendings=ours, holders=(AddressHolder(ANN, 1, NOON),))) == NOTHING
    assert subscription_of(evidence(out(), sendings=ours, holders=(AddressHolder(ANN, 1, NOON),))) == NOTHING
    assert subscription_of(evidence(sendings=ours, holders=(AddressHolder(ANN, 2, NOON),))) == UNREAD


TIMES = st.integers(0, 2000).map(lambda minutes: NOON + minutes * MINUTE)
EVENTS = st.lists(
    st.builds(
        SubscriptionEvent,
        TIMES,
        st.booleans(),
        st.sampled_from([ANN, BOB]),
        st.sampled_from(["", "account", "profile"]),
    ),
    max_size=6,
)
SENDINGS = st.lists(st.builds(sent, TIMES, st.booleans()), max_size=4)


@given(EVENTS, SENDINGS)
def test_what_we_did_never_hides_more_than_it_can_have_raised(
    events: list[SubscriptionEvent], sendings: list[Sending]
) -> None:
    theirs = not_ours(events, sendings)
    for who in (ANN, BOB):
        for direction in (True, False):
            kept = [e for e in theirs if e.identifier == who and e.is_resubscribe == direction]
            all_of_them = [e for e in events if e.identifier == who and e.is_resubscribe == direction]
            assert len(all_of_them) - len(kept) <= sum(s.is_resubscribe == direction for s in sendings)


@given(EVENTS, SENDINGS)
def test_who_is_known_as_unsubscribed_is_never_resubscribed(
    events: list[SubscriptionEvent], sendings: list[Sending]
) -> None:
    known = evidence(*events, sendings=tuple(sendings), holders=(AddressHolder(ANN), AddressHolder(BOB)))
    if subscription_of(known)[0] is Subscription.UNSUBSCRIBED:
        assert somebody_opted_out(known)


def test_an_address_that_many_thousands_share_is_judged_in_one_go() -> None:
    crowd = [Identifier(IdentifierKind.IDENTITY, f"customer-{number}") for number in range(50_000)]
    shared = evidence(
        *(out(who=who) for who in crowd),
        sendings=(sent(),),
        holders=tuple(AddressHolder(who, 1, NOON) for who in crowd),
    )
    assert subscription_of(shared) == NOTHING
    assert subscription_of(replace(shared, sendings=())) == UNSUBSCRIBED
