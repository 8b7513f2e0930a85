"""Push: send the batches that may be sent, each change once, with a receipt. In preview it tells what it would send."""

import asyncio
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

import psycopg

from ct_pipeline.clevertap.connection import connection_of, project_of
from ct_pipeline.errors import ExportError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.push_clerk import Clerk
from ct_pipeline.stages.push_grounds import groundless, standard_of
from ct_pipeline.stages.push_run import PushRun
from ct_pipeline.storage.batches import batch, batches
from ct_pipeline.storage.changes import sendable_batches
from ct_pipeline.storage.grounds import Standard
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.push_lock import push_lock
from ct_pipeline.to_clevertap.push_summary import HeldBatch, PushedBatch, PushSummary
from ct_pipeline.vocabulary import BatchState, ChangeKind, ExportMode


def push(
    settings: Settings,
    *,
    kinds: Collection[ChangeKind] = tuple(ChangeKind),
    batch_ids: Collection[int] | None = None,
    apply: bool | None = None,
    on_batch: Callable[[PushedBatch], object] = lambda _batch: None,
) -> PushSummary:
    """Send batches that are planned or approved, and go on with those begun; never one that is held.

    What was sent and is interrupted has receipts; the next push sends the rest. An error after the first call does not
    raise: it stands in ``stopped_because``, beside what was sent.

    Args:
        kinds: only batches of these kinds.
        batch_ids: only these batches; None: all.
        apply: True sends, False previews; None: as CT_EXPORT_MODE says.
        on_batch: called with each batch when it is through.

    Raises:
        ExportError: a batch id that the project does not have.
        PushHeldError: another process pushes to this project.
        SettingsError: a setting that the connection needs is missing.
        LedgerUnavailableError: the database does not answer.
    """
    started = time.monotonic()
    project = project_of(settings)
    is_preview = not applies(settings, apply)
    if not is_preview:
        connection_of(settings)  # what is missing is said before anything is begun
    summary = PushSummary(project, is_preview)
    with open_ledger(settings) as conn:
        _check_known(conn, project, batch_ids)
        summary.held = _held(conn, project, kinds, batch_ids)
        if is_preview:
            _preview(conn, summary, standard_of(settings, datetime.now(UTC)), kinds, batch_ids, on_batch)
        else:
            with push_lock(conn, project):
                asyncio.run(_send(settings, conn, summary, kinds, batch_ids, on_batch))
    summary.seconds = time.monotonic() - started
    return summary


def applies(settings: Settings, apply: bool | None) -> bool:
    """Whether to write to CleverTap: an explicit word, or else the setting."""
    return settings.export_mode is ExportMode.APPLY if apply is None else apply


async def _send(
    settings: Settings,
    conn: psycopg.Connection,
    summary: PushSummary,
    kinds: Collection[ChangeKind],
    batch_ids: Collection[int] | None,
    on_batch: Callable[[PushedBatch], object],
) -> None:
    async with Clerk(settings, conn) as clerk, PushRun(settings, clerk, summary, on_batch) as run:
        await run.push(kinds, batch_ids)


def _preview(
    conn: psycopg.Connection,
    summary: PushSummary,
    standard: Standard,
    kinds: Collection[ChangeKind],
    batch_ids: Collection[int] | None,
    on_batch: Callable[[PushedBatch], object],
) -> None:
    for found in sendable_batches(conn, summary.project, kinds, batch_ids):
        lost = groundless(conn, summary.project, found.batch_id, found.kind, standard)
        pushed = PushedBatch(found.batch_id, found.kind, found.undoes_batch_id, found.open_count)
        pushed.withdrawn_count = len(lost)
        summary.withdrawals.update(one.why for one in lost)
        summary.batches.append(pushed)
        on_batch(pushed)


def _check_known(conn: psycopg.Connection, project: str, batch_ids: Collection[int] | None) -> None:
    for batch_id in batch_ids or ():
        found = batch(conn, batch_id)
        if found is None or found.project != project:
            raise ExportError(
                f"There is no batch {batch_id} of the project {project}. `ct-pipeline status` lists them."
            )


def _held(
    conn: psycopg.Connection, project: str, kinds: Collection[ChangeKind], batch_ids: Collection[int] | None
) -> list[HeldBatch]:
    return [
        HeldBatch(held.batch_id, held.kind, held.change_count, held.held_because)
        for held in batches(conn, project, [BatchState.HELD])
        if held.kind in kinds and (batch_ids is None or held.batch_id in batch_ids)
    ]
