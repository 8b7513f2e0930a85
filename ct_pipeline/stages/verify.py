"""Ask the mail hosts about every due address of some lanes, and write down what they say.

The work is resumable at any moment: what a host said is committed at least every second, addresses that were not asked
stay due, and each lane is worked on by one process at a time.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime

from ct_pipeline.settings import Settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.egresses import Egresses, load_egresses
from ct_pipeline.stages.helo_names import refuse_unfit_helo_names
from ct_pipeline.stages.lane_worker import LaneWorkers
from ct_pipeline.storage.due import ask_after_all, due_counts, lanes_due
from ct_pipeline.storage.ledger import open_ledger
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

    Domain facts that are missing or have expired are looked up first. With ``CT_PROBE_FORBIDDEN``, addresses that an
    earlier run without it left out are asked after all. The asyncio loop runs in the calling thread while the caller
    waits for the next summary; closing the generator, or an interrupt, ends all sessions politely and commits what is
    known.

    Args:
        on_commit: called with the number of addresses whose turn was just handed to the ledger.
        pull_id: ask only addresses of this pull.

    Raises:
        SettingsError: the egresses do not fit, or the HELO name of one that is needed is not borne out by DNS.
        NameServersUnavailableError: DNS does not say whether it is.
        LedgerUnavailableError: the database cannot be reached, or went away.
    """
    egresses = load_egresses(settings)
    with open_ledger(settings) as conn:
        if settings.probe_forbidden:
            ask_after_all(conn, datetime.now(UTC), pull_id)
        busy = lanes_due(conn, datetime.now(UTC), pull_id)
    for lane in lanes:
        if lane not in busy:
            yield LaneSummary(lane)
    yield from _left_to_others(settings, egresses, [lane for lane in lanes if lane in busy])
    mine = [lane for lane in lanes if lane in busy and egresses.works(lane)]
    if not mine:
        return
    refuse_unfit_helo_names(settings, egresses, mine)
    look_up_domains(settings, pull_id=pull_id)
    workers = LaneWorkers(settings, egresses, on_commit, pull_id)
    with asyncio.Runner() as runner:
        try:
            runner.run(workers.start(mine))
            while (summary := runner.run(workers.next_summary())) is not None:
                yield summary
        finally:
            runner.run(workers.stop())


def _left_to_others(settings: Settings, egresses: Egresses, busy: Sequence[str]) -> Generator[LaneSummary, None, None]:
    """The summaries of lanes whose egress another machine works."""
    others = [lane for lane in busy if not egresses.works(lane)]
    if not others:
        return
    with open_ledger(settings) as conn:
        counts = due_counts(conn, datetime.now(UTC))
    for lane in others:
        left = sum(row.due_now_count + row.due_later_count for row in counts if row.lane == lane)
        why = f"belongs to egress {egresses.of_lane(lane).name}"
        yield LaneSummary(lane, due_count=left, stopped_because=[why])
