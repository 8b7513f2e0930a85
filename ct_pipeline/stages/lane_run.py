"""One lane at work: what is due is handed out site by site, and the sites are asked side by side.

The lane is swept in the order of its sites. When a site has handed all of a batch to its sessions, the next batch of it
begins beside them, so that its connections do not idle while more is due. A batch is a quarter of what the lane may
hold at once, and is fetched when there is room for a whole one. No site holds more than two, or three where it is
alone: a slow one leaves room for the others. What a batch learnt is in the ledger before its addresses may be handed
out again.

While sites are at work the lane is swept again now and then, and once more after a sweep that found something:
meanwhile addresses may have fallen due.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import psycopg

from ct_pipeline.addresses.operator_lists import NO_LISTS, OperatorLists
from ct_pipeline.domains.providers import Providers
from ct_pipeline.stages.lane_portion import LanePortions, Portion, Wish
from ct_pipeline.stages.lane_tenure import LaneTenure
from ct_pipeline.stages.site_at_work import Batch, SiteAtWork
from ct_pipeline.verification.dialer import Dialer
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.pace import SitePace
from ct_pipeline.verification.planner import Limits
from ct_pipeline.verification.probe import DueAddress, Turn
from ct_pipeline.verification.site_gate import SiteGate
from ct_pipeline.verification.site_memory import SiteMemory
from ct_pipeline.verification.site_plan import SitePlan
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.verification.surroundings import Surroundings
from ct_pipeline.vocabulary import Reason

UNASKED_BATCH = 10_000  # addresses whose turn is settled without asking take no memory for long
LOOK_AGAIN_SECONDS = 0.2  # whether a site at work has handed out all of its batch
BATCHES_AT_ONCE = 4  # of one lane
SWEEP_AGAIN_SECONDS = 60.0  # no address falls due sooner after an answer
SWEEP_SHARE = 0.05  # of the time, at most: a sweep looks at every domain of the lane


@dataclass(frozen=True, slots=True)
class LaneTools:
    """What all lanes of a run share.

    ``ask`` puts a question to the ledger; ``kept`` returns once everything noted so far is committed.
    """

    providers: Providers
    limits: Limits
    notebook: Notebook
    ask: Callable[[Callable[[psycopg.Connection], Portion]], Awaitable[Portion]]
    kept: Callable[[], asyncio.Future[None]]
    addresses_at_once: int
    pull_id: int | None = None
    lists: OperatorLists = NO_LISTS


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
        self._portions = LanePortions(
            lane, around.egress.name, tools.providers, tools.limits, tools.lists, tools.pull_id
        )
        self._sites: dict[str, SiteAtWork] = {}
        self._sites_with_more: dict[str, SiteAtWork] = {}  # few of them
        self._ended: list[tuple[str, asyncio.Future[None]]] = []  # batches that nobody has looked at yet
        self._news = asyncio.Event()
        self._batch_count = 0  # under way
        self._held_count = 0  # addresses that are being asked, or whose answers are not committed yet
        self._left_alone: set[str] = set()  # they have due addresses, and nothing can be done about it now
        self._after_site = ""
        self._has_found = False  # in this sweep
        self._is_swept = False
        self._sweep_seconds = 0.0  # that the ledger took for this sweep
        self._sweep_again_at = 0.0  # by the loop's clock
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
                    self._has_found = False
                    self._begin_sweep()
                else:
                    break
        finally:
            await self._stop()

    # -- handing out ---

    async def _hand_out(self) -> None:
        for name, site in list(self._sites_with_more.items()):
            if site.wants_more and (site.asks_nobody or self._has_room_for(site)):
                await self._hand_out_more_of(name, site)
        if self._is_swept and self._clock() >= self._sweep_again_at:
            self._sweep_anew()
        # Not for every address that is done: a question to the ledger costs the same for one and for hundreds.
        while not self._is_swept and self._room >= self._batch_size:
            await self._sweep_on()

    async def _sweep_on(self) -> None:
        ahead = {name: site for name, site in self._sites.items() if name > self._after_site}
        skipped = {name for name, site in ahead.items() if site.has_more or not self._has_room_for(site)}
        in_flight = [number for name, site in ahead.items() if name not in skipped for number in site.address_ids()]
        began_at = self._clock()
        wish = Wish(
            self._batch_size,
            after_site=self._after_site,
            skipped_sites=skipped | self._left_alone,
            in_flight=in_flight,
        )
        portion = await self._take(wish)
        self._sweep_seconds += self._clock() - began_at
        self._is_swept = not portion.is_cut_off
        self._after_site = portion.last_site
        self._sweep_again_at = self._clock() + max(SWEEP_AGAIN_SECONDS, self._sweep_seconds / SWEEP_SHARE)
        self._begin(portion)

    def _sweep_anew(self) -> None:
        """Some addresses may have fallen due by now, and what was left alone may be asked."""
        self._begin_sweep()
        self._left_alone.clear()
        for site in self._sites.values():
            site.is_left_alone = False

    def _begin_sweep(self) -> None:
        self._after_site, self._is_swept, self._sweep_seconds = "", False, 0.0

    async def _hand_out_more_of(self, name: str, site: SiteAtWork) -> None:
        in_flight = site.address_ids()
        portion = None
        if site.asks_nobody:
            portion = await self._take(Wish(UNASKED_BATCH, only_site=name, in_flight=in_flight))
        if portion is None or portion.plan.sites:  # so many are not asked about at once
            portion = await self._take(Wish(self._batch_size, only_site=name, in_flight=in_flight))
        self._note_more(name, site, has_more=portion.is_cut_off)
        self._begin(portion)

    async def _take(self, wish: Wish) -> Portion:
        return await self._tools.ask(partial(self._portions.take, wish))

    def _begin(self, portion: Portion) -> None:
        plans = {plan.site: plan for plan in portion.plan.sites}
        self._summary.not_asked_count += self._settle_unasked(portion.plan.not_asked)
        self._summary.listed_count += self._settle_unasked(portion.plan.listed)
        for name, address_ids in portion.address_ids.items():
            self._has_found = True
            site = self._sites.setdefault(name, SiteAtWork())
            if portion.is_cut_off and name == portion.last_site:
                self._note_more(name, site, has_more=True)
            plan = plans.get(name)
            site.asks_nobody = plan is None
            batch = Batch(address_ids, is_asked=plan is not None)
            if plan is None:
                done = self._tools.kept()
            else:
                done = asyncio.create_task(self._ask_and_keep(site, batch, plan, portion.memories.get(name)))
                self._held_count += len(address_ids)
            site.batches[done] = batch
            self._batch_count += 1
            done.add_done_callback(partial(self._note_end, name))

    def _note_more(self, name: str, site: SiteAtWork, *, has_more: bool) -> None:
        site.has_more = has_more
        if has_more:
            self._sites_with_more[name] = site
        else:
            self._sites_with_more.pop(name, None)

    def _settle_unasked(self, due: list[DueAddress]) -> int:
        turns = [Turn(one.address_id, None, one.attempt_count, None) for one in due]
        self._tools.notebook.page.turns += turns
        return len(turns)

    # -- asking ---

    async def _ask_and_keep(self, site: SiteAtWork, batch: Batch, plan: SitePlan, memory: SiteMemory | None) -> None:
        await self._around.slots.acquire()  # first of all: thousands wait for their turn, and hold no more than a plan
        run = batch.run = self._site_run(site, plan, memory)
        turns_before = site.turn_count
        try:
            await run.run()
            if self._around.may_ask():
                site.learn_whether_to_go_on(turns_before)
        finally:
            self._add_up(run)
        await self._tools.kept()

    def _site_run(self, site: SiteAtWork, plan: SitePlan, memory: SiteMemory | None) -> SiteRun:
        if site.gate is None:
            egress, now = self._around.egress.name, self._around.clock()
            pace = SitePace(egress, plan.site, plan.lane, plan.limits, now, memory)
            site.gate = SiteGate(pace, Dialer(self._around, plan.site))
        return SiteRun(plan, self._around, self._tools.notebook, site.gate, has_slot=True)

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
        return max(1, self._tools.addresses_at_once // BATCHES_AT_ONCE)

    @property
    def _room(self) -> int:
        return self._tools.addresses_at_once - self._held_count

    def _has_room_for(self, site: SiteAtWork) -> bool:
        """Whether one more batch of ``site`` leaves room for others; where there are others, half of it all."""
        is_alone = self._is_swept and len(self._sites) == 1
        batches = BATCHES_AT_ONCE - 1 if is_alone else BATCHES_AT_ONCE // 2
        held = site.held_count
        return self._room >= self._batch_size and held + self._batch_size <= batches * self._batch_size

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()

    def _note_end(self, name: str, done: asyncio.Future[None]) -> None:
        self._ended.append((name, done))
        self._news.set()

    async def _wait(self) -> None:
        """Until a batch is done, a site may want its next one, or the lane is to be swept again."""
        seconds = max(0.0, self._sweep_again_at - self._clock()) if self._is_swept else None
        if self._sites_with_more:
            seconds = LOOK_AGAIN_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        ended, self._ended = self._ended, []
        for name, done in ended:
            self._put_away(name, done)

    def _put_away(self, name: str, done: asyncio.Future[None]) -> None:
        site = self._sites[name]
        self._batch_count -= 1
        self._held_count -= site.put_away(done)
        done.result()
        if not site.batches and not site.wants_more:
            del self._sites[name]
            self._sites_with_more.pop(name, None)
            if site.is_left_alone:
                self._left_alone.add(name)

    async def _stop(self) -> None:
        batches = [batch for site in self._sites.values() for batch in site.batches]
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)
