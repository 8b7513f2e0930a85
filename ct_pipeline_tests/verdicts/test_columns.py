"""The list columns show the fields of Verdict, and the documentation shows the list columns."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.verdicts.columns import LIST_COLUMNS, LIST_SCHEMA, UTC_DATETIME, as_markdown, list_columns
from ct_pipeline.verdicts.verdict import Verdict

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "columns.md"
NOT_SHOWN = {"address_id", "rules_version", "judged_at"}  # of use in the ledger only
INVALID = {
    "address": "bo@x.org",
    "status": "invalid",
    "reason": "mailbox_not_found",
    "clearout_code": 406,
    "safe_to_send": "no",
    "bounce_type": "hard",
    "score": 2,
    "score_basis": "invalid 2",
    "verdict_text": "There is no such mailbox.",
    "is_disposable": False,
    "is_free": True,
    "is_role": False,
    "is_gibberish": False,
    "suggested_email": None,
    "canonical_email": None,
    "provider": "x.org",
    "mx_record": "mx.x.org",
    "is_catch_all_domain": False,
    "smtp_code": 550,
    "smtp_enhanced": "5.1.1",
    "smtp_text": "No such user",
    "elapsed_ms": 140,
    "attempt_count": 2,
    "verified_at": datetime(2026, 11, 2, 10, 0, tzinfo=UTC),
    "next_check_at": None,
    "rule": "no_such_user",
}


def shown(**changes: object) -> dict[str, object]:
    schema = {"next_check_at": UTC_DATETIME, "smtp_code": pl.Int64, "attempt_count": pl.Int64}
    row = {**INVALID, **changes}
    return list_columns(pl.DataFrame([row], schema_overrides=schema, infer_schema_length=None)).row(0, named=True)


def test_every_field_of_a_verdict_is_shown_in_order():
    shown_fields = [field for column in LIST_COLUMNS for field in column.fields]
    assert set(shown_fields) == {*Verdict._fields} - NOT_SHOWN


def test_a_verdict_in_columns():
    row = shown()
    assert tuple(row) == tuple(LIST_SCHEMA)
    assert (row["email"], row["status"], row["smtp_code"], row["attempts"]) == ("bo@x.org", "invalid", 550, 2)
    assert row["smtp_reply"] == "5.1.1 No such user"
    assert row["verified_at"] == datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("enhanced", "text", "reply"),
    [(None, "No", "No"), ("5.1.1", None, "5.1.1"), (None, None, None), (None, "", None)],
)
def test_a_reply_without_one_of_its_parts(enhanced: str | None, text: str | None, reply: str | None):
    strings = {"smtp_enhanced": pl.String, "smtp_text": pl.String}
    frame = pl.DataFrame([INVALID]).with_columns(
        pl.lit(value, strings[name]).alias(name) for name, value in (("smtp_enhanced", enhanced), ("smtp_text", text))
    )
    assert list_columns(frame)["smtp_reply"].item() == reply


def test_what_is_told_of_a_code_and_of_an_address():
    row = shown()
    assert (row["clearout_code"], row["clearout_reason"]) == (406, "Mailbox not found")
    assert (row["account"], row["domain"], row["time_taken_ms"]) == ("bo", "x.org", 140)
    odd = shown(address='"a@b"@x.org', clearout_code=None)
    assert (odd["account"], odd["domain"], odd["clearout_reason"]) == ('"a@b"', "x.org", None)
    assert (shown(address="no address")["account"], shown(address="no address")["domain"]) == (None, None)


def test_the_code_of_a_silent_host_is_blank():
    assert shown(smtp_code=0)["smtp_code"] is None


def test_a_row_without_a_verdict_says_so():
    nothing = pl.DataFrame([INVALID]).clear(1)
    row = list_columns(nothing).row(0, named=True)
    assert (row["status"], row["reason"], row["safe_to_send"], row["bounce_type"]) == (
        "unknown",
        "not_asked_yet",
        "unknown",
        "none",
    )
    assert row["smtp_code"] is None
    assert row["email"] is None


def test_the_page_shows_the_columns():
    assert as_markdown() in PAGE.read_text(encoding="utf-8"), (
        "docs/reference/columns.md differs from verdicts/columns.py; put the output of "
        "python -c 'from ct_pipeline.verdicts.columns import as_markdown; print(as_markdown())' into it"
    )
