"""What the API finds wrong with one uploaded record, in its own words (5.6; pure).

The texts of codes 513, 515–520 and 525 are recorded ones, spaces and double dots included; the others are made up in
their manner.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

IDENTIFIERS = ("identity", "objectId", "FBID", "GPID")
LONGEST_IDENTITY = 1023
RESERVED_EVENTS = {
    *("notification sent", "notification viewed", "notification clicked", "notification delivered"),
    *("notification replied", "utm visited", "app launched", "app uninstalled", "app version changed", "stayed"),
    *("reply sent", "experiment rendered", "reachable by", "identity reset", "identity set", "identity error"),
    "web page viewed",
}
MOST_EVENT_PROPERTIES = 256
REFUSED_IDENTITIES = {
    *("undefined", "null", "na", "n/a", "0", "nil", "-1", "infinity", "-infinity", "inf", "-inf", "nan", "-nan"),
    *("", "xxxxxx", "none"),
}
EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]+@[^\s@.<>]+(\.[^\s@.<>]+)+")
PHONE = re.compile(r"\+\d{5,15}")
OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RecordError(NamedTuple):
    """``text`` is followed at once by the number of the record."""

    code: int
    text: str


SERVER_ERROR = RecordError(555, "Miscellaneous server error. ")


def record_error(record: object) -> RecordError | None:
    """The first fault of ``record``, or None. Its phone number, if good, becomes an integer, as CleverTap echoes it."""
    if not isinstance(record, dict):
        return RecordError(524, "Record is neither an event nor a profile. ")
    kind = record.get("type")
    if kind == "token":
        return _token_error(record)
    if kind not in ("profile", "event"):
        return RecordError(524, "Record is neither an event nor a profile. ")
    return (
        _identifier_error(record)
        or _time_error(record)
        or (_profile_error(record) if kind == "profile" else _event_error(record))
    )


def identifier_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and value of the identifier of a good record."""
    kind = next(kind for kind in IDENTIFIERS if kind in record)
    return kind, str(record[kind])


def subscription_error(record: object) -> RecordError | None:
    """The first fault of a record of ``/1/subscribe``. Codes and texts are not recorded anywhere."""
    if not isinstance(record, dict):
        return RecordError(524, "Subscription data is incorrect. ")
    kind, value = record.get("type"), record.get("value")
    if kind not in ("email", "phone", "whatsapp"):
        return RecordError(524, "Subscription data is incorrect. Type needs to be email/phone/whatsapp. ")
    if not isinstance(value, str) or (kind == "email" and "@" not in value):
        return RecordError(515, "Profile data is incorrect. Email is not valid.")
    if kind != "email" and not PHONE.fullmatch(value):
        return RecordError(516, "Profile data is incorrect. Phone number is not valid.")
    if record.get("status") not in ("Unsubscribe", "Resubscribe"):
        return RecordError(524, "Subscription data is incorrect. Status needs to be Unsubscribe/Resubscribe. ")
    return None


def _identifier_error(record: Mapping[str, Any]) -> RecordError | None:
    given = [kind for kind in IDENTIFIERS if kind in record]
    if len(given) != 1:
        return RecordError(523, "Set exactly one of identity / objectId / FBID / GPID to identify the user. ")
    kind, value = given[0], record[given[0]]
    if kind == "objectId":
        is_good = isinstance(value, str) and OBJECT_ID.fullmatch(value)
        return None if is_good else RecordError(526, "Object ID is not valid. ")
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if text.strip().lower() in REFUSED_IDENTITIES or len(text) > LONGEST_IDENTITY:
        return RecordError(
            523,
            f"Identity value cannot be {text[:64]} or set at least one of identity / fbId / gpId / objectId under 1024 "
            "chars to identify the user. ",
        )
    return None


def _time_error(record: Mapping[str, Any]) -> RecordError | None:
    ts = record.get("ts", 1)
    is_number = (isinstance(ts, int) and not isinstance(ts, bool)) or (isinstance(ts, str) and ts.isdecimal())
    if not is_number or int(ts) <= 0:
        return RecordError(525, "Timestamp should be present in the Unix Epoch format. ")
    return None


def _one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value.lower() in {word.lower() for word in words}


def _is_email(value: object) -> bool:
    return isinstance(value, str) and EMAIL.fullmatch(value.strip()) is not None


def _is_phone(value: object) -> bool:
    return isinstance(value, str) and PHONE.fullmatch(value) is not None


def _is_age(value: object) -> bool:
    return str(value).isdecimal() and not isinstance(value, bool)


_CHECKS: tuple[tuple[str, Callable[[object], bool], RecordError], ...] = (
    ("Email", _is_email, RecordError(515, "Profile data is incorrect. Email is not valid.")),
    ("Phone", _is_phone, RecordError(516, "Profile data is incorrect. Phone number is not valid.")),
    ("Employed", _one_of("Y", "N"), RecordError(517, "Profile data is incorrect. Employed needs to be Y/N.")),
    (
        "Education",
        _one_of("School", "College", "Graduate"),
        RecordError(518, "Profile data is incorrect. Education needs to be School/College/Graduate.."),
    ),
    ("Married", _one_of("Y", "N"), RecordError(519, "Profile data is incorrect. Married needs to be Y/N.")),
    ("Age", _is_age, RecordError(520, "Profile data is incorrect. Age is invalid.")),
    (
        "Gender",
        _one_of("M", "F", "Male", "Female", "O", "Others", "U", "Unknown"),
        RecordError(514, "Profile data is incorrect. Gender needs to be M/F."),
    ),
)
"""In the order in which recorded answers show that CleverTap checks; it stops at the first fault."""


def _profile_error(record: dict[str, Any]) -> RecordError | None:
    data = record.get("profileData")
    if not isinstance(data, dict):
        return RecordError(524, "Profile data is missing. ")
    for name, is_good, error in _CHECKS:
        if name in data and not is_good(data[name]):
            return error
        if name == "Phone" and name in data:
            data[name] = int(str(data[name])[1:])
    return None


def _event_error(record: Mapping[str, Any]) -> RecordError | None:
    name, data = record.get("evtName"), record.get("evtData", {})
    if not isinstance(name, str) or not name.strip():
        return RecordError(509, "Event Name is incorrect. ErrorCode: 509 - Event name is mandatory. ")
    if name.lower() in RESERVED_EVENTS:
        return RecordError(513, "Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event. ")
    if not isinstance(data, dict):
        return RecordError(512, "Event structure is not valid. ")
    if len(data) > MOST_EVENT_PROPERTIES:
        return RecordError(522, "Event has more than 256 properties. ")
    return None


def _token_error(record: Mapping[str, Any]) -> RecordError | None:
    data = record.get("tokenData")
    if not isinstance(record.get("objectId"), str):
        return RecordError(530, "Object ID is missing. ")
    if not isinstance(data, dict):
        return RecordError(531, "Token data is missing. ")
    if not data.get("id"):
        return RecordError(532, "Token id is missing. ")
    return None if data.get("type") else RecordError(533, "Token type is missing. ")
