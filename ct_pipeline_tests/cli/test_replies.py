"""`replies score` as a user calls it, on a few made-up rows."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ct_pipeline.cli import app
from ct_pipeline.cli.replies_report import BEGIN, END
from ct_pipeline.verification.reply_corpus import MAX_FILE_BYTES

ROWS = [
    ("a", "user_unknown", "address", 550, "550 5.1.1 <user@example.com>: User unknown"),
    ("b", "sender_blocked", "us", 554, "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"),
    ("c", "rate_limited", "us", 550, "550 No such user of yours may send so much"),
    ("d", "policy", "us", 550, "550 [Zzz] xyzzy"),
    ("e", "greylisted", "us", 450, "450 4.7.1 Greylisted"),
    ("f", "other", "us", None, "whatever"),
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "labelled.jsonl"
    lines = [
        json.dumps({"id": one, "label": label, "side": side, "code": code, "text": text, "confidence": "silver"})
        for one, label, side, code, text in ROWS
    ]
    file.write_text("\n".join(lines))
    return file


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replies", "score", *map(str, arguments)])


def test_json_is_one_object(corpus: Path) -> None:
    done = call(corpus, "--json", "--cross-validate")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["dangerous"], found["agreement"], found["unclear"], found["label_agreement"]) == (1, 0.6, 0.2, 0.6)
    assert (found["row_count"], found["scored_row_count"], found["unusable_line_count"]) == (6, 5, 0)
    assert found["labels"]["user_unknown"] == {"row_count": 1, "precision": 0.5, "recall": 1.0, "agreement": 1.0}
    assert [row["id"] for row in found["dangerous_rows"]] == ["c"]
    assert [(row["id"], row["rule"]) for row in found["wrong_rows"]] == [
        ("c", "mailbox_unknown"),
        ("d", "unclear_refusal"),
    ]
    assert {"label": "policy", "answer": "unclear", "row_count": 1} in found["confusion"]
    assert [one["fold_count"] for one in found["cross_validation"]] == [5, 2]
    assert len(found["rules_version"]) == 12


def test_the_terminal_shows_the_rows_to_look_at(corpus: Path) -> None:
    shown = call(corpus).stdout
    assert "dangerous 1 · agreement 60.0% · unclear 20.0%" in shown
    assert "c rate_limited (us) read as mailbox_not_found by mailbox_unknown: 550 No such user of yours" in shown
    assert "d policy (us) read as unclear_reply by unclear_refusal: 550 [Zzz] xyzzy" in shown


def test_lines_that_cannot_be_used_are_named_and_the_others_scored(corpus: Path) -> None:
    corpus.write_text("{}\n" + corpus.read_text() + "\nnot json\n" + '{"id": "a"}\n')
    done = call(corpus, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["scored_row_count"] == 5
    assert done.stderr.splitlines()[0] == "line 1: 'text' is missing"
    assert "line 8: not JSON" in done.stderr
    assert "3 lines were left out." in done.stderr


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "endless.jsonl"
    with file.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)  # sparse
    done = call(file)
    assert (done.exit_code, "Split it." in done.stderr) == (1, True)


def test_the_report_goes_between_the_markers_of_a_page(corpus: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Above\n\n{BEGIN}\n\nold figures\n{END}\n\nbelow\n")
    assert call(corpus, "--cross-validate", "--page", page).exit_code == 0
    once = page.read_text()
    assert once.startswith(f"# Above\n\n{BEGIN}\n")
    assert once.endswith(f"{END}\n\nbelow\n")
    assert "old figures" not in once
    assert "| greylisted | 1 | 100.0% | 100.0% | 100.0% |" in once
    assert "spamhaus" not in once  # no reply is quoted
    call(corpus, "--cross-validate", "--page", page)
    assert page.read_text() == once
    page.write_text("no markers")
    refused = call(corpus, "--page", page)
    assert (refused.exit_code, "needs one line" in refused.stderr) == (1, True)
    assert page.read_text() == "no markers"
