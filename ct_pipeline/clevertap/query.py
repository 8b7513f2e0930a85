"""CleverTap's query language: the queries that we ask, and whether a user's own fits it (pure).

Source: https://developer.clevertap.com/docs/clevertap-query-language. A misspelt key would silently widen an audience,
so unknown keys are refused.
"""

import difflib
import re
from collections.abc import Collection
from datetime import date

from ct_pipeline.errors import AudienceError

UNSUBSCRIBE_EVENT = "Channel Unsubscribed"
_FILTERS = ("profile_fields", "demographics", "technographics", "app_fields", "reachability")
_EVENT_KEYS = ("event_name", "from", "to", "event_properties", "session_properties", "props")
_QUERY_KEYS = (*_EVENT_KEYS, "common_profile_properties", "advanced_query")
_STRING_OPERATORS = ("equals", "not_equals", "contains", "does_not_contain", "exists", "does_not_exist")
_NUMBER_OPERATORS = ("greater_than", "greater_than_equals", "less_than", "less_than_equals")
_OPERATORS = (*_STRING_OPERATORS, *_NUMBER_OPERATORS)
_VALUELESS = ("exists", "does_not_exist")


def day_query(event: str, day: date) -> dict[str, object]:
    """Whoever raised ``event`` on ``day``."""
    return {"event_name": event, "from": _number(day), "to": _number(day)}


def everyone_query() -> dict[str, object]:
    """Whoever has an email, and raised any event within the last 365 days: an export without an event means that."""
    has_email = {"name": "Email", "operator": "contains", "value": "@"}
    return {"common_profile_properties": {"profile_fields": [has_email]}}


def unsubscribe_events_query(first: date, last: date) -> dict[str, object]:
    """The events of unsubscribing and resubscribing, of both days and those between."""
    return {"event_name": UNSUBSCRIBE_EVENT, "from": _number(first), "to": _number(last)}


def check_query(query: object) -> dict[str, object]:
    """``query`` as CleverTap takes it: days as numbers, true and false as its words for them.

    Raises:
        AudienceError: it does not fit; the text names the key and the mend.
    """
    fields = _object(query, "the query")
    _known_keys(fields, _QUERY_KEYS, "the query")
    checked = _event(fields, "the query", is_event_needed=False)
    if "common_profile_properties" in fields:
        checked["common_profile_properties"] = _profile_filters(fields["common_profile_properties"])
    if "advanced_query" in fields:
        checked["advanced_query"] = _advanced(fields["advanced_query"])
    if not {"event_name", "common_profile_properties", "advanced_query"} & checked.keys():
        raise AudienceError(
            "The query names nobody: give it event_name with from and to, common_profile_properties or advanced_query."
        )
    return checked


def _event(fields: dict[str, object], where: str, is_event_needed: bool) -> dict[str, object]:
    """The keys that describe an event with its days and filters."""
    checked: dict[str, object] = {}
    if is_event_needed or "event_name" in fields:
        name = fields.get("event_name")
        if not isinstance(name, str) or not name.strip():
            raise AudienceError(f'event_name of {where} must be the name of an event, such as "App Launched".')
        checked["event_name"] = name
    if checked or "from" in fields or "to" in fields:
        first, last = _day(fields, "from", where), _day(fields, "to", where)
        if first > last:
            raise AudienceError(f"from of {where} is after to: {first} and {last}.")
        checked |= {"from": first, "to": last}
    for key in ("event_properties", "session_properties", "props"):
        if key in fields:
            if "event_name" not in checked:
                raise AudienceError(f"{key} of {where} needs an event_name.")
            checked[key] = _filters(fields[key], f"{key} of {where}")
    return checked


def _profile_filters(value: object) -> dict[str, object]:
    where = "common_profile_properties"
    fields = _object(value, where)
    _known_keys(fields, (*_FILTERS, "geo_fields", "geo_radius"), where)
    if not fields:
        raise AudienceError(f"{where} is empty: it would mean everyone. Give it profile_fields, for example.")
    checked: dict[str, object] = {}
    for key, inner in fields.items():
        if key in _FILTERS:
            checked[key] = _filters(inner, f"{key} of {where}")
        else:
            kind = str if key == "geo_fields" else int | float
            rows = _list(inner, f"{key} of {where}")
            if not all(isinstance(row, list) and row and all(isinstance(cell, kind) for cell in row) for row in rows):
                example = '[["India", "Maharashtra", "Mumbai"]]' if key == "geo_fields" else "[[19.07, 72.87, 5.0]]"
                raise AudienceError(f"{key} of {where} must be a list of lists, such as {example}.")
            checked[key] = rows
    return checked


def _advanced(value: object) -> dict[str, object]:
    fields = _object(value, "advanced_query")
    _known_keys(fields, ("did_all", "did_any", "did_none"), "advanced_query")
    if not fields:
        raise AudienceError("advanced_query is empty: give it did_all, did_any or did_none.")
    checked: dict[str, object] = {}
    for key in ("did_all", "did_none"):
        if key in fields:
            checked[key] = _did(fields[key], key)
    if "did_any" in fields:
        any_of = _object(fields["did_any"], "did_any")
        _known_keys(any_of, ("any_events", "operator", "value"), "did_any")
        events = {"any_events": _did(any_of.get("any_events"), "any_events of did_any")}
        checked["did_any"] = events | _operator_and_value(any_of, "did_any", is_value_needed=False)
    return checked


def _did(value: object, where: str) -> list[object]:
    checked: list[object] = []
    for entry in _list(value, where):
        fields = _object(entry, f"an entry of {where}")
        _known_keys(fields, (*_EVENT_KEYS, "operator", "value"), where)
        event = _event(fields, where, is_event_needed=True)
        checked.append(event | _operator_and_value(fields, where, is_value_needed=False))
    return checked


def _filters(value: object, where: str) -> list[object]:
    checked: list[object] = []
    for entry in _list(value, where):
        fields = _object(entry, f"an entry of {where}")
        _known_keys(fields, ("name", "operator", "value"), where)
        name = fields.get("name")
        if not isinstance(name, str) or not name.strip():
            raise AudienceError(f"An entry of {where} has no name; it is the property that is compared.")
        checked.append({"name": name} | _operator_and_value(fields, f"{name!r} in {where}", is_value_needed=True))
    return checked


def _operator_and_value(fields: dict[str, object], where: str, *, is_value_needed: bool) -> dict[str, object]:
    checked: dict[str, object] = {}
    operator = fields.get("operator")
    if "operator" in fields:
        if operator not in _OPERATORS:
            raise AudienceError(f"operator of {where} is {operator!r}; it must be one of {', '.join(_OPERATORS)}.")
        checked["operator"] = operator
    if "value" in fields:
        checked["value"] = _value(fields["value"], where)
    elif operator in _VALUELESS:
        checked["value"] = "-1"  # CleverTap looks for a value although it needs none
    elif is_value_needed:
        raise AudienceError(f"value of {where} is missing.")
    if operator in _NUMBER_OPERATORS and not _is_number(checked.get("value")):
        raise AudienceError(f"value of {where} must be a number, because its operator is {operator}.")
    return checked


def _value(value: object, where: str) -> object:
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list) and value:
        scalars = [_value(each, where) for each in value if not isinstance(each, list)]
        if len(scalars) == len(value):
            return scalars
    raise AudienceError(f"value of {where} must be a text, a number, or a list of them (any of which fits).")


def _day(fields: dict[str, object], key: str, where: str) -> int:
    digits = str(fields.get(key, ""))
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) if re.fullmatch("[0-9]{8}", digits) else None
    except ValueError:
        day = None
    if day is None:
        raise AudienceError(f"{key} of {where} must be a day as a number, such as 20260131.")
    return _number(day)


def _is_number(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)


def _known_keys(fields: dict[str, object], known: Collection[str], where: str) -> None:
    for key in fields:
        if key not in known:
            likely = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {likely[0]}?" if likely else f"it has {', '.join(known)}."
            raise AudienceError(f"{key!r} is no key of {where} in CleverTap's query language; {hint}")


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise AudienceError(f"{what} must be a JSON object {{…}}.")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise AudienceError(f"{what} must be a list […] with at least one entry.")
    return value


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
