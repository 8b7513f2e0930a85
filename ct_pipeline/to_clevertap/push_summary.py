"""What a push, or an undo, comes to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ct_pipeline.vocabulary import ChangeKind


@dataclass(slots=True)
class PushedBatch:
    """One batch in one push. In a preview ``open_count`` less ``withdrawn_count`` would be sent, and nothing is."""

    batch_id: int
    kind: ChangeKind
    undoes_batch_id: int | None
    open_count: int  # changes without a receipt when its turn came
    sent_count: int = 0  # of them, sent to CleverTap
    processed_count: int = 0
    rejected_count: int = 0
    withdrawn_count: int = 0  # not sent, because their grounds were gone
    is_done: bool = False
    read_back: str = ""


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """A batch that no push sends before somebody has approved it."""

    batch_id: int
    kind: ChangeKind
    change_count: int
    held_because: str


@dataclass(slots=True)
class PushSummary:
    """What was sent, or in a preview would be; counts are of changes.

    ``stopped_because`` is empty when everything that may be sent has been; else what ended the push, with the mend.
    """

    project: str
    preview: bool
    batches: list[PushedBatch] = field(default_factory=list[PushedBatch])
    held: list[HeldBatch] = field(default_factory=list[HeldBatch])
    rejections: Counter[str] = field(default_factory=Counter[str])  # CleverTap's words → how many
    withdrawals: Counter[str] = field(default_factory=Counter[str])  # why → how many
    stopped_because: str = ""
    seconds: float = 0.0

    @property
    def sent_count(self) -> int:
        return sum(batch.sent_count for batch in self.batches)

    @property
    def would_send_count(self) -> int:
        """Of a preview."""
        return sum(batch.open_count - batch.withdrawn_count for batch in self.batches) if self.preview else 0

    @property
    def processed_count(self) -> int:
        return sum(batch.processed_count for batch in self.batches)

    @property
    def rejected_count(self) -> int:
        return sum(batch.rejected_count for batch in self.batches)

    @property
    def withdrawn_count(self) -> int:
        return sum(batch.withdrawn_count for batch in self.batches)

    @property
    def held_batch_count(self) -> int:
        return len(self.held)

    @property
    def read_back(self) -> list[str]:
        """What reading samples back has shown, in words."""
        return [f"Batch {batch.batch_id}: {batch.read_back}" for batch in self.batches if batch.read_back]

    def of(self, kinds: Iterable[ChangeKind]) -> list[PushedBatch]:
        """The batches of these kinds."""
        wanted = set(kinds)
        return [batch for batch in self.batches if batch.kind in wanted]
