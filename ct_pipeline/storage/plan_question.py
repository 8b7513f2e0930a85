"""What a plan asks the ledger, and the reasons why it leaves somebody alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class HeldBack(StrEnum):
    """Why an invalid address, or a profile, gets no change now."""

    BOUNCES_SOFTLY = "would bounce only for now, such as from a full mailbox"
    IS_DONE = "unsubscribed by an earlier batch"
    IS_PLANNED = "waits in a batch that is not done"
    NOT_CHOSEN = "its reason is not among CT_UNSUBSCRIBE_REASONS"
    WAS_UNDONE = "was undone before, and nothing else is known since"
    IS_BEING_UNDONE = "an undo of it is under way"
    WAS_REJECTED = "CleverTap refused it before, and nothing else is known since"
    IS_AMBIGUOUS = "one spelling stands for several addresses"
    IS_TOO_LONG = "the spelling is too long for CleverTap"
    IS_UNJUDGED = "waits to be judged again"
    NEEDS_SECOND_LOOK_UP = "waits for the second look-up of its domain"
    NEEDS_SECOND_WORD = "waits to be asked again: its refusal counts once it is repeated"
    IS_STALE = "its answer is no longer fresh: pull and verify again"
    IS_UNSUBSCRIBED = "known as unsubscribed in CleverTap"


@dataclass(frozen=True, slots=True)
class PlanQuestion:
    """What a plan asks the ledger. ``fresh_since``: an older answer unsubscribes nobody."""

    project: str
    audience: str | None  # None: every profile of the project
    unsubscribe_reasons: tuple[str, ...]  # none: the policy unsubscribes nobody
    domain_reasons: tuple[str, ...]  # those that need a second look-up
    second_look_up_after: timedelta
    syntax_reasons: tuple[str, ...]  # those that never go stale
    fresh_since: datetime
    rules_version: str
    includes_undone: bool = False

    def parameters(self) -> dict[str, Any]:
        """For the statements of ``owed``."""
        return {
            "project": self.project,
            "reasons": list(self.unsubscribe_reasons),
            "domain_reasons": list(self.domain_reasons),
            "second_look_up_after": self.second_look_up_after,
            "never_stale": [*self.domain_reasons, *self.syntax_reasons],  # by the age of their verdict
            "fresh_since": self.fresh_since,
            "rules_version": self.rules_version,
            "includes_undone": self.includes_undone,
            **{name.name.lower(): name.value for name in HeldBack},
        }
