"""Several lanes at work in one asyncio loop: from due addresses to committed observations."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import psycopg

from ct_pipeline.addresses.operator_lists import NO_LISTS, OperatorLists
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.egresses import Egresses
from ct_pipeline.stages.id_reserve import IdReserve
from ct_pipeline.stages.lane_run import LaneRun, LaneTools
from ct_pipeline.stages.lane_tenure import LaneTenure
from ct_pipeline.stages.ledger_patience import patiently
from ct_pipeline.stages.ledger_reader import LedgerReader
from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.costs import dns_cost
from ct_pipeline.storage.database import resolve_database_url
from ct_pipeline.storage.lanes import LaneLock
from ct_pipeline.storage.outage import Outage
from ct_pipeline.storage.probes import ObservationWriter, next_ids
from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.egress import Egress
from ct_pipeline.verification.lane_costs import LaneCosts
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.notebook import Notebook, Observations
from ct_pipeline.verification.planner import Limits
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.surroundings import Surroundings

COMMIT_EVERY_SECONDS = 0.25  # a killed run repeats its last second: proof, this and the commit are quicker
PAGE_ROWS_LIMIT = 100_000  # not handed over yet, because the database does not take them
ADDRESSES_AT_ONCE = 20_000  # shared by the lanes of a run, so that memory does not grow with what is due
LANE_ADDRESSES_AT_LEAST = 400  # what keeps the connections of one large provider busy: half is one site's

P = ParamSpec("P")
T = TypeVar("T")


class LaneWorkers:
    """Runs lanes side by side, in one loop.

    A database that is away for some minutes is waited for; :exc:`LedgerUnavailableError` ends the work when it stays
    away, since what is learnt could not be kept.
    """

    def __init__(
        self,
        settings: Settings,
        egresses: Egresses,
        on_commit: Callable[[int], None],
        pull_id: int | None,
        lists: OperatorLists = NO_LISTS,
    ) -> None:
        self._settings = settings
        self._egresses = egresses
        self._pull_id = pull_id
        self._lists = lists
        self._on_commit = on_commit
        self._url = resolve_database_url(settings)
        self._outage = Outage(self._url)
        self._reader = LedgerReader(settings)
        self._replies = ReplyReader.load()
        self._exits = contextlib.ExitStack()
        self._lanes: set[asyncio.Task[LaneSummary]] = set()
        self._commit_lock = asyncio.Lock()
        self._unkept: list[asyncio.Future[None]] = []  # who waits until all that is noted now is committed
        self._costs = LaneCosts()

    async def start(self, lanes: list[str]) -> None:
        """Open the ledger and begin with every lane."""
        self._writer = ObservationWriter(self._url, self._outage)
        self._exits.callback(self._writer.close)
        self._exits.callback(self._reader.close)
        self._ids = IdReserve(partial(self._ask_ledger, next_ids))
        await self._ids.fill()
        self._notebook = Notebook(self._ids.take)
        self._slots = asyncio.Semaphore(self._settings.smtp_concurrency)
        self._committer = asyncio.create_task(self._commit_regularly())
        tools = self._tools(len(lanes))
        self._lanes = {asyncio.create_task(self._run_lane(lane, tools), name=lane) for lane in lanes}

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
                async with self._commit_lock:  # not in the middle of a commit, whose page would be lost
                    self._committer.cancel()
                await asyncio.gather(self._committer, return_exceptions=True)
                await self._commit()
        finally:
            self._exits.close()

    # -- one lane ---

    async def _run_lane(self, lane: str, tools: LaneTools) -> LaneSummary:
        started = time.monotonic()
        summary = LaneSummary(lane)
        tenure = LaneTenure(LaneLock(self._url, lane))
        try:
            if not await patiently(self._outage, tenure.begin):
                summary.stopped_because.append("another run works on this lane")
                return summary
            around = self._surroundings(self._egresses.of_lane(lane), tenure)
            run = LaneRun(lane, tools, around, tenure, summary)
            await run.run(confirm=lambda: patiently(self._outage, tenure.confirm))
            if tenure.is_lost:
                summary.stopped_because.append("another run has taken this lane over")
            await self._tell_costs_and_what_is_left(summary)
        finally:
            await tenure.end()
        summary.seconds = time.monotonic() - started
        return summary

    def _tools(self, lane_count: int) -> LaneTools:
        return LaneTools(
            providers=load_providers(),
            limits=Limits.of(self._settings),
            notebook=self._notebook,
            ask=self._ask_ledger,
            kept=self._kept,
            addresses_at_once=max(LANE_ADDRESSES_AT_LEAST, ADDRESSES_AT_ONCE // lane_count),
            pull_id=self._pull_id,
            lists=self._lists,
        )

    def _surroundings(self, egress: Egress, tenure: LaneTenure) -> Surroundings:
        settings = self._settings
        return Surroundings(
            egress=egress,
            port=settings.smtp_port,
            timeouts=Timeouts(
                settings.connect_timeout_seconds,
                settings.reply_timeout_seconds,
                greeting=settings.greeting_timeout_seconds,
            ),
            slots=self._slots,
            read=self._replies.read,
            may_ask=partial(self._may_ask, tenure),
        )

    def _may_ask(self, tenure: LaneTenure) -> bool:
        """Whether a new question may be asked: the lane is ours, and there is room for what is not committed yet."""
        is_room = len(self._notebook.page.probes) < PAGE_ROWS_LIMIT
        return is_room and self._ids.has_plenty and tenure.is_sure()

    async def _tell_costs_and_what_is_left(self, summary: LaneSummary) -> None:
        self._costs.tell(summary)
        summary.waiting = await self._ask_ledger(due_backlog, summary.lane)
        summary.due_count = sum(waiting.address_count for waiting in summary.waiting)
        summary.dns_query_count, summary.dns_address_count = await self._ask_ledger(dns_cost, summary.lane)

    # -- commits ---

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_SECONDS)
            await self._commit()
            await self._ids.fill()

    async def _commit(self) -> None:
        """Everything noted so far is in the ledger when this returns."""
        async with self._commit_lock:
            waiting, self._unkept = self._unkept, []
            page: Observations = self._notebook.tear_off()
            self._costs.add(page)
            if page.row_count:
                rows = page.sessions, page.probes, page.turns, page.catch_all_facts, page.site_memories
                await asyncio.to_thread(self._put_and_flush, *rows)
                self._on_commit(len(page.turns))
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def _put_and_flush(self, *rows: list) -> None:
        self._writer.put(*rows)
        self._writer.flush()

    def _kept(self) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._unkept.append(future)
        return future

    # -- the ledger ---

    async def _ask_ledger(
        self, question: Callable[Concatenate[psycopg.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Answer ``question`` in a thread."""

        def ask() -> T:
            return self._reader.ask(question, *args, **kwargs)

        return await patiently(self._outage, partial(asyncio.to_thread, ask))
