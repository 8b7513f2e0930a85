"""One lane at work: what is due is handed out site by site, and the sites are asked side by side.

The lane is swept in the order of its sites. A site gets at most half of what the lane may hold at once; when a site has
handed all of that to its sessions, the next batch of it begins beside them, so that its connections never idle while
more is due. What a batch learnt is in the ledger before its addresses may be handed out again. After a sweep that found
something the lane is swept once more: meanwhile addresses may have fallen due.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import psycopg

from ct_pipeline.addresses.operator_lists import NO_LISTS, OperatorLists
from ct_pipeline.domains.providers import Providers
from ct_pipeline.stages.lane_tenure import LaneTenure
from ct_pipeline.storage.domain_facts import domain_facts
from ct_pipeline.storage.due import due_addresses
from ct_pipeline.storage.probes import catch_all_facts
from ct_pipeline.storage.site_memory import site_memories
from ct_pipeline.verification.dialer import Dialer
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.pace import SitePace
from ct_pipeline.verification.planner import LanePlan, Limits, plan_lane
from ct_pipeline.verification.probe import DueAddress, Turn
from ct_pipeline.verification.site_gate import SiteGate
from ct_pipeline.verification.site_memory import SiteMemory
from ct_pipeline.verification.site_plan import SitePlan
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.verification.surroundings import Surroundings
from ct_pipeline.vocabulary import Reason

UNASKED_BATCH = 10_000  # addresses whose turn is settled without asking take no memory for long
LOOK_AGAIN_SECONDS = 0.2  # whether a site at work has handed out all of its batch


@dataclass(frozen=True, slots=True)
class LaneTools:
    """What all lanes of a run share.

    ``ask`` puts a question to the ledger; ``kept`` returns once everything noted so far is committed.
    """

    providers: Providers
    limits: Limits
    notebook: Notebook
    ask: Callable[[Callable[[psycopg.Connection], "Portion"]], Awaitable["Portion"]]
    kept: Callable[[], asyncio.Future[None]]
    addresses_at_once: int
    pull_id: int | None = None
    lists: OperatorLists = NO_LISTS


@dataclass(frozen=True, slots=True)
class Portion:
    """Due addresses as the ledger handed them out, planned. ``last_site`` may have more when ``is_cut_off``."""

    plan: LanePlan
    address_ids: dict[str, list[int]]  # by site
    memories: dict[str, SiteMemory]
    last_site: str
    is_cut_off: bool


@dataclass(slots=True)
class _SiteAtWork:
    gate: SiteGate | None = None  # None while none of its addresses was to be asked
    runs: dict[asyncio.Future[None], SiteRun] = field(default_factory=dict)
    in_flight: dict[asyncio.Future[None], list[int]] = field(default_factory=dict)  # addresses of each batch
    has_more: bool = False
    is_left_alone: bool = False
    asks_nobody: bool = False

    @property
    def wants_more(self) -> bool:
        return self.has_more and not self.is_left_alone and all(run.has_handed_out_all for run in self.runs.values())


class LaneRun:
    """Runs one lane to its end for now, and adds up what it came to."""

    def __init__(
        self, lane: str, tools: LaneTools, around: Surroundings, tenure: LaneTenure, summary: LaneSummary
    ) -> None:
        self._lane = lane
        self._tools = tools
        self._around = around
        self._tenure = tenure
        self._summary = summary
        self._sites: dict[str, _SiteAtWork] = {}
        self._ended: list[tuple[str, asyncio.Future[None]]] = []  # batches that nobody has looked at yet
        self._news = asyncio.Event()
        self._batch_count = 0  # under way
        self._held_count = 0  # addresses that are being asked, or whose answers are not committed yet
        self._left_alone: set[str] = set()  # they have due addresses, and nothing can be done about it now
        self._after_site = ""
        self._has_found = False  # in this sweep
        self._is_swept = False
        self._told: set[str] = set()  # why sites were left
        self._is_cut_off = False  # our own proxy or source address failed: the rest of the lane would fare no better

    async def run(self, confirm: Callable[[], Awaitable[bool]]) -> None:
        """Work until nothing is due that could be asked now, or the lane is another's. ``confirm`` says whose it is."""
        try:
            while self._tenure.is_sure() or await confirm():
                if not self._is_cut_off:
                    await self._hand_out()
                if self._batch_count:
                    await self._wait()
                elif self._has_found and not self._is_cut_off:
                    self._after_site, self._has_found, self._is_swept = "", False, False
                else:
                    break
        finally:
            await self._stop()

    # -- handing out ---

    async def _hand_out(self) -> None:
        for name, site in [(name, site) for name, site in self._sites.items() if site.has_more]:
            if site.wants_more and self._room > 0:
                await self._hand_out_more_of(name, site)
        # Not for every address that is done: a question to the ledger costs the same for one and for hundreds.
        while not self._is_swept and self._room >= self._batch_size:
            portion = await self._ask_for(self._batch_size, after_site=self._after_site)
            self._is_swept = not portion.is_cut_off
            self._after_site = portion.last_site
            self._begin(portion)

    async def _hand_out_more_of(self, name: str, site: _SiteAtWork) -> None:
        in_flight = [address_id for ids in site.in_flight.values() for address_id in ids]
        size = UNASKED_BATCH if site.asks_nobody else min(self._batch_size, self._room)
        portion = await self._ask_for(size, only_site=name, in_flight=in_flight)
        site.has_more = portion.is_cut_off
        self._begin(portion)

    async def _ask_for(
        self, limit: int, *, after_site: str = "", only_site: str = "", in_flight: Iterable[int] = ()
    ) -> Portion:
        return await self._tools.ask(partial(self._portion, limit, after_site, only_site, list(in_flight)))

    def _portion(
        self, limit: int, after_site: str, only_site: str, in_flight: list[int], conn: psycopg.Connection
    ) -> Portion:
        now, tools = datetime.now(UTC), self._tools
        due = due_addresses(
            conn, self._lane, now, limit, in_flight, tools.pull_id, after_site=after_site, only_site=only_site
        )
        domains = list(dict.fromkeys(address.domain for address in due))
        facts = domain_facts(conn, domains)
        known = catch_all_facts(conn, domains, now)
        plan = plan_lane(self._lane, due, facts, known, tools.providers, tools.limits, now, tools.lists)
        memories = site_memories(conn, self._around.egress.name, [site.site for site in plan.sites])
        by_site: dict[str, list[int]] = {}
        for address in due:
            by_site.setdefault(facts[address.domain].site, []).append(address.address_id)
        last_site = facts[due[-1].domain].site if due else after_site
        return Portion(plan, by_site, memories, last_site, is_cut_off=len(due) == limit)

    def _begin(self, portion: Portion) -> None:
        plans = {plan.site: plan for plan in portion.plan.sites}
        self._summary.not_asked_count += self._settle_unasked(portion.plan.not_asked)
        self._summary.listed_count += self._settle_unasked(portion.plan.listed)
        for name, address_ids in portion.address_ids.items():
            if name in self._left_alone:
                continue
            self._has_found = True
            site = self._sites.setdefault(name, _SiteAtWork())
            site.has_more |= portion.is_cut_off and name == portion.last_site
            plan = plans.get(name)
            site.asks_nobody = plan is None
            if plan is None:
                batch = self._tools.kept()
            else:
                run = self._site_run(site, plan, portion.memories.get(name))
                batch = asyncio.create_task(self._run_and_keep(site, run))
                site.runs[batch] = run
            site.in_flight[batch] = address_ids
            self._batch_count += 1
            if batch in site.runs:
                self._held_count += len(address_ids)
            batch.add_done_callback(partial(self._note_end, name))

    def _settle_unasked(self, due: list[DueAddress]) -> int:
        turns = [Turn(one.address_id, None, one.attempt_count, None) for one in due]
        self._tools.notebook.page.turns += turns
        return len(turns)

    # -- asking ---

    def _site_run(self, site: _SiteAtWork, plan: SitePlan, memory: SiteMemory | None) -> SiteRun:
        if site.gate is None:
            egress, now = self._around.egress.name, self._around.clock()
            pace = SitePace(egress, plan.site, plan.lane, plan.limits, now, memory)
            site.gate = SiteGate(pace, Dialer(self._around, plan.site))
        return SiteRun(plan, self._around, self._tools.notebook, site.gate)

    async def _run_and_keep(self, site: _SiteAtWork, run: SiteRun) -> None:
        try:
            await run.run()
            if not run.turn_count and self._around.may_ask():
                site.is_left_alone = True  # it would be handed out again and again
        finally:
            self._add_up(run)
        await self._tools.kept()

    def _add_up(self, run: SiteRun) -> None:
        summary = self._summary
        summary.reasons.update(run.reasons)
        summary.asked_count += run.reasons.total()
        summary.session_count += run.session_count
        summary.catch_all_domain_count += sum(d.is_catch_all is True for g in run.plan.groups for d in g.domains)
        for domain in sorted(run.doubted_domains):
            self._tell(f"{run.plan.site}: {domain} accepts names that it refused before")
        if run.stopped_because is None:
            return
        if run.stopped_because.reason is Reason.EGRESS_TROUBLE:
            self._is_cut_off = True
            why = f"egress {self._around.egress.name} cannot connect, see `ct-pipeline doctor`"
        else:
            why = f"{run.plan.site}: {run.stopped_because.reason}"
        self._tell(why)

    def _tell(self, why: str) -> None:
        """Once a lane: a site has many batches."""
        if why not in self._told:
            self._told.add(why)
            self._summary.stopped_because.append(why)

    # -- waiting and ending ---

    @property
    def _batch_size(self) -> int:
        return max(1, self._tools.addresses_at_once // 2)

    @property
    def _room(self) -> int:
        return self._tools.addresses_at_once - self._held_count

    def _note_end(self, name: str, batch: asyncio.Future[None]) -> None:
        self._ended.append((name, batch))
        self._news.set()

    async def _wait(self) -> None:
        """Until a batch is done, or a site may want its next one."""
        seconds = LOOK_AGAIN_SECONDS if any(site.has_more for site in self._sites.values()) else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        ended, self._ended = self._ended, []
        for name, batch in ended:
            self._put_away(name, batch)

    def _put_away(self, name: str, batch: asyncio.Future[None]) -> None:
        site = self._sites[name]
        address_ids = site.in_flight.pop(batch)
        self._batch_count -= 1
        if site.runs.pop(batch, None) is not None:
            self._held_count -= len(address_ids)
        batch.result()
        if not site.in_flight and not site.wants_more:
            del self._sites[name]
            if site.is_left_alone:
                self._left_alone.add(name)

    async def _stop(self) -> None:
        batches = [batch for site in self._sites.values() for batch in site.in_flight]
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)
