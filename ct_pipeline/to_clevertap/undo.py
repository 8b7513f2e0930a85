"""What an undo restores, and what it leaves alone and why (pure).

An opt-out is the user's word: whoever has given it is never resubscribed, whether it came before or after our change.
So everything doubtful counts as an opt-out here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ct_pipeline.clevertap.records import Identifier, PropertyValue
from ct_pipeline.to_clevertap.changes import Change, Sending, SubscriptionEvent, SubscriptionEvidence, Undoable
from ct_pipeline.to_clevertap.read_back import is_held
from ct_pipeline.to_clevertap.subscription import not_ours, somebody_opted_out, subscription_of
from ct_pipeline.vocabulary import ChangeKind, Outcome, Subscription, SubscriptionSource

NOT_TAKEN = "CleverTap had not taken the change, so there is nothing to undo"
UNDONE = "it is undone already, or an undo of it is under way"
OPTED_OUT = "somebody with this address has opted out by themselves"
OPTED_IN = "somebody with this address has opted in again by themselves"
WAS_UNSUBSCRIBED = "the address was unsubscribed before"
UNREAD = "the profile has opt-outs that CleverTap counts but does not show"
UNKNOWN = "nothing is known of the subscription before"
PROFILE_GONE = "the profile is not known by this identifier any more"
CHANGED_SINCE = "its properties were written again since"

# Fewer than these do not tell whether a call arrived from people who clicked by chance.
FEWEST_WITNESSES = 20
ARRIVED_SHARE = 0.8


@dataclass(slots=True)
class UndoDecision:
    """``restore`` are the changes to write; ``left_alone`` tells why → how many."""

    restore: list[Change] = field(default_factory=list[Change])
    left_alone: Counter[str] = field(default_factory=Counter[str])
    doubts: list[str] = field(default_factory=list[str])  # what whoever undoes should know
    unseen_share: float = 0.0  # of ``restore``: CleverTap shows no event of the unsubscribe yet


def undo_unsubscribes(
    undoables: Sequence[Undoable],
    evidence: Mapping[str, SubscriptionEvidence],
    *,
    include_unknown: bool = False,
) -> UndoDecision:
    """Resubscribes for those of whom it is known that they were subscribed and never opted out by themselves.

    Args:
        evidence: by the spelling of the address, read afresh.
        include_unknown: also those of whom nothing is known; never those whose opt-outs were not read.
    """
    decision = UndoDecision()
    certain = _by_profile(evidence)
    for undoable in undoables:
        spelling = undoable.change.raw_email or ""
        known, profiles = evidence.get(spelling, SubscriptionEvidence()), certain.get(spelling, [])
        why = _why_not_restored(undoable) or _why_not_resubscribed(undoable.change, known, profiles, include_unknown)
        if why:
            decision.left_alone[why] += 1
        else:
            decision.restore.append(_resubscribe(undoable.change))
    return decision


def opted_out(evidence: Mapping[str, SubscriptionEvidence]) -> set[str]:
    """The spellings of ``evidence`` whose address somebody has opted out by themselves."""
    return {spelling for spelling, profiles in _by_profile(evidence).items() if any(map(somebody_opted_out, profiles))}


def undo_properties(undoables: Sequence[Undoable]) -> UndoDecision:
    """Changes that give each profile what it held before, but for what was written again since."""
    decision = UndoDecision()
    for undoable in undoables:
        why = _why_not_restored(undoable)
        before: dict[str, PropertyValue] = {}
        if not why and undoable.held_properties is None:
            why = PROFILE_GONE
        elif not why:
            before = _before(undoable.change, undoable.held_properties or {})
            why = "" if before else CHANGED_SINCE
        if why:
            decision.left_alone[why] += 1
        else:
            decision.restore.append(_set_back(undoable.change, before))
    decision.restore.sort(key=lambda change: not _has_deletion(change))  # these are tried first: see the read-back
    return decision


def _by_profile(evidence: Mapping[str, SubscriptionEvidence]) -> dict[str, list[SubscriptionEvidence]]:
    """The evidence of each spelling, profile by profile, with the sendings that surely explain its events."""
    split = {spelling: _split(one) for spelling, one in evidence.items()}
    certain = iter(certain_sendings([profile for profiles in split.values() for profile in profiles]))
    return {spelling: [next(certain) for _ in profiles] for spelling, profiles in split.items()}


def _split(evidence: SubscriptionEvidence) -> list[SubscriptionEvidence]:
    """Each profile's own events, beside the sendings that named the address in its spelling.

    Whether a sending to ann@x.test reaches who is held as Ann@x.test is not documented; that it does explains nothing.
    An event may name its profile by another identifier than ours: it is explained only where there is one spelling.
    """
    held_as = {holder.identifier: holder.raw_email for holder in evidence.holders}
    spellings = {*held_as.values()} or {sending.raw_email for sending in evidence.sendings}
    only = spellings.pop() if len(spellings) == 1 else None
    events: dict[Identifier, list[SubscriptionEvent]] = {}
    for event in evidence.events:
        events.setdefault(event.identifier, []).append(event)
    return [
        SubscriptionEvidence(own, [s for s in evidence.sendings if s.raw_email == held_as.get(identifier, only)])
        for identifier, own in events.items()
    ]


def certain_sendings(evidence: Sequence[SubscriptionEvidence]) -> list[SubscriptionEvidence]:
    """``evidence``, a profile each, without the sendings of which nobody knows whether they arrived.

    A sending without an answer explains nothing by itself: the event beside it may be the user's own. But a call
    carries hundreds of changes. When it explains one more event of nearly all of its addresses, it has arrived.
    """
    kept = [replace(one, sendings=[s for s in one.sendings if s.answered_at is not None]) for one in evidence]
    doubtful: dict[Sending, list[int]] = {}
    for index, one in enumerate(evidence):
        for sending in one.sendings:
            if sending.answered_at is None:
                doubtful.setdefault(replace(sending, raw_email=""), []).append(index)  # one call names many addresses
    for sending, members in sorted(doubtful.items(), key=lambda item: item[0].intended_at):
        heard = [i for i in members if any(e.is_resubscribe == sending.is_resubscribe for e in kept[i].events)]
        witnesses = [i for i in heard if _explains_another(kept[i], sending)]
        if len(heard) >= FEWEST_WITNESSES and len(witnesses) >= ARRIVED_SHARE * len(heard):
            for index in members:
                kept[index] = replace(kept[index], sendings=[*kept[index].sendings, sending])
    return kept


def unseen_share(changes: Sequence[Change], evidence: Mapping[str, SubscriptionEvidence]) -> float:
    """Share of our unsubscribes of which CleverTap shows no event yet: while there are some, its events lag behind."""
    unseen = sum(
        not any(not event.is_resubscribe for event in evidence[change.raw_email or ""].events)
        for change in changes
        if change.raw_email in evidence
    )
    return unseen / len(changes) if changes else 0.0


def _explains_another(evidence: SubscriptionEvidence, sending: Sending) -> bool:
    without = not_ours(evidence.events, evidence.sendings)
    return len(not_ours(evidence.events, [*evidence.sendings, sending])) < len(without)


def _why_not_restored(undoable: Undoable) -> str:
    if undoable.outcome is not Outcome.PROCESSED:
        return NOT_TAKEN
    if undoable.is_undone:
        return UNDONE
    if undoable.later_batch_id is not None:
        return f"batch {undoable.later_batch_id} has unsubscribed the address again"
    return ""


def _why_not_resubscribed(
    change: Change,
    evidence: SubscriptionEvidence,
    profiles: Sequence[SubscriptionEvidence],
    include_unknown: bool,
) -> str:
    if any(map(somebody_opted_out, profiles)):
        return OPTED_OUT
    if change.prior_subscription is Subscription.UNSUBSCRIBED:
        return WAS_UNSUBSCRIBED
    if SubscriptionSource.PROFILE_SUMMARY in (change.prior_source, subscription_of(evidence)[1]):
        return UNREAD
    if any(map(_has_opted_in_after_us, profiles)):
        return OPTED_IN
    if change.prior_subscription is Subscription.SUBSCRIBED or include_unknown:
        return ""
    return UNKNOWN


def _has_opted_in_after_us(profile: SubscriptionEvidence) -> bool:
    theirs = not_ours(profile.events, profile.sendings)
    ours = max((s.intended_at for s in profile.sendings if not s.is_resubscribe), default=None)
    return bool(theirs) and theirs[-1].is_resubscribe and ours is not None and theirs[-1].happened_at > ours


def _resubscribe(change: Change) -> Change:
    return replace(
        change,
        kind=ChangeKind.RESUBSCRIBE,
        prior_subscription=Subscription.UNSUBSCRIBED,
        prior_source=SubscriptionSource.NONE,
        attempt_count=0,
    )


def _before(change: Change, held: Mapping[str, object]) -> dict[str, PropertyValue]:
    """What to write so that the profile holds again what it held, but for names that somebody wrote since."""
    return {
        name: change.prior_properties.get(name, {"$delete": True})
        for name, written in change.properties.items()
        if is_held(held, name, written)
    }


def _set_back(change: Change, before: dict[str, PropertyValue]) -> Change:
    written = {name: value for name, value in change.properties.items() if name in before}
    prior = {name: value for name, value in written.items() if not _is_deletion(value)}
    return replace(change, properties=before, prior_properties=prior, attempt_count=0)


def _has_deletion(change: Change) -> bool:
    return any(_is_deletion(value) for value in change.properties.values())


def _is_deletion(value: PropertyValue) -> bool:
    return isinstance(value, dict) and "$delete" in value
