"""Labelled replies from JSON lines; what is none is named, and the others go on."""

import json

import pytest

from ct_pipeline.verification.probe import Stage
from ct_pipeline.verification.reply_corpus import MAX_LINE_BYTES, CorpusRow, Label, Side, read_corpus

ROW = {
    "id": "one",
    "stage": "unknown",
    "code": 550,
    "enhanced": "5.1.1",
    "text": "550 5.1.1 User unknown",
    "label": "user_unknown",
    "side": "address",
    "confidence": "gold",
    "provider": None,
    "source": "made up",
}


def line(**changes: object) -> bytes:
    return json.dumps(ROW | changes).encode() + b"\n"


def row(**changes: object) -> CorpusRow:
    rows, faults = read_corpus([line(**changes)])
    assert faults == []
    return rows[0]


def problem(raw: bytes) -> str:
    rows, faults = read_corpus([line(id="before"), raw, line(id="after")])
    assert [one.row_id for one in rows] == ["before", "after"]
    assert [fault.line_number for fault in faults] == [2]
    return faults[0].problem


def test_a_row_is_read_as_our_own_parser_would_have_handed_it_over() -> None:
    read = row()
    assert read.reply == (Stage.RCPT, 550, "5.1.1", "User unknown")
    assert (read.label, read.side, read.provider) == (Label.USER_UNKNOWN, Side.ADDRESS, "")
    assert read.is_scored
    lines = row(text="550-5.7.1 Your IP\n550 5.7.1 is blocked", enhanced=None).reply
    assert lines == (Stage.RCPT, 550, "5.7.1", "Your IP\nis blocked")


@pytest.mark.parametrize(
    ("changes", "code", "enhanced"),
    [
        ({"code": None, "enhanced": None, "text": "User unknown"}, 550, None),
        ({"code": None, "enhanced": "4.2.2", "text": "4.2.2 Full"}, 450, "4.2.2"),
        ({"code": None, "enhanced": None, "text": "#4.2.2 Full"}, 450, "4.2.2"),
        ({"code": 452, "enhanced": None, "text": "452 Full"}, 452, None),
    ],
)
def test_missing_codes(changes: dict[str, object], code: int, enhanced: str | None) -> None:
    assert row(**changes).reply[1:3] == (code, enhanced)


@pytest.mark.parametrize(
    ("stage", "read"),
    [
        ("connect", Stage.CONNECT),
        ("helo", Stage.EHLO),
        ("mail", Stage.MAIL),
        ("rcpt", Stage.RCPT),
        ("data", Stage.RCPT),
        ("unknown", Stage.RCPT),
        (None, Stage.RCPT),
    ],
)
def test_stages(stage: str | None, read: Stage) -> None:
    assert row(stage=stage).reply.stage is read


def test_providers_have_the_names_of_our_table() -> None:
    assert row(provider="unitedinternet").provider == "gmx"
    assert row(provider="titan").provider == "titan"


def test_what_is_only_counted() -> None:
    assert not row(confidence="bronze").is_sure
    other = row(label="other", side="us")
    assert (other.is_sure, other.is_scored) == (True, False)


@pytest.mark.parametrize("name", ["id", "text", "label", "side", "confidence"])
def test_a_missing_field_is_named(name: str) -> None:
    fields = {key: value for key, value in ROW.items() if key != name}
    assert problem(json.dumps(fields).encode()) == f"{name!r} is missing"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (line(text=7), "'text' must be a text, not 7"),
        (line(id=""), "'id' must be a text, not ''"),
        (line(label="gone"), "'label' is 'gone'; known are user_unknown, "),
        (line(side="them"), "'side' is 'them'; known are address, us, "),
        (line(stage=1), "'stage' must be a text, or null, not 1"),
        (line(code="550"), "'code' must be a number from 200 to 599, or null, not '550'"),
        (line(code=True), "'code' must be"),
        (line(code=999), "'code' must be"),
        (line(enhanced="5.1"), "'enhanced' must look like 5.1.1, or be null, not '5.1'"),
        (line(provider=3), "'provider' must be a text, not 3"),
        (line(id="before"), "the id 'before' stands already on line 1"),
        (line(text="x" * MAX_LINE_BYTES), "longer than 65,536 bytes"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(raw: bytes, words: str) -> None:
    assert words in problem(raw)


def test_empty_lines_are_passed_over() -> None:
    assert read_corpus([b"\n", line(), b"  \n"])[1] == []
