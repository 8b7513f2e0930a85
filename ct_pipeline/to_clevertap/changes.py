"""The writes that we intend in CleverTap, and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ct_pipeline.clevertap.records import Identifier, PropertyValue
from ct_pipeline.vocabulary import BatchState, ChangeKind, Outcome, Subscription, SubscriptionSource

MAX_BATCH_CHANGES = 1000  # records in one call of /1/upload and /1/subscribe


@dataclass(frozen=True, slots=True)
class Change:
    """One write. Subscription changes name an address as CleverTap spells it, property changes a profile."""

    change_id: int
    batch_id: int
    kind: ChangeKind
    address_id: int | None
    raw_email: str | None
    profile_id: int | None
    identifier: Identifier | None
    properties: Mapping[str, PropertyValue]
    prior_properties: Mapping[str, PropertyValue]  # what CleverTap held of these names; a name that is missing: nothing
    prior_subscription: Subscription
    prior_source: SubscriptionSource
    status: str  # of the verdict that the change rests on, as are the next five
    reason: str
    rule: str
    rules_version: str
    provider: str
    verified_at: datetime | None
    attempt_count: int = 0  # how often it was sent


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a change."""

    change_id: int
    outcome: Outcome
    answered_at: datetime
    code: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionEvent:
    """One ``Channel Unsubscribed`` event of an address, ours or not: who raised it, when, in which direction."""

    happened_at: datetime
    is_resubscribe: bool
    identifier: Identifier
    level: str = ""  # account, profile or empty


@dataclass(frozen=True, slots=True)
class Sending:
    """One time that we sent a subscription change which CleverTap took or may have taken."""

    is_resubscribe: bool
    intended_at: datetime
    answered_at: datetime | None  # None: the answer never came
    raw_email: str = ""  # the spelling that it named
    is_in_their_time: bool = False  # the times are of CleverTap's clock, as those of its events


@dataclass(frozen=True, slots=True)
class AddressHolder:
    """A profile with the address, and what its own summary says of such events."""

    identifier: Identifier
    unsubscribe_event_count: int = 0
    unsubscribe_event_at: datetime | None = None  # of the last
    raw_email: str = ""  # the spelling that it holds


@dataclass(frozen=True, slots=True)
class SubscriptionEvidence:
    """All that is known of one address's e-mail subscription in CleverTap."""

    events: Sequence[SubscriptionEvent] = ()
    sendings: Sequence[Sending] = ()
    holders: Sequence[AddressHolder] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """At most :data:`MAX_BATCH_CHANGES` changes of one kind, and where they stand."""

    batch_id: int
    project: str
    kind: ChangeKind
    state: BatchState
    change_count: int
    held_because: str
    approved_by: str | None
    approved_because: str | None
    approved_at: datetime | None
    undoes_batch_id: int | None
    plan_id: int | None
    planned_at: datetime
    sending_at: datetime | None
    done_at: datetime | None
    read_back: str
    outcomes: Mapping[Outcome, int] = field(default_factory=dict[Outcome, int])


@dataclass(frozen=True, slots=True)
class Undoable:
    """A change of the batch to undo, and what became of it."""

    change: Change
    outcome: Outcome | None  # None: it has no receipt
    is_undone: bool = False  # by a change that CleverTap took, or that is still to be sent
    later_batch_id: int | None = None  # that has unsubscribed the address again
    held_properties: Mapping[str, object] | None = None  # that the profile is believed to hold; None: it is gone
