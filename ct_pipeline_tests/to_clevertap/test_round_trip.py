"""Any table of text cells, written as CSV, taken in and written out, keeps every cell."""

import csv
import io
import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_pipeline.from_clevertap.contact_files import describe_contact_file, read_contact_file
from ct_pipeline.storage.lake import Lake
from ct_pipeline.to_clevertap.list_files import write_verified_list
from ct_pipeline.verdicts.columns import LIST_COLUMNS

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.text(
    st.sampled_from(",;\t|\"'\r\n= aé\\{}*^$."), max_size=8
)
HEADERS = CELLS.filter(lambda cell: not cell.startswith("\ufeff"))

FIELDS = {
    field: column.dtype if len(column.fields) == 1 else pl.String()
    for column in reversed(LIST_COLUMNS)  # of several columns that show a field, the first has its type
    for field in column.fields
}
NO_VERDICT = [pl.lit(None, dtype).alias(field) for field, dtype in FIELDS.items()]


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    headers = draw(st.lists(HEADERS, max_size=5))
    headers.insert(draw(st.integers(0, len(headers))), draw(st.sampled_from(["email", "E-Mail"])))
    width = len(headers)
    return [headers, *draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6))]


@settings(max_examples=200, deadline=None)
@given(tables(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from([".csv", ".parquet"]))
def test_every_cell_comes_back(table: list[list[str]], encoding: str, suffix: str):
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.csv", Path(folder) / f"out{suffix}"
        source.write_bytes(as_csv(table).encode(encoding))
        lake = Lake(Path(folder) / "lake")
        pulled = lake.write_pull("a", read_contact_file(source))
        assert pulled.set_aside == []
        rows = (frame.with_columns(NO_VERDICT) for frame in lake.iterate_pull(pulled.path, batch_rows=2))
        write_verified_list(rows, describe_contact_file(source), out)
        assert read_back(out, width=len(table[0])) == (table if suffix == ".csv" else table[1:])


def as_csv(table: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(table)
    return text.getvalue()


def read_back(out: Path, width: int) -> list[list[str]]:
    """The first ``width`` cells of every row; of CSV with the header."""
    if out.suffix == ".parquet":
        return [list(row[:width]) for row in pl.read_parquet(out).rows()]
    text = out.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    return [row[:width] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
