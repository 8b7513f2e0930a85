"""A verifier that is stopped while a commit is under way keeps what that commit holds."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.egresses import load_egresses
from ct_pipeline.stages.lane_worker import LaneWorkers
from ct_pipeline.storage.database import connect, resolve_database_url
from ct_pipeline_tests.end_to_end.pipeline import take_in
from ct_pipeline_tests.end_to_end.small_world import small_world

PATIENCE_SECONDS = 30
A_WRITER_WAITS = "select exists (select from pg_locks where relation = 'ledger.probes'::regclass and not granted)"


def test_a_commit_under_way_at_the_stop_is_told_and_kept(settings_for_tests: Settings, tmp_path: Path) -> None:
    with small_world(tmp_path, site_count=1, mailbox_count=300, reply_seconds=0.02) as world:
        settings = world.settings(settings_for_tests, smtp_concurrency=2)
        take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        look_up_domains(settings)
        url = resolve_database_url(settings)
        with connect(url) as holder, connect(url) as onlooker:
            told = asyncio.run(stopped_in_the_middle(settings, holder, onlooker))
            kept = onlooker.execute("select count(*) from ledger.due where attempt_count > 0").fetchone()
    assert kept is not None
    assert 0 < told == kept[0] < len(world.truth)


async def stopped_in_the_middle(settings: Settings, holder: psycopg.Connection, onlooker: psycopg.Connection) -> int:
    """How many turns the verifier said it had committed. ``holder`` makes its first commit wait until it is stopped."""
    told: list[int] = []
    workers = LaneWorkers(settings, load_egresses(settings), told.append, None)
    with holder.transaction():
        holder.execute("lock table ledger.probes in exclusive mode")
        await workers.start(lane_keys(load_providers()))
        await until(lambda: onlooker.execute(A_WRITER_WAITS).fetchone() == (True,))
        lanes = list(workers._lanes)
        stopping = asyncio.create_task(workers.stop())
        await until(lambda: all(lane.done() for lane in lanes))
        with suppress(TimeoutError):  # a stop that does not wait for the commit would have cancelled it by then
            await asyncio.wait_for(asyncio.shield(stopping), 0.2)
        assert not told
    await stopping
    return sum(told)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)
