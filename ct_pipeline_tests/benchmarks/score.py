"""How many answers are right, by the truth that follows from the names."""

from dataclasses import dataclass

from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.benchmarks.made_up_list import is_mailbox


@dataclass(slots=True)
class Score:
    """``undecided`` addresses are still due; they are neither right nor wrong."""

    right: int = 0
    wrong: int = 0
    undecided: int = 0

    @property
    def count(self) -> int:
        return self.right + self.wrong + self.undecided

    @property
    def right_share(self) -> float:
        return self.right / self.count if self.count else 0.0

    def add(self, address: str, reason: Reason | None, *, is_settled: bool) -> None:
        """Count one address of the list: ``reason`` is what it was found to be, if it ``is_settled``."""
        truth = Reason.ACCEPTED if is_mailbox(address.encode()) else Reason.MAILBOX_NOT_FOUND
        if not is_settled:
            self.undecided += 1
        elif reason is truth:
            self.right += 1
        else:
            self.wrong += 1
