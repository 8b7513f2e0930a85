"""What the API returns, as records (pure). Parsing is lenient: an odd field is left out, an odd record set aside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ct_pipeline.vocabulary import IdentifierKind

PropertyValue = str | int | float | bool | list[str] | dict[str, object]
"""A property's value on the wire. A dict is an operator such as ``{"$delete": True}``."""


class Identifier(NamedTuple):
    """How CleverTap is told which profile is meant."""

    kind: IdentifierKind
    value: str


@dataclass(frozen=True, slots=True)
class EventSummary:
    """How often a profile raised an event, and when."""

    count: int
    first_seen_at: datetime | None
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile. ``identifier`` is what writes have to use; None: the record holds nothing to write by."""

    identifier: Identifier | None
    object_ids: tuple[str, ...]
    all_identities: tuple[str, ...]
    email: str | None  # as CleverTap holds it, not trimmed; None: it has none
    properties: Mapping[str, object] = field(default_factory=dict[str, object])  # profileData
    events: Mapping[str, EventSummary] = field(default_factory=dict[str, EventSummary])
    rest: Mapping[str, object] = field(default_factory=dict[str, object])  # every other key of the record, as it came


@dataclass(frozen=True, slots=True)
class Event:
    """One raised event. ``happened_at`` is in the project's time zone on the wire, UTC here.

    In the hour that comes twice when clocks are set back, it is the first of both times, and ``or_at`` the second.
    """

    identifier: Identifier | None
    object_id: str | None
    email: str | None
    happened_at: datetime
    properties: Mapping[str, object] = field(default_factory=dict[str, object])
    or_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """What CleverTap said of one record of an upload."""

    is_processed: bool
    code: int | None = None  # of §5.6 of the API's error codes; None where it is processed
    text: str = ""
