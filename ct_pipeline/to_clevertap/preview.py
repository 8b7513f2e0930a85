"""What a plan would do, in words and numbers, without showing anybody's address. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from ct_pipeline.to_clevertap.changes import Batch
from ct_pipeline.vocabulary import BatchState, ChangeKind

HIDDEN = "•••"
ROWS_SHOWN = 12
_TOP_LEVEL = re.compile(r"[a-z0-9-]{2,24}")

KIND_WORDS = {
    ChangeKind.UNSUBSCRIBE: "unsubscribe",
    ChangeKind.RESUBSCRIBE: "resubscribe",
    ChangeKind.SET_PROPERTIES: "append columns",
}


class Sample(NamedTuple):
    """One planned unsubscribe, masked."""

    address: str
    status: str
    reason: str


@dataclass(slots=True)
class PlanSummary:
    """What a plan found and wrote. Counts of changes are of this plan alone; batches of earlier ones stay as they are.

    ``by_status`` counts the audience's addresses, ``by_reason`` and ``by_provider`` the planned unsubscribes,
    ``held_back`` says why further invalid addresses and profiles get no change now → how many.
    """

    plan_id: int
    project: str
    audience: str | None  # None: every profile of the project
    planned_at: datetime
    profile_count: int = 0
    address_count: int = 0
    unsubscribe_count: int = 0
    property_change_count: int = 0
    withdrawn_count: int = 0
    batches: list[Batch] = field(default_factory=list[Batch])
    by_status: dict[str, int] = field(default_factory=dict[str, int])
    by_reason: dict[str, int] = field(default_factory=dict[str, int])
    by_provider: dict[str, int] = field(default_factory=dict[str, int])
    held_back: dict[str, int] = field(default_factory=dict[str, int])
    withdrawn: dict[str, int] = field(default_factory=dict[str, int])  # why → how many
    brakes: list[str] = field(default_factory=list[str])  # why batches are held, each once
    samples: list[Sample] = field(default_factory=list[Sample])
    policy: list[str] = field(default_factory=list[str])  # in sentences
    is_preview: bool = True
    seconds: float = 0.0

    @property
    def held_batches(self) -> list[Batch]:
        """The batches of this plan that wait for an approval."""
        return [batch for batch in self.batches if batch.state is BatchState.HELD]

    def to_json(self) -> dict[str, Any]:
        """What the ledger keeps of it; the rest stands in the plan's row and its batches."""
        left_out = {"plan_id", "project", "audience", "planned_at", "batches", "is_preview"}
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in left_out}
        return {**values, "samples": [list(sample) for sample in self.samples]}

    def take_json(self, kept: Mapping[str, Any]) -> None:
        """Fill in what :meth:`to_json` gave; names that this version does not know are left out."""
        known = {item.name for item in fields(self)}
        for name, value in kept.items():
            if name in known:
                setattr(self, name, [Sample(*sample) for sample in value] if name == "samples" else value)


def masked(email: str) -> str:
    """The first character of both parts and the top-level domain; everything else is hidden.

    >>> masked("ann.lee@shop.example")
    'a•••@s•••.example'
    """
    local_part, at, domain = email.strip().rpartition("@")
    if not at:
        return _first(domain) + HIDDEN
    rest, dot, top_level = domain.lower().rpartition(".")
    shown = f".{top_level}" if dot and rest and _TOP_LEVEL.fullmatch(top_level) else ""
    return f"{_first(local_part)}{HIDDEN}@{_first(domain)}{HIDDEN}{shown}"


def overview(summary: PlanSummary) -> list[tuple[str, str]]:
    """(what, how many and why) of the whole plan, for the top of a preview."""
    rows = [
        ("audience", summary.audience or "every profile of the project"),
        ("profiles", f"{summary.profile_count:,} with {summary.address_count:,} addresses"),
        *(("", line) for line in summary.policy),
        ("unsubscribe", f"{summary.unsubscribe_count:,} addresses{_reasons(summary.by_reason)}"),
        ("append", f"columns of {summary.property_change_count:,} profiles"),
    ]
    if summary.withdrawn_count:
        rows.append(("withdrawn", f"{summary.withdrawn_count:,} changes of earlier plans{_reasons(summary.withdrawn)}"))
    return rows


def table(title: str, counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """``counts`` as rows under ``title``, the largest first; what is not shown is summed up in the last row."""
    rows = [(title, "count"), *((name or "(none)", f"{count:,}") for name, count in top(counts, ROWS_SHOWN).items())]
    return rows if len(rows) > 1 else []


def top(counts: Mapping[str, int], limit: int) -> dict[str, int]:
    """The largest ``limit`` of ``counts``, and ``(others)``."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[limit:])
    return {**dict(ordered[:limit]), **({"(others)": rest} if rest else {})}


def batch_rows(batches: Sequence[Batch]) -> list[tuple[str, str, str, str]]:
    """(batch or range of batches, what, state, why held or approved) of batches, neighbours that agree taken together.

    The first column can be given to ``ct-pipeline approve`` as it is.
    """
    rows: list[tuple[str, str, str, str]] = []
    for run in _runs(batches):
        first, last = run[0], run[-1]
        name = str(first.batch_id) if len(run) == 1 else f"{first.batch_id}-{last.batch_id}"
        what = f"{KIND_WORDS[first.kind]} {sum(batch.change_count for batch in run):,}"
        rows.append((name, what, str(first.state), _why(first)))
    return rows


def _runs(batches: Sequence[Batch]) -> Iterable[list[Batch]]:
    run: list[Batch] = []
    for batch in batches:
        if run and (batch.batch_id != run[-1].batch_id + 1 or _likeness(batch) != _likeness(run[-1])):
            yield run
            run = []
        run.append(batch)
    if run:
        yield run


def _likeness(batch: Batch) -> tuple[object, ...]:
    return batch.kind, batch.state, batch.undoes_batch_id, _why(batch)


def _why(batch: Batch) -> str:
    if batch.state is BatchState.HELD:
        return batch.held_because
    if batch.approved_by:
        return f"approved by {batch.approved_by}: {batch.approved_because}"
    return ""


def _reasons(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    return f": {', '.join(f'{name} {count:,}' for name, count in top(counts, ROWS_SHOWN).items())}"


def _first(text: str) -> str:
    return text[0] if text and text[0].isprintable() and not text[0].isspace() else ""
