"""Bodies of ``/1/upload`` and ``/1/subscribe``, and which answer belongs to which record (pure).

Sources: https://developer.clevertap.com/docs/upload-user-profiles-api, https://developer.clevertap.com/docs/subscribe-api;
the texts of answers as recorded in real exchanges (reference, section 5.6).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ct_pipeline.clevertap.answers import quoted
from ct_pipeline.clevertap.records import Identifier, PropertyValue, RecordAnswer
from ct_pipeline.errors import CleverTapUnavailableError

MAX_RECORDS = 1000  # in one call, of either kind
_SKIPPED = re.compile(r"Skipped record number\s*:\s*(\d{1,6})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PropertyRecord:
    """Properties to write to one profile."""

    identifier: Identifier
    properties: Mapping[str, PropertyValue]


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """An address, as CleverTap spells it, to unsubscribe or to resubscribe."""

    email: str
    is_resubscribe: bool


def upload_records(records: Sequence[PropertyRecord]) -> list[dict[str, object]]:
    """What ``d`` of an upload holds. Email and identity are never among the properties: they could merge profiles.

    Raises:
        ValueError: more than 1000 records, or a property that names who a profile is.
    """
    _check_count(len(records))
    for record in records:
        if {"email", "identity", "objectid", "phone"} & {name.lower() for name in record.properties}:
            raise ValueError("Email, Phone and identity are never written: they can merge profiles")
    return [
        {
            "type": "profile",
            record.identifier.kind.value: record.identifier.value,
            "profileData": dict(record.properties),
        }
        for record in records
    ]


def subscription_records(records: Sequence[SubscriptionRecord]) -> list[dict[str, object]]:
    """What ``d`` of a subscribe call holds. The status word is "Resubscribe", not "Subscribe".

    Raises:
        ValueError: more than 1000 records.
    """
    _check_count(len(records))
    return [
        {
            "type": "email",
            "value": record.email,
            "status": "Resubscribe" if record.is_resubscribe else "Unsubscribe",
        }
        for record in records
    ]


def match_answers(sent: Sequence[Mapping[str, object]], payload: Mapping[str, object]) -> list[RecordAnswer]:
    """What CleverTap said of each record of ``sent``, in its order.

    A refused record is found by ``Skipped record number : N`` where the echoed record agrees, else by its echo.

    Raises:
        CleverTapUnavailableError: an answer belongs to no record, or the figures do not add up: what became of the
            records is not known, and sending them again does no harm.
    """
    unprocessed = payload.get("unprocessed") or []
    if not isinstance(unprocessed, list) or len(unprocessed) > len(sent):
        raise CleverTapUnavailableError("CleverTap's answer to an upload lists more refused records than were sent.")
    answers: list[RecordAnswer | None] = [None] * len(sent)
    for item in unprocessed:
        position = _position(sent, answers, item)
        if position is None:
            raise CleverTapUnavailableError("CleverTap refused a record of an upload, but does not say which.")
        answers[position] = RecordAnswer(False, _code(item), quoted(_SKIPPED.sub("", _error(item))))
    processed = payload.get("processed")
    accepted = len(sent) - len(unprocessed)
    if processed is None and payload.get("status") == "success" and not unprocessed:
        processed = accepted
    if processed != accepted or isinstance(processed, bool):
        raise CleverTapUnavailableError(
            f"CleverTap's answer to an upload of {len(sent)} records does not add up: "
            f"{quoted(str(processed))} processed, {len(unprocessed)} refused."
        )
    return [answer or RecordAnswer(True) for answer in answers]


def _position(sent: Sequence[Mapping[str, object]], answers: Sequence[RecordAnswer | None], item: object) -> int | None:
    """Index of the record that ``item`` refuses, of those without an answer."""
    numbered = _SKIPPED.search(_error(item))
    echo = item.get("record") if isinstance(item, dict) else None
    echoed = _key(echo) if isinstance(echo, dict) else None
    if numbered and 1 <= (number := int(numbered[1])) <= len(sent) and answers[number - 1] is None:
        is_confirmed = echoed is None or echoed == _key(sent[number - 1])
        if is_confirmed:
            return number - 1
    if echoed is None:
        return None
    return next(
        (at for at, record in enumerate(sent) if answers[at] is None and _key(record) == echoed),
        None,
    )


def _key(record: Mapping[str, object]) -> tuple[str, ...] | None:
    """What tells records of one call apart. Values are compared as text: echoes turn some into numbers."""
    for name in ("identity", "objectId", "FBID", "GPID"):
        if record.get(name) is not None:
            return (name, str(record[name]))
    if record.get("value") is not None:
        return ("value", str(record["value"]).casefold(), str(record.get("status")).casefold())
    return None


def _error(item: object) -> str:
    error = item.get("error") if isinstance(item, dict) else None
    return error if isinstance(error, str) else ""


def _code(item: object) -> int | None:
    code = item.get("code") if isinstance(item, dict) else None
    if isinstance(code, str) and re.fullmatch(r"\d{1,5}", code):
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 100_000 else None


def _check_count(count: int) -> None:
    if count > MAX_RECORDS:
        raise ValueError(f"{count} records in one call; at most {MAX_RECORDS} are possible")
