"""Any CSV that people export is taken in with every cell, or refused with the mend."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.errors import ContactFileError
from ct_pipeline.from_clevertap import csv_files
from ct_pipeline.from_clevertap.contact_files import (
    ContactFileShape,
    ContactFormat,
    SetAsideRow,
    describe_contact_file,
    read_contact_file,
)
from ct_pipeline.from_clevertap.contact_rows import ROW_SCHEMA


def take_in(path: Path) -> tuple[list[tuple[int, str, str]], list[SetAsideRow]]:
    batches = list(read_contact_file(path))
    assert all(batch.rows.schema == ROW_SCHEMA for batch in batches)
    rows = [row for batch in batches for row in batch.rows.rows()]
    return rows, [fault for batch in batches for fault in batch.set_aside]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contacts.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_delimiters_line_ends_and_encodings(file: Path, delimiter: str, line_end: str, encoding: str):
    lines = [["Name", "E-Mail", "Note"], ["Zoë", "zoe@x.org", '"a, b; c"'], ["Bo", "", ""]]
    file.write_bytes("".join(delimiter.join(line) + line_end for line in lines).encode(encoding))
    shape = describe_contact_file(file)
    assert (shape.email_column, shape.delimiter, shape.columns) == ("E-Mail", delimiter, ("Name", "E-Mail", "Note"))
    rows, set_aside = take_in(file)
    assert rows == [(1, "zoe@x.org", '{"Name":"Zoë","Note":"a, b; c"}'), (2, "", '{"Name":"Bo","Note":""}')]
    assert set_aside == []


def test_gzipped_csv_is_told_by_its_bytes(file: Path):
    file.write_bytes(gzip.compress(b"email\nbo@x.org\n"))
    assert describe_contact_file(file).format is ContactFormat.CSV_GZ
    assert take_in(file)[0] == [(1, "bo@x.org", "{}")]


def test_excels_delimiter_line_is_followed_and_counted(file: Path):
    file.write_bytes(b"sep=;\r\nemail;a,b\r\nbo@x.org;1\r\nbad\r\n")
    assert describe_contact_file(file).delimiter == ";"
    rows, set_aside = take_in(file)
    assert rows == [(1, "bo@x.org", '{"a,b":"1"}')]
    assert set_aside[0].line == 4


def test_a_semicolon_file_with_commas_in_its_cells(file: Path):
    file.write_text('id;"name, first";email\n1;Smith, Bo;bo@x.org\n2;Jones, Al;al@x.org\n')
    assert describe_contact_file(file).delimiter == ";"
    assert [row[1] for row in take_in(file)[0]] == ["bo@x.org", "al@x.org"]


def test_blank_and_repeated_headers_get_names_and_keep_their_spelling(file: Path):
    file.write_text("Name,email,Name, Name_2 ,,column_5\na,bo@x.org,b,c,d,e\n")
    shape = describe_contact_file(file)
    assert shape.columns == ("Name", "email", "Name_3", "Name_2", "column_5_2", "column_5")
    assert shape.headers == ("Name", "email", "Name", " Name_2 ", "", "column_5")
    assert take_in(file)[0][0][2] == '{"Name":"a","Name_3":"b","Name_2":"c","column_5_2":"d","column_5":"e"}'


def test_a_list_without_header_loses_no_address(file: Path):
    file.write_text("bo@x.org\nal@x.org\n")
    assert describe_contact_file(file).columns == ("raw_email",)
    assert [row[1] for row in take_in(file)[0]] == ["bo@x.org", "al@x.org"]


def test_a_table_without_header_loses_no_row(file: Path):
    file.write_text("Bo,bo@x.org,DE\nAl,al@x.org,FR\n")
    shape = describe_contact_file(file)
    assert (shape.has_header, shape.email_column, shape.columns) == (
        False,
        "column_2",
        ("column_1", "column_2", "column_3"),
    )
    assert [row[1] for row in take_in(file)[0]] == ["bo@x.org", "al@x.org"]


def test_blank_email_cells_stay_rows_and_empty_lines_are_none(file: Path):
    file.write_text("email,name\n,Bo\n\n ,\n,\n")
    rows, set_aside = take_in(file)
    assert [(number, raw_email) for number, raw_email, _ in rows] == [(1, ""), (2, " "), (3, "")]
    assert set_aside == []


def test_one_damaged_byte_in_utf8_costs_one_row(file: Path):
    file.write_bytes(
        "email,name\na@x.org,Zoë\n".encode() + b"b@x.org,\xff\xfe\n" + "c@x.org,Åsa, Øl\nd@x.org,ß€\n".encode()
    )
    rows, set_aside = take_in(file)
    assert [row[1] for row in rows] == ["a@x.org", "d@x.org"]
    assert [(fault.line, fault.text) for fault in set_aside] == [(3, "b@x.org,\\xff\\xfe"), (4, "c@x.org,Åsa, Øl")]


def test_row_numbers_run_on_through_batches(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_files, "BATCH_ROWS", 10)
    file.write_text("email,n\n" + "".join(f"a{i}@x.org,{i}\nbad\n" for i in range(1, 26)))
    batches = list(read_contact_file(file))
    assert max(batch.rows.height + len(batch.set_aside) for batch in batches) == 10
    assert pl.concat(batch.rows for batch in batches)["row_number"].to_list() == list(range(1, 26))
    assert [fault.line for batch in batches for fault in batch.set_aside] == list(range(3, 52, 2))


def test_a_batch_of_wide_rows_is_bounded_by_characters(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_files, "BATCH_CHARACTERS", 1000)
    file.write_text("email,n\n" + "".join(f"a@x.org,{'x' * 300}\n" for _ in range(20)))
    assert max(batch.rows.height for batch in read_contact_file(file)) == 4


def test_a_header_alone_is_an_empty_audience(file: Path):
    file.write_text("name,email\n")
    assert describe_contact_file(file).email_column == "email"
    assert take_in(file) == ([], [])


def test_a_shape_comes_back_from_json(file: Path):
    file.write_text("email,a\nx@y.org,1\n")
    shape = describe_contact_file(file)
    assert ContactFileShape.from_json(shape.to_json()) == shape


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"id,name\n1,Bo\n", "'id', 'name'. Rename the column that holds the addresses to 'email'"),
        (b"PK\x03\x04" + bytes(100), "save the sheet as 'CSV UTF-8'"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "save the sheet as 'CSV UTF-8'"),
        (b"\x89PNG\r\n" + bytes(100), "is not text"),
        (b'email,"name\nbo@x.org,Bo\n', "the header, line 1, opens a quote"),
        (gzip.compress(b"email\n" + b"bo@x.org\n" * 9000)[:-30], "damaged gzip file"),
        (b"PAR1 and then no Parquet", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_contact_file_is_refused_with_the_mend(file: Path, content: bytes, words: str):
    file.write_bytes(content)
    with pytest.raises(ContactFileError) as refused:
        read_contact_file(file)
    assert str(file) in str(refused.value)
    assert words in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path):
    with pytest.raises(ContactFileError, match="No such file"):
        describe_contact_file(tmp_path / "gone.csv")
    with pytest.raises(ContactFileError, match="directory"):
        describe_contact_file(tmp_path)
