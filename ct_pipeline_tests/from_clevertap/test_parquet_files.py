"""Parquet columns of any type come in as text, with the dtypes kept in the shape."""

from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.errors import ContactFileError
from ct_pipeline.from_clevertap.contact_files import ContactFormat, describe_contact_file, read_contact_file
from ct_pipeline.from_clevertap.contact_rows import MAX_ROW_CHARACTERS, ROW_SCHEMA, ContactFileShape


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contacts [1].parquet"  # a name that polars would read as a pattern


def test_the_text_column_named_email_is_found(file: Path):
    frame = pl.DataFrame({"email": [1, 2], "E-Mail": ["a@x.org", "b@x.org"], "n": [1, None]})
    frame.write_parquet(file)
    shape = describe_contact_file(file)
    assert (shape.email_column, shape.format, shape.schema) == ("E-Mail", ContactFormat.PARQUET, frame.schema)
    assert ContactFileShape.from_json(shape.to_json()) == shape


def test_rows_come_in_order_as_text(file: Path):
    pl.DataFrame({"mail": ["a@x.org", "b@x.org"], "n": [1, None], "ok": [True, False]}).write_parquet(file)
    (batch,) = read_contact_file(file)
    assert batch.rows.schema == ROW_SCHEMA
    assert batch.rows.rows() == [(1, "a@x.org", '{"n":"1","ok":"true"}'), (2, "b@x.org", '{"n":null,"ok":"false"}')]


def test_a_blank_email_remembers_whether_it_was_null(file: Path):
    pl.DataFrame({"mail": ["a@x.org", None, ""]}).write_parquet(file)
    (batch,) = read_contact_file(file)
    assert batch.rows.rows() == [(1, "a@x.org", "{}"), (2, "", '{"mail":null}'), (3, "", '{"mail":""}')]


def test_a_row_over_the_bound_is_set_aside_by_its_place(file: Path):
    pl.DataFrame({"mail": ["a@x.org", "b@x.org", "c@x.org"], "note": ["", "x" * MAX_ROW_CHARACTERS, ""]}).write_parquet(
        file
    )
    (batch,) = read_contact_file(file)
    assert batch.rows["raw_email"].to_list() == ["a@x.org", "c@x.org"]
    assert batch.rows["row_number"].to_list() == [1, 2]
    assert [(fault.line, fault.problem) for fault in batch.set_aside] == [(2, "is longer than 1,000,000 characters")]
    assert len(batch.set_aside[0].text) < 500


def test_large_files_come_in_several_batches_with_running_numbers(file: Path):
    count = 120_000
    pl.DataFrame({"email": [f"a{i}@x.org" for i in range(count)]}).write_parquet(file)
    batches = list(read_contact_file(file))
    assert len(batches) > 1
    rows = pl.concat(batch.rows for batch in batches)
    assert rows["row_number"].to_list() == list(range(1, count + 1))
    assert rows["raw_email"].to_list() == [f"a{i}@x.org" for i in range(count)]


def test_a_file_without_text_columns_is_refused_by_name(file: Path):
    pl.DataFrame({"id": [1], "email": [2]}).write_parquet(file)
    with pytest.raises(ContactFileError, match="'id', 'email'"):
        describe_contact_file(file)


def test_a_file_cut_short_is_refused(file: Path):
    pl.DataFrame({"email": ["a@x.org"] * 1000}).write_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ContactFileError, match="cannot be read as Parquet"):
        describe_contact_file(file)
