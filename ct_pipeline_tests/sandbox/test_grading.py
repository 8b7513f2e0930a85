"""When a verdict is right."""

import pytest

from ct_pipeline.sandbox.behaviours import Decidable
from ct_pipeline.sandbox.grading import Grade, grade
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.vocabulary import Reason, Status

GONE = Mailbox("a@x.test", truth_status=Status.INVALID, truth_reason=Reason.MAILBOX_NOT_FOUND)
BRIMFUL = Mailbox("a@x.test", truth_status=Status.INVALID, truth_reason=Reason.MAILBOX_FULL)
BLOCKED = Mailbox("a@x.test", truth_status=Status.UNKNOWN, truth_reason=Reason.PROBER_BLOCKED, decidable=Decidable.NO)

FULL = Mailbox("a@x.test", truth_status=Status.UNKNOWN, truth_reason=Reason.MAILBOX_FULL, decidable=Decidable.NO)


@pytest.mark.parametrize(
    ("truth", "status", "reason", "expected"),
    [
        (Mailbox("a@x.test"), "valid", "accepted", Grade.RIGHT),
        (Mailbox("a@x.test"), "invalid", "mailbox_not_found", Grade.WRONG),
        (Mailbox("a@x.test"), "unknown", "greylisted", Grade.WRONG),
        (GONE, "invalid", "mailbox_disabled", Grade.RIGHT),
        (GONE, "invalid", "mailbox_full", Grade.WRONG),
        (BRIMFUL, "invalid", "mailbox_full", Grade.RIGHT),
        (BRIMFUL, "invalid", "mailbox_not_found", Grade.WRONG),
        (BLOCKED, "unknown", "rate_limited", Grade.UNDECIDABLE),
        (BLOCKED, "unknown", "mailbox_full", Grade.WRONG),
        (BLOCKED, "invalid", "mailbox_not_found", Grade.WRONG),
        (BLOCKED, "catch_all", "catch_all", Grade.WRONG),
        (FULL, "unknown", "mailbox_full", Grade.UNDECIDABLE),
        (FULL, "unknown", "recipient_rate_limited", Grade.UNDECIDABLE),
        (FULL, "unknown", "greylisted", Grade.UNDECIDABLE),
        (FULL, "invalid", "mailbox_full", Grade.WRONG),
        (BLOCKED, "valid", "accepted", Grade.WRONG),
    ],
)
def test_grade(truth, status, reason, expected):
    assert grade(truth, status, reason) is expected
