"""The people of a simulated CleverTap account, as records: a few by hand, or thousands by ``people.py``."""

import hashlib
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

DAY_SECONDS = 86_400
NO_PROPERTIES: Mapping[str, object] = MappingProxyType({})

CHANNEL_UNSUBSCRIBED = "Channel Unsubscribed"
REACHABLE_BY = "Reachable By"
APP_LAUNCHED = "App Launched"

_PLATFORMS: tuple[Mapping[str, object], ...] = (
    {"platform": "Android", "os_version": "14", "app_version": "5.2.0", "make": "Samsung", "model": "SM-S911B"},
    {"platform": "iOS", "os_version": "18.1", "app_version": "5.2.0", "make": "Apple", "model": "iPhone15,2"},
    {"platform": "Web", "os_version": "10", "make": "Windows", "model": ""},
)


class Raised(NamedTuple):
    """One event of one profile. ``at`` is in Unix seconds."""

    at: int
    properties: Mapping[str, object] = NO_PROPERTIES


Moments = Iterable[datetime | int | Raised]


@dataclass(slots=True, eq=False)
class AccountProfile:
    """One profile, with what CleverTap shows of it and what it keeps to itself.

    Everything may be left out. ``object_ids`` are its devices; none given means one that is made up. ``events`` maps
    names to when they were raised; None means that the app was launched a day ago. ``msg_email`` is the profile's own
    flag (None: never set), ``is_dnd`` whether its address is opted out, for everyone who holds it. ``mailbox`` is the
    address that ``email`` means, in plain spelling, where the sandbox knows it.
    """

    identity: str | None = None
    email: str | None = None
    object_ids: tuple[str, ...] = ()
    properties: dict[str, object] = field(default_factory=dict)
    events: Mapping[str, Moments] | None = None
    msg_email: bool | None = None
    is_dnd: bool = False
    name: str | None = None
    phone: int | str | None = None
    other_identities: tuple[str, ...] = ()
    mailbox: str | None = None
    is_made_by_upload: bool = False
    raised: dict[str, list[Raised]] = field(default_factory=dict, repr=False)
    shown: "Shown | None" = field(default=None, repr=False)

    @property
    def identities(self) -> tuple[str, ...]:
        return (*([self.identity] if self.identity else ()), *self.other_identities)

    def settle(self, number: int, now: float | None = None) -> None:
        """Fill in what was left out; ``number`` tells it from the other profiles of its account."""
        if not self.object_ids:
            self.object_ids = (object_id_of(f"{number}/{self.identity}"),)
        if self.raised:
            return
        events = self.events
        if events is None:
            launched_at = int(now if now is not None else time.time()) - DAY_SECONDS
            events = {APP_LAUNCHED: [launched_at]}
        self.raised = {
            name: sorted(map(_raised, moments), key=lambda raised: raised.at) for name, moments in events.items()
        }

    def raise_event(self, name: str, at: int, properties: Mapping[str, object] = NO_PROPERTIES) -> None:
        occurrences = self.raised.setdefault(name, [])
        occurrences.append(Raised(at, properties))
        if len(occurrences) > 1 and occurrences[-2].at > at:
            occurrences.sort(key=lambda raised: raised.at)


@dataclass(frozen=True, slots=True)
class Shown:
    """What reads still see of a profile until ``until`` (Unix seconds): CleverTap shows a write after a while."""

    until: float
    email: str | None
    name: str | None
    phone: int | str | None
    properties: Mapping[str, object]
    msg_email: bool | None
    is_dnd: bool


def object_id_of(text: str) -> str:
    """A CleverTap id, always the same for the same text."""
    return "__g" + hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def device_of(object_id: str) -> dict[str, object]:
    """What ``platformInfo`` says of a device; always the same for the same id."""
    platform = _PLATFORMS[zlib.crc32(object_id.encode()) % len(_PLATFORMS)]
    return {**platform, "objectId": object_id}


def _raised(moment: datetime | int | Raised) -> Raised:
    if isinstance(moment, Raised):
        return moment
    return Raised(int(moment.timestamp()) if isinstance(moment, datetime) else moment)
