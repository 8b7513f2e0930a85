"""Ask the mail hosts about every due address of some lanes, and write down what they say.

The work is resumable at any moment: what a host said is committed at least every second, addresses that were not asked
stay due, and each lane is worked on by one process at a time.
"""

from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime

import psycopg

from ct_pipeline.settings import Settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.egresses import Egresses, load_egresses
from ct_pipeline.stages.helo_names import refuse_unfit_helo_names
from ct_pipeline.stages.lane_worker import LaneWorkers
from ct_pipeline.stages.operator_list_files import load_operator_lists
from ct_pipeline.stages.rare_collections import rare_collections
from ct_pipeline.stages.swift_loop import SwiftLoop
from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.due import ask_after_all, lanes_due
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.listed_addresses import ask_delisted
from ct_pipeline.storage.site_memory import open_breakers
from ct_pipeline.verification.lane_summary import LaneSummary


def verify_lanes(
    settings: Settings,
    lanes: Sequence[str],
    on_commit: Callable[[int], None] = lambda _count: None,
    pull_id: int | None = None,
) -> list[LaneSummary]:
    """Run ``lanes`` to their end for now; one summary a lane, in the order they finished."""
    return list(verify_lanes_iter(settings, lanes, on_commit, pull_id))


def verify_lanes_iter(
    settings: Settings,
    lanes: Sequence[str],
    on_commit: Callable[[int], None] = lambda _count: None,
    pull_id: int | None = None,
) -> Generator[LaneSummary, None, None]:
    """Like :func:`verify_lanes`, yielding each lane's summary when it is done: idle lanes first, before any network,
    then those of egresses that are not ours.

    A lane is idle when nothing of it is due, or only at sites that have turned us away and may not be tried yet.
    Domain facts that are missing or have expired are looked up first. With ``CT_PROBE_FORBIDDEN``, addresses that an
    earlier run without it left out are asked after all; so are those that the operator's lists name no longer, while
    those that they name are settled without being asked. The asyncio loop runs in the calling thread while the caller
    waits for the next summary; closing the generator, or an interrupt, ends all sessions politely and commits what is
    known.

    Args:
        on_commit: called with the number of addresses whose turn was just handed to the ledger.
        pull_id: ask only addresses of this pull.

    Raises:
        SettingsError: the egresses or the operator's lists do not fit, or the HELO name of an egress that is needed is
            not borne out by DNS.
        NameServersUnavailableError: DNS does not say whether it is.
        LedgerUnavailableError: the database cannot be reached, or went away.
    """
    egresses, lists = load_egresses(settings), load_operator_lists(settings)
    with open_ledger(settings) as conn:
        ask_delisted(conn, lists.listing_of, datetime.now(UTC))
        if settings.probe_forbidden:
            ask_after_all(conn, datetime.now(UTC), pull_id)
        busy = lanes_due(conn, datetime.now(UTC), pull_id)
        idle = _idle_lanes(conn, [lane for lane in lanes if lane not in busy], pull_id)
    yield from idle
    yield from _left_to_others(settings, egresses, [lane for lane in lanes if lane in busy])
    mine = [lane for lane in lanes if lane in busy and egresses.works(lane)]
    if not mine:
        return
    refuse_unfit_helo_names(settings, egresses, mine)
    look_up_domains(settings, pull_id=pull_id)
    workers = LaneWorkers(settings, egresses, on_commit, pull_id, lists)
    with rare_collections(), SwiftLoop() as loop:
        try:
            loop.run(workers.start(mine))
            while (summary := loop.run(workers.next_summary())) is not None:
                yield summary
        finally:
            loop.run(workers.stop())


def _idle_lanes(conn: psycopg.Connection, lanes: Sequence[str], pull_id: int | None) -> list[LaneSummary]:
    """Their summaries, with what waits in them; of one pull alone only what keeps its addresses waiting."""
    idle = {lane: LaneSummary(lane) for lane in lanes}
    for breaker in open_breakers(conn, datetime.now(UTC), pull_id):
        if breaker.lane in idle and breaker.waiting_count:
            idle[breaker.lane].stopped_because.append(f"{breaker.site}: {breaker.note.reason}")
    for waiting in due_backlog(conn) if pull_id is None else ():
        if waiting.lane in idle:
            idle[waiting.lane].waiting.append(waiting)
            idle[waiting.lane].due_count += waiting.address_count
    return list(idle.values())


def _left_to_others(settings: Settings, egresses: Egresses, busy: Sequence[str]) -> list[LaneSummary]:
    """The summaries of lanes whose egress another machine works."""
    others = {
        lane: LaneSummary(lane, stopped_because=[f"belongs to egress {egresses.of_lane(lane).name}"])
        for lane in busy
        if not egresses.works(lane)
    }
    if others:
        with open_ledger(settings) as conn:
            for waiting in due_backlog(conn):
                if waiting.lane in others:
                    others[waiting.lane].due_count += waiting.address_count
    return list(others.values())
