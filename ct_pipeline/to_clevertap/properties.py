"""Verdicts as profile properties: their names, their values as the API wants them, and what is to be sent. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from ct_pipeline.clevertap.properties import MAX_VALUE_BYTES, fitting_value
from ct_pipeline.clevertap.records import PropertyValue
from ct_pipeline.settings import Settings
from ct_pipeline.verdicts.columns import LIST_COLUMNS, ListColumn, list_columns

if TYPE_CHECKING:
    from ct_pipeline.to_clevertap.policy import Policy

DELETE: dict[str, object] = {"$delete": True}  # as CleverTap's SDKs send it
_WIDEST_ZONE_SECONDS = 14 * 3600
_ZONE_STEP_SECONDS = 15 * 60
_ABBREVIATIONS = {"smtp": "SMTP", "mx": "MX"}
_COLUMNS = {column.name: column for column in LIST_COLUMNS}


def property_name(prefix: str, column: str) -> str:
    """``EV Safe To Send`` of ``EV`` and ``safe_to_send``; a prefix that ends in _ or - makes ``ev_safe_to_send``."""
    prefix = prefix.strip()
    if prefix.endswith(("_", "-")):
        return prefix + column
    return " ".join((prefix, *(_ABBREVIATIONS.get(word, word.title()) for word in column.split("_"))))


def property_names(policy: "Policy") -> dict[str, str]:
    """Column → property name, of the columns that the policy appends."""
    return {column: property_name(policy.prefix, column) for column in policy.columns}


def all_property_names(settings: Settings) -> list[str]:
    """The names that any column may have in CleverTap: what of a profile's properties is ours."""
    return [property_name(settings.property_prefix, column.name) for column in LIST_COLUMNS]


def verdict_fields(columns: Iterable[str]) -> list[str]:
    """The fields of ``Verdict`` that :func:`properties_of` needs for these columns, each once."""
    return list(dict.fromkeys(field for column in columns for field in _COLUMNS[column].fields))


def properties_of(rows: pl.DataFrame, policy: "Policy") -> list[dict[str, PropertyValue | None]]:
    """What CleverTap should hold of each row, by property name; None: nothing.

    ``rows`` has at least the columns of :func:`verdict_fields`; a row without a verdict (its ``status`` is null) says
    unknown, not asked yet. Text is cut to 512 bytes, a time is ``$D_`` and Unix seconds; blank text is nothing.
    """
    missing = [field for column in LIST_COLUMNS for field in column.fields if field not in rows.columns]
    complete = rows.with_columns(pl.lit(None).alias(field) for field in dict.fromkeys(missing))
    shown = list_columns(complete)
    names = property_names(policy)
    values = [_values(shown[column], _COLUMNS[column]) for column in names]
    return [dict(zip(names.values(), row, strict=True)) for row in zip(*values, strict=True)]


def differences(wanted: Mapping[str, PropertyValue | None], held: Mapping[str, object]) -> dict[str, PropertyValue]:
    """What has to be sent so that CleverTap holds what is wanted: only what differs; None wanted deletes."""
    changes: dict[str, PropertyValue] = {}
    for name, value in wanted.items():
        if value is None:
            if name in held:
                changes[name] = DELETE
        elif name not in held or not _is_same(value, held[name]):
            changes[name] = value
    return changes


def _values(series: pl.Series, column: ListColumn) -> Sequence[PropertyValue | None]:
    if isinstance(column.dtype, pl.Datetime):
        seconds = series.dt.epoch("us") // 1_000_000
        return pl.select(pl.format("$D_{}", seconds)).to_series().to_list()
    if not isinstance(column.dtype, pl.String):
        return series.to_list()
    texts = series.replace("", None)
    if (texts.str.len_bytes().max() or 0) > MAX_VALUE_BYTES:  # pyright: ignore[reportOperatorIssue]  # a number
        return [None if text is None else fitting_value(text) for text in texts]
    return texts.to_list()


def _is_same(wanted: PropertyValue, held: object) -> bool:
    """Whether CleverTap holds this value, in whichever type it gives it back.

    Too strict a comparison would send the same values again with every plan.
    """
    if wanted == held and isinstance(wanted, bool) == isinstance(held, bool):
        return True
    if isinstance(wanted, bool):
        return isinstance(held, str) and held.strip().lower() == str(wanted).lower()
    if isinstance(wanted, int):
        return isinstance(held, str) and held.strip() == str(wanted)
    if isinstance(wanted, str) and not isinstance(held, bool) and isinstance(held, str | int | float):
        text = str(held).strip()
        time = re.fullmatch(r"\$D_(\d{9,11})", wanted)
        return text == wanted.strip() or (time is not None and _is_same_time(int(time[1]), text))
    return False


def _is_same_time(seconds: int, shown: str) -> bool:
    """Whether ``shown`` tells this time. How CleverTap shows a date on reading is not documented: Unix seconds,
    milliseconds and ISO 8601 are understood, down to the second or only the day, in whichever zone if it names none."""
    if re.fullmatch(r"\d{9,13}(\.0+)?", shown):
        told = int(shown.partition(".")[0])
        return seconds in (told, told // 1000)
    try:
        at = datetime.fromisoformat(shown)
    except ValueError:
        return False
    if at.tzinfo is not None:
        return int(at.timestamp()) == seconds
    apart = int(at.replace(tzinfo=UTC).timestamp()) - seconds
    if len(shown) <= len("2026-01-31"):
        return -86_400 - _WIDEST_ZONE_SECONDS < apart <= _WIDEST_ZONE_SECONDS
    return abs(apart) <= _WIDEST_ZONE_SECONDS and apart % _ZONE_STEP_SECONDS == 0
