"""The export in counts and tables: what a plan, a push and an undo come to. Addresses only masked, and few."""

from collections.abc import Collection, Mapping, Sequence

import dagster as dg

from ct_pipeline.orchestration.metadata import Facts, count_table, lines, table
from ct_pipeline.settings import Settings
from ct_pipeline.stages.undo import UndoSummary
from ct_pipeline.storage.batches import batches
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.to_clevertap.changes import Batch
from ct_pipeline.to_clevertap.preview import KIND_WORDS, PlanSummary, top
from ct_pipeline.to_clevertap.push_summary import PushSummary
from ct_pipeline.vocabulary import BatchState, ChangeKind, ExportMode

PROVIDERS_SHOWN = 20
BATCHES_SHOWN = 50  # of each state: 50 million profiles are 50,000 batches
_SAMPLE_COLUMNS = {"address": "string", "status": "string", "reason": "string"}
_STATES_AS_SHOWN = ([BatchState.HELD], [BatchState.PLANNED, BatchState.APPROVED, BatchState.SENDING], [BatchState.DONE])


def plan_metadata(settings: Settings, plan: PlanSummary) -> Facts:
    """The preview: how many, why, at which providers, and what is held back."""
    shown = shown_batches(settings)
    return {
        "what_next": _what_next(settings, shown),
        "unsubscribe_count": plan.unsubscribe_count,
        "property_change_count": plan.property_change_count,
        "held_back_count": sum(plan.held_back.values()),
        "withdrawn_count": plan.withdrawn_count,
        "batches": batch_table(shown),
        "addresses_by_status": count_table("status", plan.by_status),
        **_if_any("unsubscribe_reasons", "reason", plan.by_reason),
        **_if_any("unsubscribe_providers", "provider", top(plan.by_provider, PROVIDERS_SHOWN)),
        **_if_any("held_back", "why nothing is planned", plan.held_back),
        **_if_any("withdrawn", "why", plan.withdrawn),
        **({"samples": table(_SAMPLE_COLUMNS, plan.samples)} if plan.samples else {}),
        "policy": lines(plan.policy),
        "project": plan.project,
        "audience": plan.audience or "every profile",
        "profile_count": plan.profile_count,
        "address_count": plan.address_count,
    }


def push_metadata(settings: Settings, pushed: PushSummary, kinds: Collection[ChangeKind]) -> Facts:
    """What was sent, or in a preview would have been, and the receipts by outcome."""
    shown = [batch for batch in shown_batches(settings) if batch.kind in kinds]
    return {
        "mode": _mode(pushed.preview),
        "what_next": _what_next(settings, shown),
        **({"would_send_count": pushed.would_send_count} if pushed.preview else {}),
        "processed_count": pushed.processed_count,
        "rejected_count": pushed.rejected_count,
        "withdrawn_count": pushed.withdrawn_count,
        "held_batch_count": pushed.held_batch_count,
        "batches": batch_table(shown),
        **_if_any("rejected", "CleverTap said", pushed.rejections),
        **_if_any("withdrawn", "why", pushed.withdrawals),
        "read_back": lines(pushed.read_back),
        "stopped_because": lines([pushed.stopped_because]),
        "seconds": round(pushed.seconds, 1),
    }


def undo_metadata(settings: Settings, undone: UndoSummary) -> Facts:
    """What was restored, or in a preview would be, and what was left alone and why."""
    return {
        "mode": _mode(undone.preview),
        "undone_batch": undone.batch_id,
        "restorable_count": undone.restorable_count,
        "restored_count": undone.restored_count,
        "rejected_count": undone.rejected_count,
        "left_alone_count": sum(undone.left_alone.values()),
        **_if_any("left_alone", "why", undone.left_alone),
        "withdrawn_count": undone.withdrawn_count,
        "batches": batch_table(shown_batches(settings)),
        "doubts": lines(undone.doubts),
        "read_back": lines(undone.read_back),
        "stopped_because": lines([undone.stopped_because]),
        "seconds": round(undone.seconds, 1),
    }


def batches_metadata(settings: Settings) -> Facts:
    """Where the batches of the project stand."""
    shown = shown_batches(settings)
    return {"what_next": _what_next(settings, shown), "batches": batch_table(shown)}


def held_batches_check(settings: Settings, name: str) -> dg.AssetCheckResult:
    """A warning while a brake holds a batch; it stops nothing, the batch's own state does."""
    held = [batch for batch in shown_batches(settings) if batch.state is BatchState.HELD]
    return dg.AssetCheckResult(
        check_name=name,
        passed=not held,
        severity=dg.AssetCheckSeverity.WARN,
        description=_how_to_approve(held) if held else "No brake holds a batch.",
        metadata={"batches": batch_table(held)} if held else {},
    )


def shown_batches(settings: Settings) -> list[Batch]:
    """Held batches, then those that may be sent, then the last that were; not more of each than people read."""
    with open_ledger(settings) as ledger:
        return [
            batch
            for states in _STATES_AS_SHOWN
            for batch in batches(ledger, settings.project_id, states=states, limit=BATCHES_SHOWN)
        ]


def batch_table(shown: Sequence[Batch]) -> dg.MetadataValue:
    """One row a batch. Few columns: the UI gives a table half the page."""
    rows = [
        (batch.batch_id, f"{KIND_WORDS[batch.kind]} {batch.change_count:,}", batch.state.value, _remarks(batch))
        for batch in shown
    ]
    return table({"batch": "int", "changes": "string", "state": "string", "receipts and remarks": "string"}, rows)


def _remarks(batch: Batch) -> str:
    receipts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(batch.outcomes.items()) if count)
    approved = f"approved by {batch.approved_by}: {batch.approved_because}" if batch.approved_by else ""
    undoes = f"undoes batch {batch.undoes_batch_id}" if batch.undoes_batch_id else ""
    held_word = "held" if batch.state is BatchState.HELD else "was held"
    held = f"{held_word}: {batch.held_because}" if batch.held_because else ""
    return lines([receipts, undoes, held, approved, batch.read_back])


def _if_any(name: str, what: str, counts: Mapping[str, int]) -> dict[str, dg.MetadataValue]:
    """An entry ``name`` with the table of ``counts``, or no entry."""
    return {name: count_table(what, counts)} if counts else {}


def _mode(is_preview: bool) -> str:
    return "preview: nothing was sent" if is_preview else "apply"


def _what_next(settings: Settings, shown: Sequence[Batch]) -> str:
    held = [batch for batch in shown if batch.state is BatchState.HELD]
    is_sendable = any(batch.state not in (BatchState.HELD, BatchState.DONE) for batch in shown)
    texts = []
    if held:
        texts.append(_how_to_approve(held))
    if is_sendable and settings.export_mode is ExportMode.PREVIEW:
        which = "the other batches" if held else "the batches"
        texts.append(
            f"To send {which}, launch the job push with `apply: true` for both assets, or set CT_EXPORT_MODE=apply "
            "and restart."
        )
    elif is_sendable:
        texts.append("The sensor pushing sends the batches that are not held.")
    if not texts:
        texts.append("Nothing is waiting to be sent.")
    if any(batch.state is BatchState.DONE for batch in shown):
        texts.append("A batch that was sent is taken back with the job undo_batch.")
    return " ".join(texts)


def _how_to_approve(held: Sequence[Batch]) -> str:
    numbers = ", ".join(str(batch.batch_id) for batch in held[:10]) + (" …" if len(held) > 10 else "")
    return (
        f"Held: batch {numbers}. Read why in the table of batches; if it is right all the same, launch the job "
        "approve_batches with the numbers, your name and the reason."
    )
