"""Truth beside verdicts, as the demo prints it."""

import io

import pytest
from rich.console import Console

from ct_pipeline.cli.demo_report import Graded, Traffic, grade_verdicts, print_report
from ct_pipeline.sandbox.behaviours import Decidable, MailboxBehaviour
from ct_pipeline.sandbox.grading import Grade
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.vocabulary import Reason, Status

ANNA = Mailbox("anna@acme.test")
BERT = Mailbox("bert@acme.test", MailboxBehaviour.MISSING, Status.INVALID, Reason.MAILBOX_NOT_FOUND)
CARLA = Mailbox(
    "carla@blocks.test", truth_status=Status.UNKNOWN, truth_reason=Reason.PROBER_BLOCKED, decidable=Decidable.NO
)
EVERYONE = [ANNA, BERT, CARLA]


@pytest.mark.parametrize(
    ("verdicts", "grades"),
    [
        (["valid,accepted", "invalid,mailbox_not_found", "unknown,prober_blocked"], ["right", "right", "undecidable"]),
        (["invalid,mailbox_not_found", "unknown,greylisted", "valid,accepted"], ["wrong", "wrong", "wrong"]),
    ],
)
def test_verdicts_are_graded_against_the_truth(verdicts: list[str], grades: list[str]) -> None:
    graded = grade_verdicts(_verdicts(verdicts), EVERYONE)
    assert [entry.grade for entry in graded] == grades


def test_an_address_without_a_verdict_is_wrong() -> None:
    graded = grade_verdicts(_verdicts(["valid,accepted"]), EVERYONE)
    assert [entry.grade for entry in graded] == [Grade.RIGHT, Grade.WRONG, Grade.WRONG]


def test_only_what_can_be_found_out_is_open() -> None:
    assert Graded(ANNA, "unknown", "greylisted", Grade.WRONG).is_open
    assert not Graded(ANNA, "valid", "accepted", Grade.RIGHT).is_open
    assert not Graded(CARLA, "unknown", "prober_blocked", Grade.UNDECIDABLE).is_open


def test_the_report_tells_late_from_wrong() -> None:
    graded = [
        Graded(ANNA, "unknown", "greylisted", Grade.WRONG),
        Graded(BERT, "valid", "accepted", Grade.WRONG),
        Graded(CARLA, "unknown", "prober_blocked", Grade.UNDECIDABLE),
    ]
    output = io.StringIO()
    print_report(Console(file=output, width=120), graded, Traffic(2, 3, 0))
    text = output.getvalue()
    assert "Wrong: 1 addresses" in text
    assert "Not found out in time: 1 addresses" in text
    assert "3  RCPT commands: 1.00 an address" in text


def _verdicts(words: list[str]) -> dict[str, tuple[str, str]]:
    pairs = [(word.partition(",")[0], word.partition(",")[2]) for word in words]
    return dict(zip([person.address for person in EVERYONE], pairs, strict=False))
