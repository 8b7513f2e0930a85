"""CSV contact files: delimiter, header and columns found from a sample, then rows in batches."""

import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from ct_pipeline.errors import ContactFileError
from ct_pipeline.from_clevertap.contact_rows import (
    ROW_SCHEMA,
    ContactBatch,
    ContactFileShape,
    ContactFormat,
    SetAsideRow,
    json_objects,
    printable,
)
from ct_pipeline.from_clevertap.csv_rows import csv_rows
from ct_pipeline.from_clevertap.email_column import looks_like_address, name_rank, pick_email_column
from ct_pipeline.from_clevertap.text_lines import find_encoding, open_text

DELIMITERS = (",", ";", "\t", "|")
BATCH_ROWS = 50_000
BATCH_CHARACTERS = 16_000_000  # rows of one batch in memory, whichever comes first
_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_ROWS = 200
_DELIMITER_LINE = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n)', re.IGNORECASE)


def describe_csv(path: Path, file_format: ContactFormat) -> ContactFileShape:
    """The shape of a CSV file.

    Raises:
        ContactFileError: as :func:`~ct_pipeline.from_clevertap.contact_files.describe_contact_file`.
    """
    encoding = find_encoding(path, file_format)
    with open_text(path, file_format, encoding) as text:
        sample = text.read(_SAMPLE_CHARACTERS)
    marker = _DELIMITER_LINE.match(sample)
    sample = sample[marker.end() :] if marker else sample
    delimiter = marker.group(1) if marker else _find_delimiter(sample)
    first_row, rows = _header_and_rows(path, sample, delimiter)
    has_header = not _holds_address(first_row)
    if has_header:
        headers = tuple(first_row)
        columns = unique_names(headers)
    else:
        rows = [first_row, *rows]
        columns = ("raw_email",) if len(first_row) == 1 else tuple(f"column_{i + 1}" for i in range(len(first_row)))
        headers = columns
    email_index = pick_email_column(headers, rows)
    if email_index is None:
        raise no_email_column(path, columns)
    return ContactFileShape(
        email_column=columns[email_index],
        columns=columns,
        format=file_format,
        delimiter=delimiter,
        encoding=encoding,
        headers=headers,
        dtypes=(pl.String(),) * len(columns),
        has_header=has_header,
        has_delimiter_line=marker is not None,
    )


def read_csv(path: Path, shape: ContactFileShape) -> Iterator[ContactBatch]:
    """Batches of the rows below the header; see :func:`~ct_pipeline.from_clevertap.contact_files.read_contact_file`."""
    rows: list[list[str]] = []
    set_aside: list[SetAsideRow] = []
    characters = 0
    row_count = 0
    with open_text(path, shape.format, shape.encoding or "utf-8") as text:
        if shape.has_delimiter_line:
            text.readline()
        found = csv_rows(text, shape.delimiter or ",", len(shape.columns), first_line=1 + shape.has_delimiter_line)
        if shape.has_header:
            next(found, None)
        for row in found:
            if isinstance(row, SetAsideRow):
                set_aside.append(row)
            else:
                rows.append(row[0])
                characters += row[1]
            if len(rows) + len(set_aside) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                yield ContactBatch(_frame(rows, shape, row_count), set_aside)
                row_count += len(rows)
                rows, set_aside, characters = [], [], 0
    if rows or set_aside:
        yield ContactBatch(_frame(rows, shape, row_count), set_aside)


def unique_names(headers: Sequence[str]) -> tuple[str, ...]:
    """A name for every column: blank ones become ``column_3``, a second ``name`` becomes ``name_2``."""
    names: list[str] = []
    taken = {header.strip() for header in headers}
    for position, header in enumerate(headers, start=1):
        name = base = header.strip() or f"column_{position}"
        number = 2
        while name in names or (name != header.strip() and name in taken):
            name = f"{base}_{number}"
            number += 1
        names.append(name)
    return tuple(names)


def no_email_column(path: Path, columns: Sequence[str]) -> ContactFileError:
    """The error that lists the columns and says the mend."""
    listed = ", ".join(repr(printable(name, 60)) for name in columns[:40]) + (", …" if len(columns) > 40 else "")
    return ContactFileError(
        f"{path}: no column is named like email, and none looks like email addresses in its first rows. "
        f"Its columns: {listed or 'none'}. Rename the column that holds the addresses to 'email' and try again."
    )


def _find_delimiter(sample: str) -> str:
    """The delimiter under which the first row has an email column, and the others are as wide as the first."""
    best, best_score = ",", (-1, -1.0, -1)
    for delimiter in DELIMITERS:
        found = list(islice(csv_rows(io.StringIO(sample, newline=""), delimiter, None), _SAMPLE_ROWS + 1))
        if not found or isinstance(found[0], SetAsideRow) or len(found[0][0]) < 2:
            continue
        first = found[0][0]
        same = sum(not isinstance(row, SetAsideRow) and len(row[0]) == len(first) for row in found)
        score = (max(map(_email_likeness, first)), same / len(found), len(first))
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _email_likeness(cell: str) -> int:
    if any(delimiter in cell for delimiter in DELIMITERS):  # "email;name" under a comma
        return 0
    rank = name_rank(cell)
    if rank is not None:
        return 4 - rank
    return 2 if looks_like_address(cell) else 0


def _holds_address(first_row: Sequence[str]) -> bool:
    return any(map(looks_like_address, first_row)) and all(name_rank(cell) is None for cell in first_row)


def _header_and_rows(path: Path, sample: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
    found = csv_rows(io.StringIO(sample, newline=""), delimiter, None)
    header = next(found, None)
    if header is None:
        raise ContactFileError(f"{path} is empty. Give a file with a header line and one contact a line.")
    if isinstance(header, SetAsideRow):
        raise ContactFileError(
            f"{path}: the header, line {header.line}, {header.problem}: {header.text!r}. Mend that line and try again."
        )
    cells = header[0]
    rows = [row[0] for row in islice(found, _SAMPLE_ROWS) if not isinstance(row, SetAsideRow)]
    return cells, [row for row in rows if len(row) == len(cells)]


def _frame(rows: list[list[str]], shape: ContactFileShape, rows_before: int) -> pl.DataFrame:
    cells = zip(*rows, strict=True) if rows else ((),) * len(shape.columns)
    columns = {name: pl.Series(name, column, pl.String) for name, column in zip(shape.columns, cells, strict=True)}
    numbers = pl.int_range(rows_before + 1, rows_before + 1 + len(rows), dtype=pl.Int64, eager=True)
    raw_email = columns.pop(shape.email_column)
    return pl.DataFrame([numbers, raw_email, json_objects(columns, len(rows))], schema=ROW_SCHEMA, strict=True)
