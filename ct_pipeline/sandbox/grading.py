"""Truth against verdict (pure)."""

from enum import StrEnum

from ct_pipeline.sandbox.behaviours import Decidable
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.vocabulary import Reason, Status

# An Invalid for one of these is a soft bounce: nobody is unsubscribed for it, so it is another answer than a dead name.
_SOFT = frozenset({Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED})


class Grade(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNDECIDABLE = "undecidable"  # nobody can tell, and the verdict says so


def grade(truth: Mailbox, status: str, reason: str) -> Grade:
    """How a verdict compares with the truth.

    The status must be the true one; for Invalid the reason must also agree on soft or hard. Where the truth is
    Unknown, Unknown for whatever reason is ``UNDECIDABLE``; any other status claims what nobody can know: ``WRONG``.
    """
    if status != truth.truth_status:
        return Grade.WRONG
    if truth.decidable is Decidable.NO:
        return Grade.UNDECIDABLE
    if status == Status.INVALID and (reason in _SOFT) != (truth.truth_reason in _SOFT):
        return Grade.WRONG
    return Grade.RIGHT


def is_dead(truth: Mailbox) -> bool:
    """Whether no mail will ever reach the address: what may be unsubscribed."""
    return truth.truth_status is Status.INVALID and truth.truth_reason not in _SOFT
