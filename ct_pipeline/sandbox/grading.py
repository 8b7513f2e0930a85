"""Truth against verdict (pure)."""

from enum import StrEnum

from ct_pipeline.sandbox.behaviours import Decidable
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.vocabulary import Reason, Status

# The mailbox exists. Invalid for one of these is a soft bounce, and nobody is unsubscribed for it; Unknown for one of
# them is no confession of ignorance, but a claim.
_SOFT = frozenset({Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED})


class Grade(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNDECIDABLE = "undecidable"  # nobody can tell, and the verdict says so


def grade(truth: Mailbox, status: str, reason: str) -> Grade:
    """How a verdict compares with the truth.

    The status must be the true one; for Invalid the reason must also agree on soft or hard. Where the truth is
    Unknown, Unknown is ``UNDECIDABLE`` unless its reason says that somebody is there. That, like any other status,
    claims what nobody can know, and is ``WRONG`` even if it happens to be so.
    """
    says_soft, is_soft = reason in _SOFT, truth.truth_reason in _SOFT
    if status != truth.truth_status or (says_soft and not is_soft):
        return Grade.WRONG
    if truth.decidable is Decidable.NO:
        return Grade.UNDECIDABLE
    return Grade.WRONG if status == Status.INVALID and is_soft and not says_soft else Grade.RIGHT


def is_dead(truth: Mailbox) -> bool:
    """Whether no mail will ever reach the address: what may be unsubscribed."""
    return truth.truth_status is Status.INVALID and truth.truth_reason not in _SOFT
