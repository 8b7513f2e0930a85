"""Several lanes at work in one asyncio loop: from due addresses to committed observations."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import psycopg

from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.egresses import Egresses
from ct_pipeline.stages.lane_tenure import LaneTenure
from ct_pipeline.storage.database import resolve_database_url
from ct_pipeline.storage.domain_facts import domain_facts
from ct_pipeline.storage.due import due_addresses, due_counts
from ct_pipeline.storage.lanes import LaneLock
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.probes import ID_BLOCK, ObservationWriter, catch_all_facts, next_ids
from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.egress import Egress
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.notebook import Kind, Notebook, Observations
from ct_pipeline.verification.planner import LanePlan, Limits, plan_lane
from ct_pipeline.verification.probe import Turn
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.verification.surroundings import Surroundings
from ct_pipeline.vocabulary import Reason

HAND_OVER_EVERY_SECONDS = 0.1  # a killed run repeats its last second: proof, this and the writer's commit are quicker
DUE_BATCH = 10_000  # addresses of one lane held in memory at once
LEDGER_PAUSES_SECONDS = (0.5, 2.0, 5.0)  # a database that restarts is asked again, as long as the writer does

P = ParamSpec("P")
T = TypeVar("T")


class LaneWorkers:
    """Runs lanes side by side, in one loop.

    A database that is away for a few seconds is waited for; :exc:`LedgerUnavailableError` ends the work when it stays
    away, since what is learnt could not be kept.
    """

    def __init__(
        self, settings: Settings, egresses: Egresses, on_commit: Callable[[int], None], pull_id: int | None
    ) -> None:
        self._settings = settings
        self._egresses = egresses
        self._pull_id = pull_id
        self._on_commit = on_commit
        self._url = resolve_database_url(settings)
        self._providers = load_providers()
        self._reader = ReplyReader.load()
        self._limits = Limits(settings.site_connections, settings.session_addresses, settings.probe_forbidden)
        self._exits = contextlib.ExitStack()
        self._lanes: set[asyncio.Task[LaneSummary]] = set()
        self._commit_lock = asyncio.Lock()

    async def start(self, lanes: list[str]) -> None:
        """Open the ledger and begin with every lane."""
        self._writer = ObservationWriter(self._url)
        self._exits.callback(self._writer.close)
        self._spare_ids: dict[Kind, list[int]] = {"session": [], "probe": []}
        await self._draw_spare_ids()
        self._notebook = Notebook(self._take_ids)
        self._slots = asyncio.Semaphore(self._settings.smtp_concurrency)
        self._committer = asyncio.create_task(self._commit_regularly())
        self._lanes = {asyncio.create_task(self._run_lane(lane), name=lane) for lane in lanes}

    async def next_summary(self) -> LaneSummary | None:
        """The summary of the next lane to finish; None when all have."""
        if not self._lanes:
            return None
        done, _ = await asyncio.wait({*self._lanes, self._committer}, return_when=asyncio.FIRST_COMPLETED)
        if self._committer in done:
            self._committer.result()
        lane = next(task for task in done if task is not self._committer)
        self._lanes.discard(lane)
        return lane.result()

    async def stop(self) -> None:
        """End what is still running, commit what is known, close everything."""
        try:
            for task in self._lanes:
                task.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)
            if hasattr(self, "_committer"):
                self._committer.cancel()
                await asyncio.gather(self._committer, return_exceptions=True)
                await self._commit()
                await asyncio.to_thread(self._writer.flush)
        finally:
            self._exits.close()

    # -- one lane ---

    async def _run_lane(self, lane: str) -> LaneSummary:
        started = time.monotonic()
        summary = LaneSummary(lane)
        tenure = LaneTenure(LaneLock(self._url, lane))
        try:
            if not await _patiently(tenure.begin):
                summary.stopped_because.append("another run works on this lane")
                return summary
            while await self._run_batch(lane, summary, tenure):
                pass
            if tenure.is_lost:
                summary.stopped_because.append("another run has taken this lane over")
            await self._count_what_is_left(lane, summary)
        finally:
            await tenure.end()
        summary.seconds = time.monotonic() - started
        return summary

    async def _run_batch(self, lane: str, summary: LaneSummary, tenure: LaneTenure) -> bool:
        """Work through what is due now; False when nothing is, nothing could be done about it, or the lane is lost."""
        plan = await self._ask_ledger(self._plan, lane, datetime.now(UTC))
        if plan is None:
            return False
        self._notebook.page.turns += [Turn(due.address_id, None, due.attempt_count, None) for due in plan.not_asked]
        summary.not_asked_count += len(plan.not_asked)
        egress = self._egresses.of_lane(lane)
        around = self._surroundings(egress, tenure)
        runs = [SiteRun(site, around, self._notebook) for site in plan.sites]
        try:
            await _side_by_side(runs)
        finally:
            self._add_up(runs, summary)
        await self._commit()
        await asyncio.to_thread(self._writer.flush)
        if not tenure.is_sure() and not await _patiently(tenure.confirm):
            return False
        if any(map(_is_cut_off, runs)) and not any(run.reasons for run in runs):
            return False  # the rest of the lane would fare no better
        # Turns, not sessions: what got no turn is still due, and would be taken up again and again.
        return bool(plan.not_asked) or any(run.turn_count for run in runs)

    def _plan(self, conn: psycopg.Connection, lane: str, now: datetime) -> LanePlan | None:
        due = due_addresses(conn, lane, now, DUE_BATCH, pull_id=self._pull_id)
        if not due:
            return None
        domains = sorted({address.domain for address in due})
        facts = domain_facts(conn, domains)
        known = catch_all_facts(conn, domains, now)
        return plan_lane(lane, due, facts, known, self._providers, self._limits)

    def _surroundings(self, egress: Egress, tenure: LaneTenure) -> Surroundings:
        settings = self._settings
        return Surroundings(
            egress=egress,
            port=settings.smtp_port,
            timeouts=Timeouts(settings.connect_timeout_seconds, settings.reply_timeout_seconds),
            slots=self._slots,
            read=self._reader.read,
            may_ask=tenure.is_sure,
        )

    def _add_up(self, runs: list[SiteRun], summary: LaneSummary) -> None:
        for run in runs:
            summary.reasons.update(run.reasons)
            summary.asked_count += run.reasons.total()
            summary.session_count += run.session_count
            summary.catch_all_domain_count += sum(d.is_catch_all is True for g in run.plan.groups for d in g.domains)
            if _is_cut_off(run):
                why = f"egress {run.around.egress.name} cannot connect, see `ct-pipeline doctor`"
                summary.stopped_because = [*dict.fromkeys([*summary.stopped_because, why])]
            elif run.stopped_because is not None:
                summary.stopped_because.append(f"{run.plan.site}: {run.stopped_because.reason}")

    async def _count_what_is_left(self, lane: str, summary: LaneSummary) -> None:
        rows = await self._ask_ledger(due_counts, datetime.now(UTC))
        summary.due_count = sum(row.due_now_count + row.due_later_count for row in rows if row.lane == lane)

    # -- commits ---

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(HAND_OVER_EVERY_SECONDS)
            await self._commit()
            await self._draw_spare_ids()

    async def _commit(self) -> None:
        async with self._commit_lock:
            page: Observations = self._notebook.tear_off()
            if page.row_count:
                await asyncio.to_thread(self._writer.put, page.sessions, page.probes, page.turns, page.catch_all_facts)
                self._on_commit(len(page.turns))

    # -- the ledger ---

    async def _draw_spare_ids(self) -> None:
        """Draw identifiers ahead, so that no session waits for the database."""
        for what, spare in self._spare_ids.items():
            if not spare:
                self._spare_ids[what] = await self._ask_ledger(next_ids, what, ID_BLOCK)

    def _take_ids(self, what: Kind) -> list[int]:
        spare, self._spare_ids[what] = self._spare_ids[what], []
        if spare:
            return spare
        with open_ledger(self._settings) as conn:
            return next_ids(conn, what, ID_BLOCK)

    async def _ask_ledger(
        self, question: Callable[Concatenate[psycopg.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Answer ``question`` in a thread, over a connection of its own: one that is kept may have been lost."""

        def ask() -> T:
            with open_ledger(self._settings) as conn:
                return question(conn, *args, **kwargs)

        return await _patiently(partial(asyncio.to_thread, ask))


def _is_cut_off(run: SiteRun) -> bool:
    """Our own proxy or source address failed."""
    return run.stopped_because is not None and run.stopped_because.reason is Reason.EGRESS_TROUBLE


async def _side_by_side(runs: list[SiteRun]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run.run())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None  # what ends them is one cause, such as a lost database


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    for pause_seconds in LEDGER_PAUSES_SECONDS:
        with contextlib.suppress(LedgerUnavailableError):
            return await call()
        await asyncio.sleep(pause_seconds)
    return await call()
