"""Undo a batch: whoever was subscribed is so again, properties are what they were. Never against the user's word."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from ct_pipeline.clevertap.client import client_of
from ct_pipeline.clevertap.connection import connection_of, project_of
from ct_pipeline.errors import CleverTapUnavailableError, CtPipelineError, ExportError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.push import applies
from ct_pipeline.stages.push_clerk import Clerk
from ct_pipeline.stages.push_grounds import addresses_of
from ct_pipeline.stages.push_run import PushRun
from ct_pipeline.stages.refresh_opt_outs import refresh_opt_outs
from ct_pipeline.storage.batches import batch
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.push_lock import push_lock
from ct_pipeline.storage.subscription_evidence import subscription_evidence
from ct_pipeline.storage.undo import add_undo_batch, open_undo_batches, undoables, withdraw_unsent
from ct_pipeline.to_clevertap.changes import Batch
from ct_pipeline.to_clevertap.push_summary import PushedBatch, PushSummary
from ct_pipeline.to_clevertap.undo import UndoDecision, undo_properties, undo_unsubscribes, unseen_share
from ct_pipeline.vocabulary import BatchState, ChangeKind

UNDO_OF_UNDO = "an undo cannot be undone: `ct-pipeline plan --include-undone` plans it again"
STOPPED_BY_UNDO = "the batch was undone before this change was sent"
FAULTS_TOLD = 5
VISIBLE_SHARE = 0.5
EVENTS_LAG = timedelta(hours=1)  # what CleverTap shows no event of after that, it has raised none for


@dataclass(slots=True)
class UndoSummary:
    """What an undo restored, or in a preview would restore; counts are of changes.

    ``stopped_because`` is empty when all of it is done; calling the undo again goes on where it ended.
    """

    batch_id: int
    kind: ChangeKind
    preview: bool
    restorable_count: int = 0  # found to be restorable, this time
    restored_count: int = 0
    rejected_count: int = 0
    left_alone: Counter[str] = field(default_factory=Counter[str])  # why → how many
    withdrawn_count: int = 0  # of the batch, never sent, and now never to be
    undo_batch_ids: list[int] = field(default_factory=list[int])
    doubts: list[str] = field(default_factory=list[str])  # what to know before relying on it
    read_back: list[str] = field(default_factory=list[str])
    stopped_because: str = ""
    seconds: float = 0.0


def check_undoable(settings: Settings, batch_ids: Collection[int]) -> list[int]:
    """These batches in the order in which to undo them: what was written last is taken back first.

    Raises:
        ExportError: none is named, or one of them cannot be undone; see :func:`undo_batch`.
        SettingsError: a setting that the connection needs is missing.
        LedgerUnavailableError: the ledger is not reached.
    """
    project = project_of(settings)
    connection_of(settings)
    faults: list[str] = []
    with open_ledger(settings) as conn:
        for batch_id in sorted(set(batch_ids)):
            try:
                _undoable_batch(conn, project, batch_id)
            except ExportError as error:
                faults.append(str(error))
            if len(faults) == FAULTS_TOLD:
                break
    if faults:
        raise ExportError("\n".join([*faults, "Nothing was undone."]))
    if not batch_ids:
        raise ExportError("Name the batches to undo; `ct-pipeline status` lists them.")
    return sorted(set(batch_ids), reverse=True)


def undo_batch(
    settings: Settings, batch_id: int, *, include_unknown: bool = False, apply: bool | None = None, by: str = ""
) -> UndoSummary:
    """Undo what CleverTap has taken of a batch, as far as that is right, by a batch with intents and receipts.

    First the opt-outs of a year are read afresh. Resubscribed is who was known as subscribed and has not opted out by
    themselves, before us or after; properties go back to what they were, unless somebody wrote them since. Of a batch
    that is only partly sent, the rest is withdrawn. A second undo of the same batch goes on with the first, and does
    nothing twice.

    Args:
        include_unknown: resubscribe also those of whom nothing is known. Needs a look at the batch's reason first.
        apply: True writes, False only tells; None: as CT_EXPORT_MODE says.
        by: who asked for it; stays with the batch.

    Raises:
        ExportError: no such batch, one that has sent nothing, or one that is an undo itself.
        PushHeldError: another process pushes to this project.
        SettingsError: a setting that the connection needs is missing.
        LedgerUnavailableError, CleverTapRefusedError, CleverTapUnavailableError: before anything was written.
    """
    started = time.monotonic()
    project = project_of(settings)
    connection_of(settings)
    with open_ledger(settings) as conn:
        undone = _undoable_batch(conn, project, batch_id)
        summary = UndoSummary(batch_id, undone.kind, preview=not applies(settings, apply))
        if summary.preview:
            asyncio.run(_preview(settings, conn, undone, include_unknown, summary))
        else:
            with push_lock(conn, project):
                asyncio.run(_undo(settings, conn, undone, include_unknown, by, summary))
    summary.seconds = time.monotonic() - started
    return summary


def _undoable_batch(conn: psycopg.Connection, project: str, batch_id: int) -> Batch:
    found = batch(conn, batch_id)
    if found is None or found.project != project:
        raise ExportError(f"There is no batch {batch_id} of the project {project}.")
    if found.undoes_batch_id is not None or found.kind is ChangeKind.RESUBSCRIBE:
        raise ExportError(f"Batch {batch_id} undoes batch {found.undoes_batch_id}; {UNDO_OF_UNDO}.")
    if found.state not in (BatchState.SENDING, BatchState.DONE):
        raise ExportError(f"Batch {batch_id} is {found.state}: nothing of it has been sent, so nothing can be undone.")
    return found


async def _preview(
    settings: Settings, conn: psycopg.Connection, undone: Batch, include_unknown: bool, summary: UndoSummary
) -> None:
    async with Clerk(settings, conn) as clerk:
        if undone.kind is ChangeKind.UNSUBSCRIBE:
            async with client_of(settings) as reader:
                await refresh_opt_outs(settings, clerk, reader, undone.project)
        decision = await clerk.do(_decide, undone, include_unknown)
    _tell(decision, summary)


async def _undo(
    settings: Settings,
    conn: psycopg.Connection,
    undone: Batch,
    include_unknown: bool,
    by: str,
    summary: UndoSummary,
) -> None:
    pushed = PushSummary(undone.project, preview=False)
    restored: list[PushedBatch] = []
    async with Clerk(settings, conn) as clerk, PushRun(settings, clerk, pushed, restored.append) as run:
        summary.withdrawn_count = await clerk.do(withdraw_unsent, undone.batch_id, STOPPED_BY_UNDO, _now())
        # What was sent without an answer is sent once more: only what CleverTap is known to have taken can be undone.
        await run.push([undone.kind], [undone.batch_id])
        restored.clear()
        if not pushed.stopped_because:
            try:
                await _restore(clerk, run, undone, include_unknown, by, summary)
            except CtPipelineError as error:
                run.stop(str(error))
    summary.restored_count = sum(one.processed_count for one in restored)
    summary.rejected_count = sum(one.rejected_count for one in restored)
    for one in restored:
        if one.withdrawn_count:
            summary.left_alone += pushed.withdrawals
    summary.read_back = [f"Batch {one.batch_id}: {one.read_back}" for one in restored if one.read_back]
    summary.stopped_because = pushed.stopped_because


async def _restore(
    clerk: Clerk, run: PushRun, undone: Batch, include_unknown: bool, by: str, summary: UndoSummary
) -> None:
    if undone.kind is ChangeKind.UNSUBSCRIBE:
        await run.refresh_opt_outs()
    decision = await clerk.do(_decide, undone, include_unknown)
    _tell(decision, summary)
    _check_lag(undone, decision, _now())
    if decision.restore:
        await clerk.do(add_undo_batch, undone, decision.restore, by, _now())
    summary.undo_batch_ids = await clerk.do(open_undo_batches, undone.batch_id)
    if summary.undo_batch_ids:
        kind = ChangeKind.RESUBSCRIBE if undone.kind is ChangeKind.UNSUBSCRIBE else undone.kind
        await run.push([kind], summary.undo_batch_ids)


def _decide(conn: psycopg.Connection, undone: Batch, include_unknown: bool) -> UndoDecision:
    found = undoables(conn, undone)
    if undone.kind is ChangeKind.SET_PROPERTIES:
        return undo_properties(found)
    evidence = subscription_evidence(conn, undone.project, addresses_of(one.change for one in found))
    decision = undo_unsubscribes(found, evidence, include_unknown=include_unknown)
    decision.unseen_share = unseen_share(decision.restore, evidence)
    if decision.unseen_share > 1 - VISIBLE_SHARE:
        decision.doubts.append(
            f"Of {decision.unseen_share:.0%} of these unsubscribes CleverTap shows no event yet. Its events may lag "
            "behind: an opt-out that is as new as they are would not be seen. Undo later."
        )
    return decision


def _check_lag(undone: Batch, decision: UndoDecision, now: datetime) -> None:
    """Raises CleverTapUnavailableError while opt-outs as new as the batch might not be shown yet."""
    is_new = undone.done_at is None or now - undone.done_at < EVENTS_LAG
    if is_new and decision.unseen_share > 1 - VISIBLE_SHARE:
        raise CleverTapUnavailableError(
            f"Of {decision.unseen_share:.0%} of these unsubscribes CleverTap shows no event yet, so an opt-out that is "
            "as new would not be seen either: nobody was resubscribed. Undo it again in some minutes; an hour after "
            "the batch was sent, the undo no longer waits."
        )


def _tell(decision: UndoDecision, summary: UndoSummary) -> None:
    summary.restorable_count = len(decision.restore)
    summary.left_alone = Counter(decision.left_alone)
    summary.doubts = list(decision.doubts)


def _now() -> datetime:
    return datetime.now(UTC)
