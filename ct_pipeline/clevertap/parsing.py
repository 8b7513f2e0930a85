"""Records of the API as ours (pure). An odd field is left out, a record that makes no sense is a ``ValueError``.

Shapes: https://developer.clevertap.com/docs/get-user-profiles-api and https://developer.clevertap.com/docs/get-events-api;
oddities seen in the wild: reference, sections 4.2 and 8.1. No text of an error holds anything of the record.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from ct_pipeline.clevertap.json_bodies import is_text, storable
from ct_pipeline.clevertap.records import Event, EventSummary, Identifier, Profile
from ct_pipeline.vocabulary import IdentifierKind

LONGEST_IDENTITY = 1023  # characters; CleverTap's own limit
LONGEST_EMAIL = 4000  # characters; far more than any address has
MOST_OBJECT_IDS = 1000
_KNOWN_KEYS = {"identity", "all_identities", "email", "profileData", "events", "platformInfo", "objectId"}
# CleverTap refuses these as identities: a write by one of them would fail, or meet whoever else has it.
_NO_IDENTITIES = frozenset({
    *("undefined", "null", "na", "n/a", "0", "nil", "-1", "nan", "-nan", "empty", "xxxxxx", "none"),
    *("infinity", "-infinity", "inf", "-inf"),
})  # fmt: skip


def profile_of(record: object) -> Profile:
    """The profile in a record of an export, or in the answer of a look-up.

    Raises:
        ValueError: it is none; the text says what is odd.
    """
    fields = _object(record, "the record")
    object_ids = _object_ids(fields)
    identities, plain_identity = _identities(fields)
    rest = {name: value for name, value in fields.items() if name not in _KNOWN_KEYS}
    devices = fields.get("platformInfo")
    if devices:
        rest["platformInfo"] = devices
    return Profile(
        identifier=_identifier(plain_identity, object_ids),
        object_ids=object_ids,
        all_identities=identities,
        email=_email(fields),
        properties=_storable_object(fields.get("profileData")),
        events=_summaries(fields.get("events")),
        rest=_storable_object(rest),
    )


def event_of(record: object, zone: tzinfo) -> Event:
    """The event in a record of an event export. ``zone`` is the project's: its times are told in it.

    Raises:
        ValueError: it is none, or has no time; the text says what is odd.
    """
    fields = _object(record, "the record")
    profile = _object(fields.get("profile") or {}, "its profile")
    object_ids = _object_ids(profile)
    _, plain_identity = _identities(profile)
    happened_at, or_at = _event_times(fields.get("ts"), zone)
    return Event(
        identifier=_identifier(plain_identity, object_ids),
        object_id=object_ids[0] if object_ids else None,
        email=_email(profile),
        happened_at=happened_at,
        properties=_storable_object(fields.get("event_props")),
        or_at=or_at,
    )


def _identifier(plain_identity: str | None, object_ids: tuple[str, ...]) -> Identifier | None:
    if plain_identity is not None:
        return Identifier(IdentifierKind.IDENTITY, plain_identity)
    if object_ids:
        return Identifier(IdentifierKind.OBJECT_ID, object_ids[0])
    return None


def _identities(fields: Mapping[str, object]) -> tuple[tuple[str, ...], str | None]:
    """All identities, and the one to write by: None when it is missing, packed with others, or one CleverTap refuses.

    Several identities may come packed as ``[one two]``; where one ends is not certain, so none of them is written by.
    """
    identity = _plain(fields.get("identity"))
    packed = identity is not None and identity.startswith("[") and identity.endswith("]")
    found: list[str] = identity[1:-1].split() if identity and packed else [identity] if identity else []
    others = fields.get("all_identities")
    if isinstance(others, str):
        others = others[1:-1].split() if others.startswith("[") and others.endswith("]") else [others]
    if isinstance(others, list):
        found += [other for each in others[:MOST_OBJECT_IDS] if (other := _plain(each))]
    usable = not packed and identity is not None and identity.strip().lower() not in _NO_IDENTITIES
    return tuple(dict.fromkeys(found)), identity if usable else None


def _object_ids(fields: Mapping[str, object]) -> tuple[str, ...]:
    """One per device; for events the profile's only one."""
    devices = fields.get("platformInfo")
    listed = (
        [device.get("objectId") for device in devices if isinstance(device, dict)] if isinstance(devices, list) else []
    )
    candidates = [fields.get("objectId"), *listed[:MOST_OBJECT_IDS]]
    usable = [value for value in candidates if isinstance(value, str) and re.fullmatch(r"[\x21-\x7e]{1,200}", value)]
    return tuple(dict.fromkeys(usable))


def _plain(value: object) -> str | None:
    """A text that can be an identity; numbers are read as their digits."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 200:
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_IDENTITY or not is_text(value):
        return None
    return value


def _email(fields: Mapping[str, object]) -> str | None:
    email = fields.get("email")
    if not isinstance(email, str) or not email.strip():
        return None
    if len(email) > LONGEST_EMAIL:
        raise ValueError(f"its email has more than {LONGEST_EMAIL} characters")
    if not is_text(email):
        raise ValueError("its email is not text")
    return email


def _summaries(events: object) -> dict[str, EventSummary]:
    if not isinstance(events, dict):
        return {}
    return {
        name: EventSummary(
            _count(each.get("count")), _unix_time(each.get("first_seen")), _unix_time(each.get("last_seen"))
        )
        for name, each in events.items()
        if isinstance(each, dict) and is_text(name)
    }


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _unix_time(value: object) -> datetime | None:
    """Unix seconds; a number too large for them is milliseconds, and one that is neither is left out."""
    if isinstance(value, str) and re.fullmatch(r"\d{9,13}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 10**8:
        return None
    seconds = value / 1000 if value >= 10**11 else value
    return datetime.fromtimestamp(seconds, UTC) if seconds < 4_102_444_800 else None  # the year 2100


def _event_times(value: object, zone: tzinfo) -> tuple[datetime, datetime | None]:
    """From YYYYMMDDHHMMSS in the project's zone, which may have been twice; Unix seconds are understood too."""
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"\d{14}", digits):
        try:
            local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=zone)
            first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("its time is no time") from None
        return first, second if second > first else None
    at = _unix_time(value)
    if at is None:
        raise ValueError("it has no time")
    return at, None


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no JSON object")  # noqa: TRY004  (callers set odd records aside)
    return value


def _storable_object(value: object) -> dict[str, object]:
    stored = storable(value) if isinstance(value, dict) else {}
    return stored if isinstance(stored, dict) else {}
