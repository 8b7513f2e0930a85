"""Every value of every Parquet type comes back from its text with its dtype."""

from datetime import date, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from ct_pipeline.from_clevertap.typed_cells import dtype_back, from_text, to_text

_MOMENTS = pl.Series(
    ["1970-01-01T00:00:00.000", "2024-02-29T23:59:59.999", "1905-05-05T01:00:00.000", None]
).str.to_datetime()
COLUMNS = [
    pl.Series(["", "é\n\"'\x00", None]),
    pl.Series([True, False, None]),
    pl.Series([-128, 127, None], dtype=pl.Int8),
    pl.Series([-(2**63), 2**63 - 1, None], dtype=pl.Int64),
    pl.Series([0, 2**64 - 1, None], dtype=pl.UInt64),
    pl.Series([-(2**127), 2**127 - 1], dtype=pl.Int128),
    pl.Series([0.1, 1 / 3, 5e-324, 1.7976931348623157e308, float("inf"), float("nan"), -0.0, None]),
    pl.Series([0.1, 1 / 3, float("-inf"), None], dtype=pl.Float32),
    pl.Series([Decimal("-1.50"), Decimal("99999999.99"), None], dtype=pl.Decimal(10, 2)),
    pl.Series([date(1, 1, 1), date(9999, 12, 31), None]),
    pl.Series([time(0, 0), time(23, 59, 59, 999999), None]),
    pl.Series([timedelta(days=-3, microseconds=1), timedelta(0), None]),
    *(_MOMENTS.dt.cast_time_unit(unit) for unit in ("ms", "us", "ns")),
    pl.Series([1_700_000_000_123_456_789], dtype=pl.Int64).cast(pl.Datetime("ns")),
    _MOMENTS.dt.replace_time_zone("UTC"),
    pl.Series(["2024-10-27T00:30:00", "2024-10-27T01:30:00"])
    .str.to_datetime()
    .dt.replace_time_zone("UTC")
    .dt.convert_time_zone("Europe/Berlin"),  # the same local time twice
    pl.Series([b"", b"\x00\xff", None]),
    pl.Series(["x", "y", None], dtype=pl.Categorical),
    pl.Series(["x", "y", None], dtype=pl.Enum(["y", "x"])),
    pl.Series([None, None], dtype=pl.Null),
    pl.Series([["a", None], [], None]),
    pl.Series([[1.5, float("nan")], [2.0, float("inf")]], dtype=pl.Array(pl.Float64, 2)),
    pl.Series([{"a": 1, "b": [{"c": "é"}]}, {"a": None, "b": []}, None]),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.dtype))
def test_values_come_back(column: pl.Series):
    texts = to_text(column)
    assert texts.dtype == pl.String
    back = from_text(texts, column.dtype)
    assert back.dtype == column.dtype == dtype_back(column.dtype)
    assert back.equals(column, null_equal=True)


def test_texts_are_what_a_person_would_write():
    assert to_text(pl.Series([date(2024, 1, 2)])).to_list() == ["2024-01-02"]
    moment = pl.Series(["2024-01-02T03:04:05"]).str.to_datetime().dt.replace_time_zone("Europe/Berlin")
    assert to_text(moment).to_list() == ["2024-01-02T03:04:05+01:00"]
    assert to_text(pl.Series([True])).to_list() == ["true"]


def test_nested_dates_come_back_as_json_text():
    column = pl.Series([[date(2024, 1, 2)], None])
    assert dtype_back(column.dtype) == pl.String
    assert from_text(to_text(column), column.dtype).to_list() == ['["2024-01-02"]', None]
