"""Verified list files: a contact file again, its own columns first, then the verdict of each row."""

import csv
import gzip
import io
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from ct_pipeline.atomic_files import ParquetStream, replacing
from ct_pipeline.errors import ListFileError
from ct_pipeline.from_clevertap.contact_rows import ContactFileShape, ContactFormat
from ct_pipeline.from_clevertap.typed_cells import dtype_back, from_text
from ct_pipeline.verdicts.columns import LIST_COLUMNS, LIST_SCHEMA, list_columns

_SUFFIXES = {".csv": ContactFormat.CSV, ".csv.gz": ContactFormat.CSV_GZ, ".parquet": ContactFormat.PARQUET}
_FORMULA_START = r"^[=+\-@\t\r]"  # OWASP, CSV Injection: what makes a spreadsheet read a cell as a formula
_UTC_TEXT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class ListFileSummary:
    """What was written. ``set_aside_path`` is None when every row of the contact file was taken in."""

    path: Path
    row_count: int
    statuses: dict[str, int]
    set_aside_path: Path | None


def write_verified_list(
    rows: Iterable[pl.DataFrame], shape: ContactFileShape, out: Path, set_aside: Path | None = None
) -> ListFileSummary:
    """Write ``out`` as CSV, gzipped CSV or Parquet, by its suffix; it appears whole or not at all.

    First come the contact file's columns, in order, with their names and every cell as it was; in Parquet with their
    dtypes too. Then the columns of :data:`~ct_pipeline.verdicts.columns.LIST_COLUMNS`; one whose name the contact file
    already uses is prefixed with ``ct_`` (a file with a column ``email`` gets the normalized address as ``ct_email``).
    CSV is written as UTF-8 with the contact file's delimiter, and with a byte order mark unless the contact file was
    plain UTF-8: such files come from spreadsheets, which need the mark. In CSV, words of foreign hosts that a
    spreadsheet would run as a formula get an apostrophe in front; all other cells are exact.

    Args:
        rows: in the order of the contact file: raw_email, other_columns and the fields of ``Verdict``, all null where
            there is no verdict yet.
        set_aside: the pull's ``set_aside.csv``; copied to ``OUT.set_aside.csv`` if it holds any row. Otherwise such a
            file of an earlier call is removed.

    Raises:
        ListFileError: ``out`` has another suffix, or its place cannot be written to.
    """
    written_as = list_format(out)
    statuses: Counter[str] = Counter()
    faults_of_rows: list[OSError] = []
    frames = _counted(_noting_faults(rows, faults_of_rows), shape, statuses)
    try:
        if written_as is ContactFormat.PARQUET:
            _write_parquet(frames, shape, out)
        else:
            _write_csv(frames, shape, out, zipped=written_as is ContactFormat.CSV_GZ)
        set_aside_path = _write_set_aside(set_aside, out)
    except OSError as error:
        if error in faults_of_rows:
            raise
        raise ListFileError(f"{out} cannot be written: {error.strerror or error}.") from error
    return ListFileSummary(out, statuses.total(), dict(statuses), set_aside_path)


def list_format(out: Path) -> ContactFormat:
    """The format that the name of ``out`` asks for; call it before a long verification.

    Raises:
        ListFileError: another suffix, or ``out`` is a folder.
    """
    if out.is_dir():
        raise ListFileError(f"{out} is a folder. Name a file in it, such as {out / 'verified.csv'}.")
    for suffix, written_as in _SUFFIXES.items():
        if out.name.lower().endswith(suffix):
            return written_as
    raise ListFileError(f"{out}: list files are written as .csv, .csv.gz or .parquet. Give it one of these names.")


def added_names(shape: ContactFileShape) -> tuple[str, ...]:
    """The names of the added columns, beside those of the contact file."""
    taken = {*shape.columns, *shape.headers}
    names: list[str] = []
    for column in LIST_COLUMNS:
        name = column.name
        while name in taken:
            name = f"ct_{name}"
        taken.add(name)
        names.append(name)
    return tuple(names)


def _noting_faults(rows: Iterable[pl.DataFrame], faults: list[OSError]) -> Iterator[pl.DataFrame]:
    """``rows``; what goes wrong in reading them is noted, since it says nothing about the list file's place."""
    try:
        yield from rows
    except OSError as error:
        faults.append(error)
        raise


def _counted(
    rows: Iterable[pl.DataFrame], shape: ContactFileShape, statuses: Counter[str]
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """(the contact file's cells as text, the verdict columns) of each frame."""
    for frame in rows:
        verdicts = list_columns(frame)
        for status, count in verdicts["status"].value_counts().rows():
            statuses[status] += count
        yield _original_cells(frame, shape), verdicts


def _original_cells(frame: pl.DataFrame, shape: ContactFileShape) -> pl.DataFrame:
    fields = {name: pl.String() for name in shape.columns}
    decoded = frame["other_columns"].str.json_decode(pl.Struct(fields)).struct.unnest()
    cells = {name: decoded.get_column(name) for name in shape.columns}
    raw_email = frame["raw_email"]
    if shape.format is ContactFormat.PARQUET:  # a blank cell was null or "": other_columns knows
        raw_email = raw_email.zip_with(raw_email != "", cells[shape.email_column])
    cells[shape.email_column] = raw_email
    return pl.DataFrame(cells)


def _write_parquet(frames: Iterable[tuple[pl.DataFrame, pl.DataFrame]], shape: ContactFileShape, out: Path) -> None:
    names = added_names(shape)
    dtypes = [dtype_back(dtype) for dtype in shape.dtypes]
    schema = pl.Schema(
        {**dict(zip(shape.columns, dtypes, strict=True)), **dict(zip(names, LIST_SCHEMA.dtypes(), strict=True))}
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with ParquetStream(out, schema) as stream:
        for cells, verdicts in frames:
            typed = {name: from_text(cells.get_column(name), dtype) for name, dtype in shape.schema.items()}
            added = dict(zip(names, verdicts.get_columns(), strict=True))
            stream.write(pl.DataFrame({**typed, **added}))


def _write_csv(
    frames: Iterable[tuple[pl.DataFrame, pl.DataFrame]], shape: ContactFileShape, out: Path, *, zipped: bool
) -> None:
    delimiter = shape.delimiter or ","
    names = added_names(shape)
    with replacing(out) as partial, _open_binary(partial, zipped=zipped) as file:
        if shape.encoding not in ("utf-8", None):
            file.write(b"\xef\xbb\xbf")
        file.write(_csv_line([*shape.headers, *names], delimiter))
        for cells, verdicts in frames:
            verdicts.columns = names
            shown = cells.hstack(_for_csv(verdicts)).with_columns(
                pl.col(pl.String).replace("", None)
            )  # no "" around blanks
            shown.write_csv(file, include_header=False, separator=delimiter)


def _for_csv(verdicts: pl.DataFrame) -> pl.DataFrame:
    expressions: list[pl.Expr] = []
    for name, column in zip(verdicts.columns, LIST_COLUMNS, strict=True):
        value = pl.col(name)
        if isinstance(column.dtype, pl.Datetime):
            value = value.dt.to_string(_UTC_TEXT)
        elif column.is_from_remote:
            value = value.str.replace(_FORMULA_START, "'$0")
        expressions.append(value)
    return verdicts.select(expressions)


def _csv_line(cells: Sequence[str], delimiter: str) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line, delimiter=delimiter).writerow(cells)  # its own line end, \r\n, makes it quote both of them
    return line.getvalue().removesuffix("\r\n").encode() + b"\n"


@contextmanager
def _open_binary(path: Path, *, zipped: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        if not zipped:
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed:
            yield packed  # pyright: ignore[reportReturnType]  # a GzipFile is one in all that matters


def _write_set_aside(kept: Path | None, out: Path) -> Path | None:
    beside = out.with_name(f"{out.name}.set_aside.csv")
    if kept is None or not _has_rows(kept):
        beside.unlink(missing_ok=True)
        return None
    with replacing(beside) as partial:
        shutil.copyfile(kept, partial)
    return beside


def _has_rows(set_aside: Path) -> bool:
    with set_aside.open("rb") as file:
        return bool(file.readline() and file.readline())
