"""A CleverTap account in memory: its profiles, who may be written to, and what was raised (no I/O).

Numbers in brackets, here and in the modules beside, are sections of the project's reference of the API: 4 reads, 5
uploads, 6 subscriptions, 8 events, 12 errors.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from ct_pipeline.sandbox.clevertap.faults import Switches
from ct_pipeline.sandbox.clevertap.profiles import (
    CHANNEL_UNSUBSCRIBED,
    NO_PROPERTIES,
    REACHABLE_BY,
    AccountProfile,
    Raised,
    Shown,
)

PROJECT_ID = "SBX-777-4Z7Z"
PASSCODE = "SBX-PASS-CODE"
REGION = "in1"
TIMEZONE = "Asia/Kolkata"  # neither UTC nor whole hours away from it: what mixes them up is seen


@dataclass(frozen=True, slots=True)
class Access:
    """What a client has to know to get in."""

    project_id: str = PROJECT_ID
    passcode: str = field(default=PASSCODE, repr=False)
    timezone: str = TIMEZONE

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Account:
    """The truth. ``now`` is in Unix seconds.

    Writes are true at once. Reads of the API ask :meth:`shown`, which lags behind by the propagation delay.
    """

    def __init__(
        self,
        profiles: Iterable[AccountProfile],
        switches: Switches,
        now: Callable[[], float],
        access: Access | None = None,
    ) -> None:
        self.access = access or Access()
        self.switches = switches
        self.now = now
        self.profiles: list[AccountProfile] = []
        self.event_names = {CHANNEL_UNSUBSCRIBED, REACHABLE_BY}
        self._by_identity: dict[str, AccountProfile] = {}
        self._by_object_id: dict[str, AccountProfile] = {}
        self._by_email: dict[str, list[AccountProfile]] = {}  # folded: who holds it in whatever spelling
        self._opted_out: dict[str, set[str]] = {}  # folded: the spellings that are opted out
        for profile in profiles:
            self.add(profile)

    # -- finding

    def by_identity(self, identity: str) -> AccountProfile | None:
        return self._by_identity.get(identity)

    def by_object_id(self, object_id: str) -> AccountProfile | None:
        return self._by_object_id.get(object_id)

    def holders(self, address: str) -> list[AccountProfile]:
        """Who has this address, in the order of the account."""
        holders = self._by_email.get(_folded(address), ())
        exactly = self.switches.has_case_sensitive_addresses
        return [profile for profile in holders if not exactly or profile.email == address]

    def is_opted_out(self, address: str | None) -> bool:
        spellings = self._opted_out.get(_folded(address)) if address is not None else None
        return bool(spellings) and (not self.switches.has_case_sensitive_addresses or address in spellings)

    def is_reachable(self, profile: AccountProfile) -> bool:
        """Whether a campaign would write to the profile (6.5)."""
        return bool(profile.email) and profile.msg_email is not False and not self.is_opted_out(profile.email)

    def shown(self, profile: AccountProfile) -> Shown:
        """The profile as reads see it."""
        if profile.shown is not None and self.now() < profile.shown.until:
            return profile.shown
        profile.shown = None
        return self._snapshot(profile)

    def shown_events(self, profile: AccountProfile) -> Iterator[tuple[str, list[Raised]]]:
        """The events that reads see of the profile, oldest first, by name."""
        delay = self.switches.event_delay_seconds
        latest = self.now() - delay
        for name, raised in profile.raised.items():
            visible = raised if not delay else [one for one in raised if one.at <= latest]
            if visible:
                yield name, visible

    # -- changing

    def add(self, profile: AccountProfile) -> AccountProfile:
        profile.settle(len(self.profiles), self.now())
        self.profiles.append(profile)
        for identity in profile.identities:
            self._by_identity.setdefault(identity, profile)
        for object_id in profile.object_ids:
            self._by_object_id.setdefault(object_id, profile)
        if profile.email is not None:
            self._by_email.setdefault(_folded(profile.email), []).append(profile)
            if profile.is_dnd:
                self._opted_out.setdefault(_folded(profile.email), set()).add(profile.email)
        self.event_names.update(profile.raised)
        return profile

    def remove(self, profile: AccountProfile) -> None:
        self.profiles.remove(profile)
        for identity in profile.identities:
            self._by_identity.pop(identity, None)
        for object_id in profile.object_ids:
            self._by_object_id.pop(object_id, None)
        if profile.email is not None:
            self._by_email[_folded(profile.email)].remove(profile)

    def before_write(self, profile: AccountProfile) -> None:
        """Call before a profile is changed, so that reads go on showing what was there for a while."""
        delay = self.switches.propagation_seconds
        if delay:
            before = self.shown(profile)
            profile.shown = _until(before, self.now() + delay)

    def attach_identity(self, profile: AccountProfile, identity: str) -> None:
        """Another name for the profile. One that somebody else has stays theirs: profiles are not merged here."""
        if identity in self._by_identity:
            return
        if profile.identity is None:
            profile.identity = identity
        else:
            profile.other_identities = (*profile.other_identities, identity)
        self._by_identity[identity] = profile

    def set_email(self, profile: AccountProfile, email: str) -> None:
        if profile.email == email:
            return
        if profile.email is not None:
            self._by_email[_folded(profile.email)].remove(profile)
        profile.email = email
        self._by_email.setdefault(_folded(email), []).append(profile)
        self.raise_event(profile, REACHABLE_BY)

    def set_opted_out(self, address: str, is_opted_out: bool, properties: Mapping[str, object] = NO_PROPERTIES) -> None:
        """Opt an address out, or lift that, for every profile that holds it; raises the event for each (6.1)."""
        is_repeat = self.is_opted_out(address) == is_opted_out
        spellings = self._opted_out.setdefault(_folded(address), set())
        if is_opted_out:
            spellings.add(address)
        elif self.switches.has_case_sensitive_addresses:
            spellings.discard(address)
        else:
            spellings.clear()
        if is_repeat and not self.switches.repeat_raises_event:
            return
        for profile in self.holders(address):
            self._raise_subscription_event(profile, is_opted_out, "account", properties)

    def set_msg_email(
        self, profile: AccountProfile, is_subscribed: bool, properties: Mapping[str, object] = NO_PROPERTIES
    ) -> None:
        """Set the flag of one profile; others that share the address are left alone (6.2)."""
        is_repeat = (profile.msg_email is not False) == is_subscribed
        profile.msg_email = is_subscribed
        if self.switches.flag_raises_event and not (is_repeat and not self.switches.repeat_raises_event):
            self._raise_subscription_event(profile, not is_subscribed, "profile", properties)

    def raise_event(
        self,
        profile: AccountProfile,
        name: str,
        properties: Mapping[str, object] = NO_PROPERTIES,
        at: int | None = None,
    ) -> None:
        self.event_names.add(name)
        profile.raise_event(name, int(self.now()) if at is None else at, properties)

    def _raise_subscription_event(
        self, profile: AccountProfile, is_opt_out: bool, level: str, properties: Mapping[str, object]
    ) -> None:
        event: dict[str, object] = {"Identity": profile.email or "", "Subscription Type": level}
        event["Resubscribed"] = self._boolean(not is_opt_out)
        self.raise_event(profile, CHANNEL_UNSUBSCRIBED, event | dict(properties))

    def _boolean(self, value: bool) -> bool | str:
        return value if self.switches.event_booleans == "bool" else str(value).lower()

    def _snapshot(self, profile: AccountProfile) -> Shown:
        is_dnd = self.is_opted_out(profile.email)
        return Shown(0, profile.email, profile.name, profile.phone, profile.properties, profile.msg_email, is_dnd)


def _folded(address: str) -> str:
    return address.strip().lower()


def _until(before: Shown, until: float) -> Shown:
    properties = copy.deepcopy(dict(before.properties))
    return Shown(until, before.email, before.name, before.phone, properties, before.msg_email, before.is_dnd)
