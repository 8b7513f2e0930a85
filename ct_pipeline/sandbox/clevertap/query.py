"""CleverTap's query language as the simulated exports and counts understand it (4.7; pure).

A query may name a base event with a range of days, properties of that event, conditions on the profile, and
combinations of further events. Of the conditions that need devices or places, those that the sandbox has data for.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ct_pipeline.sandbox.clevertap.faults import Switches
from ct_pipeline.sandbox.clevertap.profiles import DAY_SECONDS, REACHABLE_BY, AccountProfile, Raised, Shown, device_of

TEXT_OPERATORS = ("equals", "not_equals", "contains", "does_not_contain", "exists", "does_not_exist")
NUMBER_OPERATORS = ("greater_than", "greater_than_equals", "less_than", "less_than_equals")
LOOK_BACK_DAYS = 365


class QueryError(Exception):
    """The query does not make sense; ``code`` is what the API answers with."""

    def __init__(self, text: str, code: int = 400) -> None:
        super().__init__(text)
        self.code = code


class Range(NamedTuple):
    """Unix seconds: from the first, before the last."""

    begins_at: float
    ends_at: float


class EventCondition(NamedTuple):
    name: str
    within: Range
    properties: list[Mapping[str, object]]


class Query:
    """One query, checked. ``today`` and the days in it are the account's."""

    def __init__(
        self,
        body: object,
        zone: ZoneInfo,
        now: float,
        switches: Switches,
        event_names: set[str],
        *,
        needs_event: bool = False,
    ) -> None:
        if not isinstance(body, dict):
            raise QueryError("Malformed request")
        self._zone, self._now, self._switches = zone, now, switches
        self._event_names = {name.lower(): name for name in event_names}
        profile_part = body.get("common_profile_properties") or {}
        self._advanced = body.get("advanced_query") or {}
        if not isinstance(profile_part, dict) or not isinstance(self._advanced, dict):
            raise QueryError("Malformed request")
        self._conditions = list(_profile_conditions(profile_part))
        self.event: EventCondition | None = None
        if "event_name" in body:
            self.event = self._event_condition(body)
        elif needs_event or not (profile_part or self._advanced):
            raise QueryError("Event name is missing")
        self._combinations = list(self._combined())

    def matches(self, profile: AccountProfile, shown: Shown) -> bool:
        """Whether the profile belongs to the people that are asked for."""
        if self.event is not None:
            if next(self.occurrences(profile), None) is None:
                return False
        elif not self._is_active(profile):
            return False
        return self.matches_profile(profile, shown)

    def matches_profile(self, profile: AccountProfile, shown: Shown) -> bool:
        """The same without the base event."""
        return all(condition(profile, shown) for condition in self._conditions) and all(
            condition(profile) for condition in self._combinations
        )

    def occurrences(self, profile: AccountProfile, event: EventCondition | None = None) -> Iterator[Raised]:
        """When the profile raised the base event, with the properties asked for."""
        event = event or self.event
        assert event is not None
        for raised in profile.raised.get(event.name, ()):
            if event.within.begins_at <= raised.at < event.within.ends_at and all(
                compare(raised.properties.get(str(wanted.get("name"))), wanted) for wanted in event.properties
            ):
                yield raised

    def _is_active(self, profile: AccountProfile) -> bool:
        """Without a base event the query runs over all events of the past 365 days (4.6)."""
        if self._switches.eventless_profiles == "exported":
            return True
        since = self._now - LOOK_BACK_DAYS * DAY_SECONDS
        return any(
            raised[-1].at >= since
            for name, raised in profile.raised.items()
            if raised and (self._switches.reachable_by_counts or name != REACHABLE_BY)
        )

    def _event_condition(self, body: Mapping[str, object]) -> EventCondition:
        name = body.get("event_name")
        if not isinstance(name, str) or not name.strip():
            raise QueryError("Event name is missing")
        known = self._event_names.get(name.lower())  # event names are case-insensitive
        if known is None and self._switches.unknown_event == "refused":
            raise QueryError(f"Event {name} not found", 4004)
        first, last = self._day(body.get("from"), "from"), self._day(body.get("to"), "to")
        if last > datetime.fromtimestamp(self._now, self._zone).date():
            raise QueryError("'to' date cannot be in the future", 4002)
        if first > last:
            raise QueryError("'from' date cannot be after 'to' date")
        within = Range(self._midnight(first), self._midnight(last + timedelta(days=1)))
        properties = body.get("event_properties") or body.get("props") or []
        return EventCondition(known or name, within, list(_fields(properties)))

    def _combined(self) -> Iterator[Callable[[AccountProfile], bool]]:
        for part in self._advanced.get("did_all", ()):
            yield self._did(self._event_condition(part), part)
        for part in self._advanced.get("did_none", ()):
            event = self._event_condition(part)
            yield lambda profile, event=event: next(self.occurrences(profile, event), None) is None
        any_part = self._advanced.get("did_any")
        if any_part:
            choices = [self._did(self._event_condition(part), any_part) for part in any_part.get("any_events", ())]
            yield lambda profile: any(choice(profile) for choice in choices)

    def _did(self, event: EventCondition, part: Mapping[str, object]) -> Callable[[AccountProfile], bool]:
        wanted = {"operator": "greater_than_equals", "value": 1} | {
            key: part[key] for key in ("operator", "value") if key in part
        }
        return lambda profile: compare(sum(1 for _ in self.occurrences(profile, event)), wanted)

    def _day(self, value: object, key: str) -> date:
        try:
            return datetime.strptime(str(value), "%Y%m%d").date()  # noqa: DTZ007 a day of the account
        except ValueError:
            raise QueryError(f"'{key}' date is not valid, YYYYMMDD is expected") from None

    def _midnight(self, day: date) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()


def compare(value: object, wanted: Mapping[str, object]) -> bool:
    """Whether ``value`` (None: there is none) satisfies ``{"operator": …, "value": …}``; an array means any of."""
    operator, asked = wanted.get("operator", "equals"), wanted.get("value")
    if operator == "exists":
        return value is not None
    if operator == "does_not_exist":
        return value is None
    choices = asked if isinstance(asked, list) else [asked]
    if operator in ("not_equals", "does_not_contain"):
        positive = "equals" if operator == "not_equals" else "contains"
        return not compare(value, {**wanted, "operator": positive})
    if value is None:
        return False
    values = value if isinstance(value, list) else [value]
    return any(_holds(one, str(operator), choice) for one in values for choice in choices)


def _holds(value: object, operator: str, asked: object) -> bool:
    if operator == "equals":
        return _text(value) == _text(asked)
    if operator == "contains":
        return _text(asked) in _text(value)
    try:
        left, right = float(str(value)), float(str(asked))
    except ValueError:
        return False
    match operator:
        case "greater_than":
            return left > right
        case "greater_than_equals":
            return left >= right
        case "less_than":
            return left < right
        case _:
            return left <= right


def _text(value: object) -> str:
    """``True`` is written "True" in queries; text is compared without case."""
    return str(value).lower()


def _profile_conditions(part: Mapping[str, object]) -> Iterator[Callable[[AccountProfile, Shown], bool]]:
    for wanted in _fields(part.get("profile_fields") or []):
        yield lambda _, shown, wanted=wanted: compare(_field(shown, str(wanted.get("name"))), wanted)
    for wanted in _fields(part.get("demographics") or []):
        yield lambda _, shown, wanted=wanted: compare(_field(shown, str(wanted.get("name"))), wanted)
    for wanted in [*_fields(part.get("technographics") or []), *_fields(part.get("app_fields") or [])]:
        yield lambda profile, _, wanted=wanted: any(
            compare(_device_field(object_id, str(wanted.get("name"))), {"operator": "contains"} | dict(wanted))
            for object_id in profile.object_ids
        )
    unknown = set(part) - {"profile_fields", "demographics", "technographics", "app_fields"}
    if unknown:
        raise QueryError(f"The sandbox has no data for {', '.join(sorted(unknown))}")


def _fields(value: object) -> Iterator[Mapping[str, object]]:
    """Raises QueryError for what is no list of conditions, or holds an operator that does not exist."""
    if not isinstance(value, list):
        raise QueryError("Malformed request")
    for wanted in value:
        if not isinstance(wanted, dict) or not isinstance(wanted.get("name"), str):
            raise QueryError("Malformed request")
        if wanted.get("operator", "equals") not in TEXT_OPERATORS + NUMBER_OPERATORS:
            raise QueryError(f"Operator {wanted['operator']} is not valid")
        yield wanted


def _device_field(object_id: str, name: str) -> object:
    """Queries know the platforms as AndroidApp, iOSApp and Web."""
    device = device_of(object_id)
    if name.lower() == "platform":
        return "Web" if device["platform"] == "Web" else f"{device['platform']}App"
    return device.get(name.lower().replace(" ", "_"))


def _field(shown: Shown, name: str) -> object:
    match name:
        case "Email":
            return shown.email
        case "Phone":
            return shown.phone
        case "Name":
            return shown.name
    return shown.properties.get(name)
