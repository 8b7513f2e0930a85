"""What is known of an address's e-mail subscription, our own changes left out. Pure.

The API shows no subscription state. What there is: the events ``Channel Unsubscribed`` (they tell both directions), and
each profile's count of them. Our own changes raise the same events, so those that one of our sendings explains are no
evidence. Two questions are asked, each answered on its own safe side: what was there before us
(:func:`subscription_of`), and whether anybody at the address has opted out by themselves (:func:`somebody_opted_out`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.to_clevertap.changes import AddressHolder, Sending, SubscriptionEvent, SubscriptionEvidence
from ct_pipeline.vocabulary import Subscription, SubscriptionSource

# CleverTap's clock and ours differ, and an event may be raised some time after the answer. Where the difference of the
# clocks is known, it is so to about a second, and events tell the time in whole seconds.
BEFORE_INTENT = timedelta(minutes=5)
BEFORE_INTENT_IN_THEIR_TIME = timedelta(seconds=2)
AFTER_ANSWER = timedelta(minutes=15)
ACCOUNT_LEVEL = "account"  # such an event speaks for every profile with the address


def subscription_of(evidence: SubscriptionEvidence) -> tuple[Subscription, SubscriptionSource]:
    """What the subscription was before, or besides, anything that we did.

    Unsubscribed, or subscribed, only when that is known of every profile with the address: writes are per address. When
    the newest events of its profiles disagree or are missing for one, the answer is (unknown, event). When a profile's
    summary counts events that were never read, and they may be the newest, it is (unknown, profile summary).
    """
    theirs = not_ours(evidence.events, evidence.sendings)
    heard = _Heard(evidence.events, evidence.holders)
    if any(_has_unread(holder, heard, evidence.sendings, has_known=bool(theirs)) for holder in evidence.holders):
        return Subscription.UNKNOWN, SubscriptionSource.PROFILE_SUMMARY
    if not theirs:
        return Subscription.UNKNOWN, SubscriptionSource.NONE
    heard = _Heard(theirs, evidence.holders)
    newest = [heard.newest(holder) for holder in evidence.holders] or [_newest(theirs)]
    if all(event is not None and not event.is_resubscribe for event in newest):
        return Subscription.UNSUBSCRIBED, SubscriptionSource.EVENT
    if all(event is not None and event.is_resubscribe for event in newest):
        return Subscription.SUBSCRIBED, SubscriptionSource.EVENT
    return Subscription.UNKNOWN, SubscriptionSource.EVENT


def somebody_opted_out(evidence: SubscriptionEvidence) -> bool:
    """Whether the newest event of any profile that is not ours is an opt-out: nobody may resubscribe that address.

    It does not matter whether it came before or after our change, nor whether the profile still has the address.
    """
    theirs = not_ours(evidence.events, evidence.sendings)
    by_profile: defaultdict[Identifier, list[SubscriptionEvent]] = defaultdict(list)
    for event in theirs:
        by_profile[event.identifier].append(event)
    newest = [_newest(events) for events in by_profile.values()]
    return any(event is not None and not event.is_resubscribe for event in newest)


def not_ours(events: Iterable[SubscriptionEvent], sendings: Iterable[Sending]) -> list[SubscriptionEvent]:
    """The events that none of our sendings explains, the oldest first.

    A sending explains at most one event of each profile: the first one of its direction between
    :data:`BEFORE_INTENT` before the intent and :data:`AFTER_ANSWER` after the answer.
    """
    explained = _explained(events, sendings)
    return sorted((event for event in events if id(event) not in explained), key=_in_order)


def _explained(events: Iterable[SubscriptionEvent], sendings: Iterable[Sending]) -> set[int]:
    """The ``id()`` of the events that a sending explains."""
    by_profile: defaultdict[tuple[Identifier, bool], list[SubscriptionEvent]] = defaultdict(list)
    for event in sorted(events, key=_in_order):
        by_profile[event.identifier, event.is_resubscribe].append(event)
    explained: set[int] = set()
    # The window that closes first chooses first: as many events as possible find their sending.
    for sending in sorted(sendings, key=_window_end):
        for (_, is_resubscribe), candidates in by_profile.items():
            if is_resubscribe != sending.is_resubscribe:
                continue
            fitting = (event for event in candidates if _is_within(event.happened_at, sending))
            first = next((event for event in fitting if id(event) not in explained), None)
            if first is not None:
                explained.add(id(first))
    return explained


def _is_within(at: datetime, sending: Sending) -> bool:
    before = BEFORE_INTENT_IN_THEIR_TIME if sending.is_in_their_time else BEFORE_INTENT
    return sending.intended_at - before <= at <= _window_end(sending)


def _window_end(sending: Sending) -> datetime:
    return (sending.answered_at or sending.intended_at) + AFTER_ANSWER


def _in_order(event: SubscriptionEvent) -> tuple[datetime, bool]:
    # of two in one second, the opt-out counts as the later one
    return event.happened_at, not event.is_resubscribe


def _newest(events: Sequence[SubscriptionEvent]) -> SubscriptionEvent | None:
    return max(events, key=_in_order, default=None)


class _Heard:
    """Which events say something about a profile: its own, and those that speak for all.

    Sorted once, since tens of thousands of profiles may share one made-up address.
    """

    def __init__(self, events: Iterable[SubscriptionEvent], holders: Sequence[AddressHolder]) -> None:
        self._for_all: list[SubscriptionEvent] = []
        self._own: defaultdict[Identifier, list[SubscriptionEvent]] = defaultdict(list)
        is_alone = len(holders) == 1  # an event may name the profile by another of its identifiers
        for event in sorted(events, key=_in_order):
            is_for_all = is_alone or event.level == ACCOUNT_LEVEL
            (self._for_all if is_for_all else self._own[event.identifier]).append(event)

    def count(self, holder: AddressHolder) -> int:
        return len(self._for_all) + len(self._own.get(holder.identifier, ()))

    def newest(self, holder: AddressHolder) -> SubscriptionEvent | None:
        return _newest([*self._for_all[-1:], *self._own.get(holder.identifier, [])[-1:]])


def _has_unread(holder: AddressHolder, heard: _Heard, sendings: Sequence[Sending], *, has_known: bool) -> bool:
    """Whether the profile's summary counts an event whose content is not known and which may decide."""
    if not holder.unsubscribe_event_count:
        return False
    last_at = holder.unsubscribe_event_at
    if last_at is None:
        return not has_known
    newest = heard.newest(holder)
    is_read = newest is not None and newest.happened_at >= last_at - timedelta(minutes=1)
    if not (is_read or any(_is_within(last_at, sending) for sending in sendings)):
        return True
    # Older ones that nobody has read count for nothing beside a newer one that somebody has raised. Where nobody has,
    # each event is one of our sendings', whose event may also be still to come.
    return not has_known and holder.unsubscribe_event_count > max(heard.count(holder), len(sendings))
