"""A list file is the contact file, cell for cell, with the verdicts to the right."""

import csv
import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.errors import ListFileError
from ct_pipeline.from_clevertap.contact_files import ContactFileShape, ContactFormat, describe_contact_file
from ct_pipeline.to_clevertap.list_files import ListFileSummary, added_names, list_format, write_verified_list
from ct_pipeline.verdicts.columns import LIST_COLUMNS, LIST_SCHEMA

Verify = Callable[..., ListFileSummary]
NAMES = [column.name for column in LIST_COLUMNS]


def cells_of(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter, strict=True))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "contacts.csv"
    path.write_text('Name,E-Mail\n"Smith, Bo",BO@x.org\nAl,\n=SUM(1),al@x.org\n')
    return path


def test_the_columns_and_their_order(source: Path, tmp_path: Path, verify: Verify):
    out = tmp_path / "out.csv"
    summary = verify(source, out, batch_rows=2)
    assert summary == ListFileSummary(out, 3, {"invalid": 3}, None)
    header, *rows = cells_of(out)
    assert header == ["Name", "E-Mail", *NAMES]
    assert NAMES[:5] == ["email", "status", "reason", "safe_to_send", "bounce_type"]
    assert [row[:3] for row in rows] == [
        ["Smith, Bo", "BO@x.org", "bo@x.org"],
        ["Al", "", ""],
        ["=SUM(1)", "al@x.org", "al@x.org"],
    ]
    verdict = dict(zip(header, rows[0], strict=True))
    assert verdict["status"] == "invalid"
    assert (verdict["is_free"], verdict["is_role"], verdict["suggested_email"]) == ("true", "false", "")
    assert (verdict["smtp_code"], verdict["smtp_reply"]) == ("550", "5.1.1 No such user")
    assert (verdict["verified_at"], verdict["next_check_at"]) == ("2026-11-02T10:00:00Z", "")
    assert b'""' not in out.read_bytes()


def test_gzipped_csv_holds_the_same_bytes(source: Path, tmp_path: Path, verify: Verify):
    verify(source, tmp_path / "out.csv")
    verify(source, tmp_path / "OUT.CSV.GZ")
    assert gzip.decompress((tmp_path / "OUT.CSV.GZ").read_bytes()) == (tmp_path / "out.csv").read_bytes()


def test_parquet_from_csv_has_text_and_typed_verdicts(source: Path, tmp_path: Path, verify: Verify):
    verify(source, tmp_path / "out.parquet")
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table.schema == pl.Schema({"Name": pl.String(), "E-Mail": pl.String(), **LIST_SCHEMA})
    assert table["E-Mail"].to_list() == ["BO@x.org", "", "al@x.org"]
    assert table["verified_at"][0] == datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


def test_parquet_from_parquet_keeps_dtypes_and_nulls(tmp_path: Path, verify: Verify):
    table = pl.DataFrame(
        {
            "joined_on": [date(2024, 1, 2), None, date(1999, 12, 31), None],
            "mail": pl.Series(["a@x.org", None, "", "a@x.org"], dtype=pl.Categorical),
            "spent": pl.Series(["1.50", None, "0.00", "99.99"]).cast(pl.Decimal(8, 2)),
            "tags": [["a", "b"], [], None, [None]],
            "is_member": [True, None, False, True],
        }
    )
    table.write_parquet(tmp_path / "in.parquet")
    verify(tmp_path / "in.parquet", tmp_path / "out.parquet", batch_rows=2)
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert written.columns == [*table.columns, *NAMES]
    kept = written.select(table.columns)
    assert kept.schema == table.schema
    assert kept.equals(table, null_equal=True)


def test_csv_from_parquet_is_readable(tmp_path: Path, verify: Verify):
    pl.DataFrame({"mail": ["a@x.org", None], "on": [date(2024, 1, 2), None]}).write_parquet(tmp_path / "in.parquet")
    verify(tmp_path / "in.parquet", tmp_path / "out.csv")
    assert [row[:2] for row in cells_of(tmp_path / "out.csv")] == [["mail", "on"], ["a@x.org", "2024-01-02"], ["", ""]]


def test_a_taken_name_is_prefixed_and_the_contact_file_keeps_its_own(tmp_path: Path, verify: Verify):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("email,status,ct_status\nBO@x.org,vip,x\n")
    assert added_names(describe_contact_file(source))[:3] == ("ct_email", "ct_ct_status", "reason")
    verify(source, out)
    header, row = cells_of(out)
    assert header[:6] == ["email", "status", "ct_status", "ct_email", "ct_ct_status", "reason"]
    assert row[:6] == ["BO@x.org", "vip", "x", "bo@x.org", "invalid", "mailbox_not_found"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_names_that_polars_would_read_as_patterns_are_names(tmp_path: Path, verify: Verify, suffix: str):
    table = pl.DataFrame({"*": ["a", "b"], "^.*$": ["c", None], "^email$": ["bo@x.org", "al@x.org"], "": ["d", "e"]})
    table.write_parquet(tmp_path / "in.parquet")
    table.write_csv(tmp_path / "in.csv")
    verify(tmp_path / f"in{suffix}", tmp_path / "out.parquet", batch_rows=1)
    kept = pl.read_parquet(tmp_path / "out.parquet").to_dict(as_series=False)
    assert [kept["*"], kept["^email$"]] == [["a", "b"], ["bo@x.org", "al@x.org"]]
    assert [value or "" for value in kept["^.*$"]] == ["c", ""]


def test_repeated_and_blank_headers_come_back_as_they_were(tmp_path: Path, verify: Verify):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('a,E-Mail,a,," b "\n1,bo@x.org,2,3,4\n')
    verify(source, out)
    header, row = cells_of(out)
    assert header[:6] == ["a", "E-Mail", "a", "", " b ", "email"]
    assert row[:5] == ["1", "bo@x.org", "2", "3", "4"]


def test_a_list_without_header_gets_one(tmp_path: Path, verify: Verify):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("BO@x.org\nal@x.org\n")
    verify(source, out)
    assert [row[:2] for row in cells_of(out)] == [["raw_email", "email"], ["BO@x.org", "bo@x.org"], ["al@x.org"] * 2]


@pytest.mark.parametrize(
    ("encoding", "marked"), [("utf-8", False), ("utf-8-sig", True), ("cp1252", True), ("utf-16", True)]
)
def test_a_spreadsheets_file_goes_back_with_its_delimiter_and_a_mark(
    tmp_path: Path, verify: Verify, encoding: str, marked: bool
):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes("name;mail\r\nZoë;zoe@x.org\r\n".encode(encoding))
    verify(source, out)
    written = out.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf") == marked
    assert written.removeprefix(b"\xef\xbb\xbf").decode().splitlines()[1].startswith("Zoë;zoe@x.org;zoe@x.org;invalid;")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_words_of_foreign_hosts_never_become_formulas(source: Path, tmp_path: Path, verify: Verify, start: str):
    reply = f"{start}cmd|'/c calc'!A1"
    verify(source, tmp_path / "out.csv", smtp_enhanced=None, smtp_text=reply, mx_record=f"{start}mx.x.org")
    verify(source, tmp_path / "out.parquet", smtp_enhanced=None, smtp_text=reply)
    header, _, _, last = cells_of(tmp_path / "out.csv")
    row = dict(zip(header, last, strict=True))
    assert (row["smtp_reply"], row["mx_record"]) == (f"'{reply}", f"'{start}mx.x.org")
    assert row["Name"] == "=SUM(1)"
    assert pl.read_parquet(tmp_path / "out.parquet")["smtp_reply"][0] == reply


def test_set_aside_rows_are_listed_beside_the_list_only_if_there_are_any(tmp_path: Path, verify: Verify):
    source, out, beside = tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "out.csv.set_aside.csv"
    source.write_text("email,name\nbo@x.org,Bo\nbad\n")
    assert verify(source, out).set_aside_path == beside
    assert cells_of(beside) == [["line", "problem", "text"], ["3", "has too few cells: 1 instead of 2", "bad"]]
    source.write_text("email,name\nbo@x.org,Bo\n")
    assert verify(source, out).set_aside_path is None
    assert not beside.exists()


def test_no_rows_are_a_list_with_its_header(tmp_path: Path, verify: Verify):
    source = tmp_path / "in.csv"
    source.write_text("mail,name\n")
    for name in ("out.csv", "out.parquet"):
        assert verify(source, tmp_path / name).row_count == 0
    assert cells_of(tmp_path / "out.csv") == [["mail", "name", *NAMES]]
    assert pl.read_parquet(tmp_path / "out.parquet").columns == ["mail", "name", *NAMES]


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_failure_leaves_the_older_list(tmp_path: Path, name: str):
    shape = ContactFileShape("mail", ("mail",), ContactFormat.CSV, ",", "utf-8", ("mail",), (pl.String(),))
    out = tmp_path / name
    out.write_text("older")

    def failing() -> Iterator[pl.DataFrame]:
        raise ConnectionResetError("the ledger went away")
        yield

    with pytest.raises(ConnectionResetError):
        write_verified_list(failing(), shape, out)
    assert out.read_text() == "older"
    assert list(tmp_path.iterdir()) == [out]


def test_the_format_follows_the_name(tmp_path: Path):
    assert list_format(tmp_path / "a.b.CSV") is ContactFormat.CSV
    assert list_format(tmp_path / "a.csv.gz") is ContactFormat.CSV_GZ
    assert list_format(tmp_path / "a.parquet") is ContactFormat.PARQUET
    with pytest.raises(ListFileError, match="list files are written as"):
        list_format(tmp_path / "a.xlsx")
    with pytest.raises(ListFileError, match="is a folder"):
        list_format(tmp_path)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_place_that_cannot_be_written_to_is_named(source: Path, tmp_path: Path, verify: Verify, name: str):
    with pytest.raises(ListFileError, match="cannot be written"):
        verify(source, source / name)
