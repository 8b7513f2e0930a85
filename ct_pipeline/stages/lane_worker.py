"""Several lanes at work in one asyncio loop: from due addresses to committed observations."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg

from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.storage.database import resolve_database_url
from ct_pipeline.storage.domain_facts import domain_facts
from ct_pipeline.storage.due import due_addresses, due_counts
from ct_pipeline.storage.lanes import LaneLock
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.probes import ObservationWriter, catch_all_facts, next_ids
from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.dialogue import Envelope
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.notebook import Notebook, Observations
from ct_pipeline.verification.planner import LanePlan, Limits, plan_lane
from ct_pipeline.verification.probe import Turn
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.site_run import SiteRun, Surroundings

HAND_OVER_EVERY_SECONDS = 0.1  # the writer commits twice a second; proof, this and that stay within one second
DUE_BATCH = 4_000  # addresses of one lane held in memory at once; all lanes may be at work
LOCK_CONFIRM_SECONDS = 3.0
LOCK_TRUSTED_SECONDS = 10.0  # DESIGN: without a confirmed lock for this long, no new RCPT
ID_BLOCK = 1000


class LaneWorkers:
    """Runs lanes side by side, in one loop."""

    def __init__(self, settings: Settings, on_commit: Callable[[int], None], pull_id: int | None) -> None:
        self._settings = settings
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
        self._conn: psycopg.Connection = self._exits.enter_context(open_ledger(self._settings))
        self._id_conn: psycopg.Connection = self._exits.enter_context(open_ledger(self._settings))
        self._writer = ObservationWriter(self._url)
        self._exits.callback(self._writer.close)
        self._notebook = Notebook(lambda what: next_ids(self._id_conn, what, ID_BLOCK))
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
        lock = LaneLock(self._url, lane)
        if not await asyncio.to_thread(lock.acquire):
            summary.stopped_because.append("another run works on this lane")
            return summary
        trust = _LockTrust(lock)
        keeper = asyncio.create_task(trust.keep())
        try:
            while await self._run_batch(lane, summary, trust):
                pass
            await self._count_what_is_left(lane, summary)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await asyncio.to_thread(lock.release)
        summary.seconds = time.monotonic() - started
        return summary

    async def _run_batch(self, lane: str, summary: LaneSummary, trust: "_LockTrust") -> bool:
        """Work through what is due now; False when nothing is, or nothing could be done about it."""
        now = datetime.now(UTC)
        plan = await asyncio.to_thread(self._plan, lane, now)
        if plan is None:
            return False
        self._notebook.page.turns += [Turn(due.address_id, None, due.attempt_count, None) for due in plan.not_asked]
        summary.not_asked_count += len(plan.not_asked)
        around = self._surroundings(trust)
        runs = [SiteRun(site, around, self._notebook) for site in plan.sites]
        try:
            async with asyncio.TaskGroup() as group:
                for run in runs:
                    group.create_task(run.run())
        finally:
            self._add_up(runs, summary)
        await self._commit()
        await asyncio.to_thread(self._writer.flush)
        return trust.is_fresh() and (bool(plan.not_asked) or any(run.session_count for run in runs))

    def _plan(self, lane: str, now: datetime) -> LanePlan | None:
        due = due_addresses(self._conn, lane, now, DUE_BATCH, pull_id=self._pull_id)
        if not due:
            return None
        domains = sorted({address.domain for address in due})
        facts = domain_facts(self._conn, domains)
        known = catch_all_facts(self._conn, domains, now)
        return plan_lane(lane, due, facts, known, self._providers, self._limits)

    def _surroundings(self, trust: "_LockTrust") -> Surroundings:
        settings = self._settings
        return Surroundings(
            envelope=Envelope(settings.helo_name, settings.mail_from),
            port=settings.smtp_port,
            timeouts=Timeouts(settings.connect_timeout_seconds, settings.reply_timeout_seconds),
            slots=self._slots,
            read=self._reader.read,
            may_ask=trust.is_fresh,
        )

    def _add_up(self, runs: list[SiteRun], summary: LaneSummary) -> None:
        for run in runs:
            summary.reasons.update(run.reasons)
            summary.asked_count += run.reasons.total()
            summary.session_count += run.session_count
            summary.catch_all_domain_count += sum(d.is_catch_all is True for g in run.plan.groups for d in g.domains)
            if run.stopped_because is not None:
                summary.stopped_because.append(f"{run.plan.site}: {run.stopped_because.reason}")

    async def _count_what_is_left(self, lane: str, summary: LaneSummary) -> None:
        rows = await asyncio.to_thread(due_counts, self._conn, datetime.now(UTC))
        summary.due_count = sum(row.due_now_count + row.due_later_count for row in rows if row.lane == lane)

    # -- commits ---

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(HAND_OVER_EVERY_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        async with self._commit_lock:
            page: Observations = self._notebook.tear_off()
            if page.row_count:
                await asyncio.to_thread(self._writer.put, page.sessions, page.probes, page.turns, page.catch_all_facts)
                self._on_commit(len(page.turns))


class _LockTrust:
    """Whether a lane's lock is known to be ours: a lock in Postgres is lost with its connection, without a word."""

    def __init__(self, lock: LaneLock) -> None:
        self._lock = lock
        self._confirmed_at = time.monotonic()

    def is_fresh(self) -> bool:
        return time.monotonic() - self._confirmed_at < LOCK_TRUSTED_SECONDS

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(LOCK_CONFIRM_SECONDS)
            asked_at = time.monotonic()
            if await asyncio.to_thread(self._lock.confirm):
                self._confirmed_at = asked_at
