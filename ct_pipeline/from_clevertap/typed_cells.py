"""Cells of any Parquet type as text and back, so that ``other_columns`` is one JSON object of texts.

The text is what a person would write: ISO 8601 for dates and times, ``true`` and ``false``, base64 for bytes, JSON for
lists and structs; a duration is the number of its time units. Back come the same values with the same dtype. Only a
list or struct that holds something JSON cannot tell (dates, decimals, bytes) comes back as its JSON text, and
:func:`dtype_back` says so beforehand.
"""

import json

import polars as pl
from polars._typing import PolarsDataType

_SAFE_NAME = "cell"  # polars runs Series methods as expressions, where a name such as "*" or "^a$" is a pattern
_DATETIME = "%Y-%m-%dT%H:%M:%S%.f"
_ZONED_DATETIME = "%Y-%m-%dT%H:%M:%S%.f%:z"
_TIME = "%H:%M:%S%.9f"


def to_text(column: pl.Series) -> pl.Series:
    """Each value as text, null as null, in a Series named ``cell``."""
    column = column.alias(_SAFE_NAME)
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        return column.dt.to_string(_ZONED_DATETIME if dtype.time_zone else _DATETIME)
    if isinstance(dtype, pl.Time):
        return column.dt.to_string(_TIME)
    if isinstance(dtype, pl.Duration):
        return column.to_physical().cast(pl.String)
    if isinstance(dtype, pl.Binary):
        return column.bin.encode("base64")
    if dtype.is_nested():
        texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in column.to_list()]
        return pl.Series(column.name, texts, pl.String)
    return column.cast(pl.String)


def from_text(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """What :func:`to_text` was given, of :func:`dtype_back` of its dtype, in a Series named ``cell``."""
    column = column.alias(_SAFE_NAME)
    if isinstance(dtype, pl.String) or dtype_back(dtype) == pl.String:
        return column
    if isinstance(dtype, pl.Boolean):
        return column == "true"
    if isinstance(dtype, pl.Date):
        return column.str.to_date("%Y-%m-%d")
    if isinstance(dtype, pl.Datetime):
        return _datetime_from_text(column, dtype)
    if isinstance(dtype, pl.Time):
        return column.str.to_time("%H:%M:%S%.f")
    if isinstance(dtype, pl.Duration):
        return column.cast(pl.Int64).cast(dtype)
    if isinstance(dtype, pl.Binary):
        return column.str.decode("base64")
    if dtype.is_nested():
        values = [None if text is None else json.loads(text) for text in column.to_list()]
        return pl.Series(column.name, values, dtype)
    return column.cast(dtype)


def dtype_back(dtype: pl.DataType) -> pl.DataType:
    """The dtype that :func:`from_text` gives: the same, but String for a nested type that JSON cannot hold."""
    return dtype if not dtype.is_nested() or _fits_json(dtype) else pl.String()


def _fits_json(dtype: PolarsDataType) -> bool:
    if not isinstance(dtype, pl.DataType):  # a class without parameters, such as pl.Int64
        dtype = dtype()
    if isinstance(dtype, pl.List | pl.Array):
        return _fits_json(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return all(_fits_json(field.dtype) for field in dtype.fields)
    return (
        isinstance(dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum) or dtype.is_integer() or dtype.is_float()
    )


def _datetime_from_text(column: pl.Series, dtype: pl.Datetime) -> pl.Series:
    if dtype.time_zone is None:
        return column.str.to_datetime(_DATETIME, time_unit=dtype.time_unit)
    parsed = column.str.to_datetime(_ZONED_DATETIME, time_unit=dtype.time_unit, time_zone="UTC")
    return parsed.dt.convert_time_zone(dtype.time_zone)
