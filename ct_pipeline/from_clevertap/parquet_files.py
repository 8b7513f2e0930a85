"""Parquet contact files: columns of any type, streamed in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from ct_pipeline.errors import ContactFileError
from ct_pipeline.from_clevertap.contact_rows import (
    MAX_ROW_CHARACTERS,
    ROW_SCHEMA,
    ContactBatch,
    ContactFileShape,
    ContactFormat,
    SetAsideRow,
    json_objects,
    printable,
)
from ct_pipeline.from_clevertap.csv_files import BATCH_ROWS, no_email_column
from ct_pipeline.from_clevertap.email_column import pick_email_column
from ct_pipeline.from_clevertap.typed_cells import to_text

_SAMPLE_ROWS = 200


def describe_parquet(path: Path) -> ContactFileShape:
    """The shape of a Parquet file; only its text columns can hold the addresses.

    Raises:
        ContactFileError: as :func:`~ct_pipeline.from_clevertap.contact_files.describe_contact_file`.
    """
    with _parquet_faults(path):
        scan = pl.scan_parquet(path, glob=False)
        schema = scan.collect_schema()
        texts = [name for name, dtype in schema.items() if isinstance(dtype, pl.String | pl.Categorical | pl.Enum)]
        first = scan.head(_SAMPLE_ROWS).collect()
    sample = pl.DataFrame({name: to_text(first.get_column(name)).fill_null("") for name in texts})
    email_index = pick_email_column(texts, sample.rows())
    if email_index is None:
        raise no_email_column(path, schema.names())
    return ContactFileShape(
        email_column=texts[email_index],
        columns=tuple(schema.names()),
        format=ContactFormat.PARQUET,
        delimiter=None,
        encoding=None,
        headers=tuple(schema.names()),
        dtypes=tuple(schema.dtypes()),
    )


def read_parquet(path: Path, shape: ContactFileShape) -> Iterator[ContactBatch]:
    """Batches of the rows; see :func:`~ct_pipeline.from_clevertap.contact_files.read_contact_file`.

    A null email cell becomes ``raw_email`` ``""``. Rows with a blank ``raw_email`` have the cell, null or ``""``, under
    the column's own name in ``other_columns``, so that a list file writes back what was there.
    """
    kept_before = seen_before = 0
    with _parquet_faults(path):
        batches = pl.scan_parquet(path, glob=False).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
        for frame in batches:
            rows, set_aside = _split(_rows_of(frame, shape), seen_before, kept_before)
            seen_before += frame.height
            kept_before += rows.height
            yield ContactBatch(rows, set_aside)


def _rows_of(frame: pl.DataFrame, shape: ContactFileShape) -> pl.DataFrame:
    """raw_email and other_columns of every row."""
    texts = {name: to_text(frame.get_column(name)) for name in shape.columns}
    raw_email = texts[shape.email_column].fill_null("")
    objects = json_objects({name: texts[name] for name in shape.other_columns}, frame.height)
    is_blank = raw_email == ""
    if is_blank.any():
        objects = json_objects(texts, frame.height).zip_with(is_blank, objects)
    return pl.DataFrame({"raw_email": raw_email, "other_columns": objects})


def _split(rows: pl.DataFrame, seen_before: int, kept_before: int) -> tuple[pl.DataFrame, list[SetAsideRow]]:
    """The rows to keep, numbered, and those that are too long."""
    length = pl.col("raw_email").str.len_chars() + pl.col("other_columns").str.len_chars()
    numbered = rows.with_row_index("line", offset=seen_before + 1).with_columns(
        (length > MAX_ROW_CHARACTERS).alias("long")
    )
    problem = f"is longer than {MAX_ROW_CHARACTERS:,} characters"
    set_aside = [
        SetAsideRow(line, problem, printable(f"{raw_email[:200]} {others[:200]}"))
        for line, raw_email, others, _ in numbered.filter("long").rows()
    ]
    kept = numbered.filter(~pl.col("long")).with_row_index("row_number", offset=kept_before + 1)
    return kept.select(ROW_SCHEMA.names()).cast(ROW_SCHEMA), set_aside


@contextmanager
def _parquet_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ContactFileError(
            f"{path} cannot be read as Parquet: {printable(str(error), 300)}. Export it again, or give CSV."
        ) from error
