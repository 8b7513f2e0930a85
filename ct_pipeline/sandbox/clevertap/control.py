"""Paths of the simulator that CleverTap has not: its true state, and what happens to an account from outside.

``GET /sandbox/state``, ``GET /sandbox/requests``, ``POST /sandbox/opt-out``, ``POST /sandbox/opt-in``,
``POST /sandbox/faults`` and ``POST /sandbox/expire-cursors``. They need no passcode: the sandbox is on loopback.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Literal

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.api import ClevertapApi
from ct_pipeline.sandbox.clevertap.faults import change_settings
from ct_pipeline.sandbox.clevertap.profiles import NO_PROPERTIES, AccountProfile

Level = Literal["account", "profile"]


class Control:
    """What a test does to a simulated account while a pipeline works on it."""

    def __init__(self, api: ClevertapApi) -> None:
        self._api = api
        self._account: Account = api.account

    def state(self, identity: str | None = None, email: str | None = None) -> list[dict[str, object]]:
        """The truth about every profile, or those with this identity or address; pending writes are in it."""
        return [self._described(profile) for profile in self._chosen(identity, None, email)]

    def opt(
        self,
        is_out: bool,
        *,
        identity: str | None = None,
        object_id: str | None = None,
        email: str | None = None,
        level: Level = "account",
        properties: Mapping[str, object] = NO_PROPERTIES,
    ) -> int:
        """A user clicks unsubscribe (or opts in again); how many profiles that is about.

        Level ``account`` is about the address, so about everyone who holds it, ``profile`` about the profile's flag.
        ``properties`` are further ones of the event, such as ``{"Type": "bounced", "Reason": "550 5.1.1 …"}``.

        Raises:
            SettingsError: nobody is meant.
        """
        if level not in ("account", "profile"):
            raise SettingsError(f"level {level}: account or profile")
        chosen = list(self._chosen(identity, object_id, email)) if identity or object_id or email else []
        if not chosen:
            raise SettingsError("nobody has this identity, objectId or email")
        if level == "profile":
            for profile in chosen:
                self._account.set_msg_email(profile, not is_out, properties)
            return len(chosen)
        addresses = dict.fromkeys(profile.email for profile in chosen if profile.email is not None)
        if not addresses:
            raise SettingsError("the profile has no email")
        for address in addresses:
            self._account.set_opted_out(address, is_out, properties)
        return sum(len(self._account.holders(address)) for address in addresses)

    def change(self, changes: dict[str, object]) -> dict[str, object]:
        """Set faults and switches; what all of them are now. Raises SettingsError naming what does not fit."""
        change_settings(self._api.faults, self._account.switches, changes)
        return self._api.faults.model_dump(mode="json") | self._account.switches.model_dump(mode="json")

    def expire_cursors(self) -> None:
        self._api.reads.exports.forget_all()

    def requests(self) -> list[dict[str, object]]:
        return [asdict(request) for request in self._api.log.requests]

    def _chosen(self, identity: str | None, object_id: str | None, email: str | None) -> Iterator[AccountProfile]:
        if identity is not None:
            found = self._account.by_identity(identity)
            return iter([found] if found else [])
        if object_id is not None:
            found = self._account.by_object_id(object_id)
            return iter([found] if found else [])
        return iter(self._account.profiles if email is None else list(self._account.holders(email)))

    def _described(self, profile: AccountProfile) -> dict[str, object]:
        return {
            "identity": profile.identity,
            "all_identities": list(profile.identities),
            "object_ids": list(profile.object_ids),
            "email": profile.email,
            "mailbox": profile.mailbox,
            "name": profile.name,
            "phone": profile.phone,
            "properties": dict(profile.properties),
            "msg_email": profile.msg_email,
            "is_dnd": self._account.is_opted_out(profile.email),
            "is_reachable": self._account.is_reachable(profile),
            "is_made_by_upload": profile.is_made_by_upload,
            "events": {
                name: [
                    {"at": raised.at, **({"properties": dict(raised.properties)} if raised.properties else {})}
                    for raised in occurrences
                ]
                for name, occurrences in profile.raised.items()
            },
        }
