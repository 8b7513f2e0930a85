"""A lane that nobody waits for any more is given back."""

import asyncio
import threading

from ct_pipeline.settings import Settings
from ct_pipeline.stages.lane_tenure import LaneTenure
from ct_pipeline.storage.database import connect, resolve_database_url
from ct_pipeline.storage.lanes import LaneLock

LOCKS = """
select count(*) from pg_locks join pg_database on pg_database.oid = database
where locktype = 'advisory' and datname = current_database()
"""


class LateLock(LaneLock):
    """A lock that is only asked for once ``go_on`` is set, as if many others were before it."""

    def __init__(self, url: str, lane: str) -> None:
        super().__init__(url, lane)
        self.go_on = threading.Event()

    def acquire(self) -> bool:
        self.go_on.wait()
        return super().acquire()


def test_a_lane_whose_begin_was_cancelled_is_given_back(settings_for_tests: Settings) -> None:
    url = resolve_database_url(settings_for_tests)
    with connect(url) as onlooker:
        asyncio.run(give_up(LateLock(url, "google")))
        assert onlooker.execute(LOCKS).fetchone() == (0,)


async def give_up(lock: LateLock) -> None:
    tenure = LaneTenure(lock)
    beginning = asyncio.create_task(tenure.begin())
    await asyncio.sleep(0.01)
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    ending = asyncio.create_task(tenure.end())
    await asyncio.sleep(0.05)
    lock.go_on.set()
    await ending
