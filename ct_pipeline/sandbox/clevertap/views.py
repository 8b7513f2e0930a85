"""Profiles and events as reads of the simulated API show them (4.2, 4.4, 8.1; no I/O)."""

from datetime import datetime
from typing import Any, NamedTuple

from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile, Raised, Shown, device_of

Record = dict[str, Any]


class Options(NamedTuple):
    """What the query string of the opening call asked for."""

    batch_size: int
    with_app: bool
    with_events: bool
    with_profile: bool


class View:
    """What one read shows, with the options it was asked with."""

    def __init__(self, account: Account, options: Options) -> None:
        self._account, self._options = account, options

    def profile_record(self, profile: AccountProfile) -> Record:
        """A profile with its devices; several identities stand in one string, in brackets."""
        shown = self._account.shown(profile)
        record: Record = {}
        identities = profile.identities
        if identities:
            record["identity"] = identities[0] if len(identities) == 1 else f"[{' '.join(identities)}]"
            record["all_identities"] = list(identities)
        for key, value in (("email", shown.email), ("name", shown.name), ("phone", shown.phone)):
            if value is not None:
                record[key] = value
        if self._options.with_profile and (data := self._data(shown)):
            record["profileData"] = data
        if self._options.with_events:
            record["events"] = {name: _summary(raised) for name, raised in self._account.shown_events(profile)}
        record["platformInfo"] = [self._device(object_id) for object_id in profile.object_ids]
        return record

    def event_record(self, profile: AccountProfile, raised: Raised) -> Record:
        """An event, with a profile that has one object id and no devices."""
        person = self.profile_record(profile)
        device = person.pop("platformInfo")[0]
        person.pop("all_identities", None)
        at = datetime.fromtimestamp(raised.at, self._account.access.zone)
        return {
            "profile": {**device, **person},
            "ts": int(at.strftime("%Y%m%d%H%M%S")),
            "event_props": dict(raised.properties),
            "session_props": {},
        }

    def _data(self, shown: Shown) -> dict[str, object]:
        if not self._account.switches.shows_subscription:
            return dict(shown.properties)
        return {**shown.properties, "MSG-email": shown.msg_email is not False and not shown.is_dnd}

    def _device(self, object_id: str) -> dict[str, object]:
        device = device_of(object_id)
        return device if self._options.with_app else {key: device[key] for key in ("platform", "objectId")}


def _summary(raised: list[Raised]) -> dict[str, int]:
    return {"count": len(raised), "first_seen": raised[0].at, "last_seen": raised[-1].at}
