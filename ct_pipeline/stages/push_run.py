"""Sending batches: intents before the call, receipts after it, and the end of it all when something is wrong.

What may happen between an intent and its receipt (a crash, a lost database, an answer that cannot be matched) leads to
the same: the change has no receipt, and is sent again. Every try is an intent of its own, since each may raise an event
in CleverTap that has to be known as ours. So writes are repeated here, and not by the client.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Self

import psycopg

from ct_pipeline.clevertap.client import client_of
from ct_pipeline.clevertap.records import RecordAnswer
from ct_pipeline.clevertap.retry import Backoff, Patience
from ct_pipeline.errors import CleverTapUnavailableError, CtPipelineError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.property_proof import PropertyProof
from ct_pipeline.stages.push_clerk import Clerk
from ct_pipeline.stages.push_grounds import close_groundless, standard_of
from ct_pipeline.stages.refresh_opt_outs import refresh_opt_outs
from ct_pipeline.storage.changes import (
    SendableBatch,
    finish_batch,
    intend,
    note_clock,
    open_changes,
    sendable_batches,
    take_batch,
)
from ct_pipeline.to_clevertap.changes import Change
from ct_pipeline.to_clevertap.push_records import answered, property_records, subscription_records
from ct_pipeline.to_clevertap.push_summary import PushedBatch, PushSummary
from ct_pipeline.vocabulary import ChangeKind, Outcome

TRIES = Backoff(1.0, 60.0, 7)  # of a write without a usable answer: about two minutes
READING = Patience()
ONE_TRY = Patience(trouble=Backoff(1.0, 1.0, 0))
REFUSED_PAUSE_SECONDS = 1.0  # before a record that met CleverTap's own error is sent again
MOST_ATTEMPTS = 60  # of a change, over all pushes: more than any crash explains
WATCH_EVERY_SECONDS = 3.0
GRACE_SECONDS = 10.0  # for calls in flight when the user stops a push

# What undoes comes first: else it would undo what this push has done.
PHASES: tuple[tuple[ChangeKind, bool], ...] = (
    (ChangeKind.RESUBSCRIBE, True),
    (ChangeKind.RESUBSCRIBE, False),
    (ChangeKind.SET_PROPERTIES, True),
    (ChangeKind.UNSUBSCRIBE, False),
    (ChangeKind.SET_PROPERTIES, False),
)


class PushRun:
    """Everything between taking the project's lock and giving it back. Use it as ``async with``."""

    def __init__(
        self, settings: Settings, clerk: Clerk, summary: PushSummary, on_batch: Callable[[PushedBatch], object]
    ) -> None:
        self.summary = summary
        self.has_fresh_opt_outs = False
        self._settings = settings
        self._clerk = clerk
        self._on_batch = on_batch
        self._standard = standard_of(settings, _now())
        self._reader = client_of(settings, patience=READING)
        self._writer = client_of(settings, patience=ONE_TRY)
        self._proof = PropertyProof(settings, clerk, self._reader, summary.project)
        self._stopping = asyncio.Event()
        self._calls: set[asyncio.Task[list[RecordAnswer]]] = set()
        self._named: set[int] = set()  # batches that were asked for by number
        self._left: set[int] = set()  # batches under way, or left with open changes
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        await self._writer.__aenter__()
        self._watch = asyncio.create_task(self._watch_lock())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._writer.__aexit__()
        await self._reader.__aexit__()

    async def push(self, kinds: Collection[ChangeKind], batch_ids: Collection[int] | None = None) -> None:
        """Send every batch of these kinds that may be sent; what ends it early stands in the summary."""
        self._named = set(batch_ids or ())
        try:
            for kind, is_undo in PHASES:
                if kind in kinds and not self._stopping.is_set():
                    await self._send_all(kind, is_undo, batch_ids)
            if not self._stopping.is_set():
                await self._proof.look_again()
        except CtPipelineError as error:
            self.stop(str(error))
        if self._proof.doubt:
            self.stop(self._proof.doubt)

    async def refresh_opt_outs(self) -> None:
        """Read who has opted out, or in, by themselves; once in a push."""
        if not self.has_fresh_opt_outs:
            await refresh_opt_outs(self._settings, self._clerk, self._reader, self.summary.project)
            self.has_fresh_opt_outs = True

    def stop(self, because: str) -> None:
        """Begin nothing new. The first reason is the one that is told."""
        self.summary.stopped_because = self.summary.stopped_because or because
        self._stopping.set()

    async def _send_all(self, kind: ChangeKind, is_undo: bool, batch_ids: Collection[int] | None) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                while len(running) < self._concurrency(kind):
                    batch = await self._next(kind, is_undo, batch_ids)
                    if batch is None:
                        break
                    running.add(asyncio.create_task(self._send_batch(batch)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        except BaseException as error:
            self.stop(str(error) if isinstance(error, CtPipelineError) else "Stopped.")
            await self._wind_up(running)
            raise

    def _concurrency(self, kind: ChangeKind) -> int:
        is_alone = kind is ChangeKind.SET_PROPERTIES and not self._proof.is_given
        return 1 if is_alone else self._settings.upload_concurrency

    async def _next(self, kind: ChangeKind, is_undo: bool, batch_ids: Collection[int] | None) -> SendableBatch | None:
        if self._stopping.is_set() or (kind is ChangeKind.SET_PROPERTIES and self._proof.doubt):
            return None
        found = await self._clerk.do(
            sendable_batches, self.summary.project, [kind], batch_ids, is_undo=is_undo, but_for=self._left, limit=1
        )
        if not found:
            return None
        if kind is ChangeKind.RESUBSCRIBE:
            await self.refresh_opt_outs()
        if kind is ChangeKind.SET_PROPERTIES and not await self._proof.may_begin():
            return None
        self._left.add(found[0].batch_id)
        return found[0]

    async def _send_batch(self, batch: SendableBatch) -> None:
        pushed = PushedBatch(batch.batch_id, batch.kind, batch.undoes_batch_id, batch.open_count)
        try:
            if not await self._clerk.do(take_batch, batch.batch_id, _now()):
                return
            self.summary.batches.append(pushed)
            withdrawn = await self._clerk.do(
                close_groundless, self.summary.project, batch.batch_id, batch.kind, self._standard, _now()
            )
            pushed.withdrawn_count = withdrawn.total()
            self.summary.withdrawals += withdrawn
            changes = await self._clerk.do(open_changes, batch.batch_id)
            if self._is_hopeless(pushed, changes):
                return
            if batch.kind is ChangeKind.SET_PROPERTIES:
                await self._send_properties(pushed, changes)
            else:
                await self._deliver(pushed, changes)
            if self._writer.clock_difference is not None:
                await self._clerk.do(note_clock, batch.batch_id, self._writer.clock_difference)
            pushed.is_done = await self._clerk.do(finish_batch, batch.batch_id, _now())
        except CtPipelineError as error:
            self.stop(str(error))
        if pushed.is_done:
            self._left.discard(batch.batch_id)
        self._on_batch(pushed)

    def _is_hopeless(self, pushed: PushedBatch, changes: Sequence[Change]) -> bool:
        """Whether it was sent too often to be sent again by itself: else a sensor would send it for ever."""
        if pushed.batch_id in self._named or not any(one.attempt_count >= MOST_ATTEMPTS for one in changes):
            return False
        self.summary.stopped_because = self.summary.stopped_because or (
            f"Batch {pushed.batch_id} was sent {MOST_ATTEMPTS} times without a usable answer and is left alone now; "
            "the others were sent. Look at CleverTap's side first; "
            f"`ct-pipeline push --apply --batch {pushed.batch_id}` sends it again."
        )
        return True

    async def _send_properties(self, pushed: PushedBatch, changes: Sequence[Change]) -> None:
        """The first of this push alone, until it is proven that properties arrive; of an undo, its first change."""
        if not self._proof.is_given and pushed.undoes_batch_id is not None and len(changes) > 1:
            await self._proof.read_back(pushed, await self._deliver(pushed, changes[:1]))
            if self._proof.doubt:
                return
            changes = changes[1:]
        was_given = self._proof.is_given
        processed = await self._deliver(pushed, changes)
        if was_given:
            self._proof.remember(pushed, processed)
        else:
            await self._proof.read_back(pushed, processed)

    async def _deliver(self, pushed: PushedBatch, changes: Sequence[Change]) -> list[Change]:
        """Send changes until each has its receipt, or the push ends; those that CleverTap took.

        Raises:
            CleverTapRefusedError: CleverTap says no to all of them.
            CleverTapUnavailableError: no usable answer, however often they were sent.
            LedgerUnavailableError: the connection, and the lock with it, is lost.
        """
        processed: list[Change] = []
        refusal_count = trouble_count = 0
        left = list(changes)
        seen: set[int] = set()
        while left and not self._stopping.is_set():
            intended = await self._clerk.do(intend, pushed.batch_id, [change.change_id for change in left], _now())
            left = [change for change in left if change.change_id in intended]
            if not left or self._stopping.is_set():
                break
            pushed.sent_count += len(intended - seen)
            seen |= intended
            try:
                answers = await self._call(left)
                if answers is None:
                    break
                outcome = answered(left, answers, _now(), refusal_count)
            except CleverTapUnavailableError:
                wait = TRIES.wait_seconds(trouble_count, random.Random())  # noqa: S311 - jitter
                if wait is None:
                    raise
                trouble_count += 1
                await self._pause(wait)
                continue
            await self._clerk.keep(outcome.receipts, [change.change_id for change in outcome.again])
            taken = {receipt.change_id for receipt in outcome.receipts if receipt.outcome is Outcome.PROCESSED}
            processed += [change for change in left if change.change_id in taken]
            rejected = [receipt for receipt in outcome.receipts if receipt.outcome is Outcome.REJECTED]
            self.summary.rejections.update(f"{receipt.text} ({receipt.code})" for receipt in rejected)
            pushed.processed_count += len(taken)
            pushed.rejected_count += len(rejected)
            left = outcome.again
            if left:
                refusal_count += 1
                await self._pause(REFUSED_PAUSE_SECONDS)
        return processed

    async def _call(self, changes: Sequence[Change]) -> list[RecordAnswer] | None:
        """CleverTap's answers; None: the call was given up, because the push ended."""
        if changes[0].kind is ChangeKind.SET_PROPERTIES:
            call = asyncio.create_task(self._writer.upload(property_records(changes)))
        else:
            call = asyncio.create_task(self._writer.subscribe(subscription_records(changes)))
        self._calls.add(call)
        try:
            await asyncio.wait([call])
            return None if call.cancelled() else call.result()
        finally:
            self._calls.discard(call)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the push goes on."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _watch_lock(self) -> None:
        """Whoever loses the connection loses the lock: calls that go on trying could undo what another push does."""
        try:
            while True:
                await asyncio.sleep(WATCH_EVERY_SECONDS)
                await self._clerk.do(_is_alive)
        except CtPipelineError as error:
            self.stop(str(error))
            self._give_up_calls()

    async def _wind_up(self, running: set[asyncio.Task[None]]) -> None:
        """Let what is in flight come to its receipts, for a while."""
        if running:
            await asyncio.wait(running, timeout=GRACE_SECONDS)
            self._give_up_calls()
            await asyncio.wait(running)

    def _give_up_calls(self) -> None:
        for call in self._calls:
            call.cancel()


def _is_alive(conn: psycopg.Connection) -> None:
    conn.execute("select 1")


def _now() -> datetime:
    return datetime.now(UTC)
