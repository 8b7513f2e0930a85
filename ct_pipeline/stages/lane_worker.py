"""Several lanes at work in one asyncio loop: from due addresses to committed observations."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import psycopg

from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.id_reserve import IdReserve
from ct_pipeline.stages.lane_tenure import LaneTenure
from ct_pipeline.stages.ledger_patience import patiently
from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.costs import dns_cost
from ct_pipeline.storage.database import resolve_database_url
from ct_pipeline.storage.domain_facts import domain_facts
from ct_pipeline.storage.due import due_addresses
from ct_pipeline.storage.lanes import LaneLock
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.outage import Outage
from ct_pipeline.storage.probes import ObservationWriter, catch_all_facts, next_ids
from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.egress import DEFAULT_EGRESS, Egress, Envelope
from ct_pipeline.verification.lane_costs import LaneCosts
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.notebook import Notebook, Observations
from ct_pipeline.verification.planner import LanePlan, Limits, plan_lane
from ct_pipeline.verification.probe import Turn
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.verification.surroundings import Surroundings

HAND_OVER_EVERY_SECONDS = 0.1  # a killed run repeats its last second: proof, this and the writer's commit are quicker
PAGE_ROWS_LIMIT = 100_000  # not handed over yet, because the writer's buffer is full
DUE_BATCH = 10_000  # addresses of one lane held in memory at once

P = ParamSpec("P")
T = TypeVar("T")


class LaneWorkers:
    """Runs lanes side by side, in one loop.

    A database that is away for some minutes is waited for; :exc:`LedgerUnavailableError` ends the work when it stays
    away, since what is learnt could not be kept.
    """

    def __init__(self, settings: Settings, on_commit: Callable[[int], None], pull_id: int | None) -> None:
        self._settings = settings
        self._pull_id = pull_id
        self._on_commit = on_commit
        self._url = resolve_database_url(settings)
        self._outage = Outage(self._url)
        self._providers = load_providers()
        self._reader = ReplyReader.load()
        self._limits = Limits(settings.site_connections, settings.session_addresses, settings.probe_forbidden)
        self._exits = contextlib.ExitStack()
        self._lanes: set[asyncio.Task[LaneSummary]] = set()
        self._commit_lock = asyncio.Lock()
        self._costs = LaneCosts()

    async def start(self, lanes: list[str]) -> None:
        """Open the ledger and begin with every lane."""
        self._writer = ObservationWriter(self._url, self._outage)
        self._exits.callback(self._writer.close)
        self._ids = IdReserve(partial(self._ask_ledger, next_ids))
        await self._ids.fill()
        self._notebook = Notebook(self._ids.take)
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
        """End what is still running, commit what is known, close everything.

        Raises:
            LedgerUnavailableError: the database is away, so that what is not committed will be asked again.
        """
        if self._lanes:
            self._outage.hurry()
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
            if not await patiently(self._outage, tenure.begin):
                summary.stopped_because.append("another run works on this lane")
                return summary
            while await self._run_batch(lane, summary, tenure):
                pass
            if tenure.is_lost:
                summary.stopped_because.append("another run has taken this lane over")
            await self._tell_costs_and_what_is_left(summary)
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
        around = self._surroundings(tenure)
        runs = [SiteRun(site, around, self._notebook) for site in plan.sites]
        try:
            await _side_by_side(runs)
        finally:
            self._add_up(runs, summary)
        was_held_up = not self._may_ask(tenure)
        await self._commit()
        await asyncio.to_thread(self._writer.flush)
        if was_held_up or not tenure.is_sure():  # what was left for that is still to be done
            return await patiently(self._outage, tenure.confirm)
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

    def _surroundings(self, tenure: LaneTenure) -> Surroundings:
        settings = self._settings
        return Surroundings(
            egress=Egress(DEFAULT_EGRESS, Envelope(settings.helo_name, settings.mail_from)),
            port=settings.smtp_port,
            timeouts=Timeouts(settings.connect_timeout_seconds, settings.reply_timeout_seconds),
            slots=self._slots,
            read=self._reader.read,
            may_ask=partial(self._may_ask, tenure),
        )

    def _may_ask(self, tenure: LaneTenure) -> bool:
        """Whether a new question may be asked: the lane is ours, and there is room for what is not committed yet."""
        is_room = self._notebook.page.row_count < PAGE_ROWS_LIMIT
        return is_room and self._ids.has_plenty and tenure.is_sure()

    def _add_up(self, runs: list[SiteRun], summary: LaneSummary) -> None:
        for run in runs:
            summary.reasons.update(run.reasons)
            summary.asked_count += run.reasons.total()
            summary.session_count += run.session_count
            summary.catch_all_domain_count += sum(d.is_catch_all is True for g in run.plan.groups for d in g.domains)
            if run.stopped_because is not None:
                summary.stopped_because.append(f"{run.plan.site}: {run.stopped_because.reason}")

    async def _tell_costs_and_what_is_left(self, summary: LaneSummary) -> None:
        self._costs.tell(summary)
        summary.waiting = await self._ask_ledger(due_backlog, summary.lane)
        summary.due_count = sum(waiting.address_count for waiting in summary.waiting)
        summary.dns_query_count, summary.dns_address_count = await self._ask_ledger(dns_cost, summary.lane)

    # -- commits ---

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(HAND_OVER_EVERY_SECONDS)
            await self._commit()
            await self._ids.fill()

    async def _commit(self) -> None:
        async with self._commit_lock:
            page: Observations = self._notebook.tear_off()
            self._costs.add(page)
            if page.row_count:
                rows = page.sessions, page.probes, page.turns, page.catch_all_facts, page.site_memories
                await asyncio.to_thread(self._writer.put, *rows)
                self._on_commit(len(page.turns))

    # -- the ledger ---

    async def _ask_ledger(
        self, question: Callable[Concatenate[psycopg.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Answer ``question`` in a thread, over a connection of its own: one that is kept may have been lost."""

        def ask() -> T:
            with open_ledger(self._settings) as conn:
                return question(conn, *args, **kwargs)

        return await patiently(self._outage, partial(asyncio.to_thread, ask))


async def _side_by_side(runs: list[SiteRun]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run.run())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None  # what ends them is one cause, such as a lost database
