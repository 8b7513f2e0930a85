"""Every TCP connection to a site counts toward its connections a minute, and none is begun before its time."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.pace import CONNECTION_BURST, SitePace
from ct_pipeline.verification.site_memory import SiteMemory
from ct_pipeline.verification.site_plan import SiteLimits
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline_tests.verification.asking import domain, finished, site_run
from ct_pipeline_tests.verification.scripted_host import HANG_UP, PAUSE, listening, polite

DEAD = tuple(f"127.0.0.{number}" for number in range(31, 34))
LIVE = "127.0.0.34"
plain = polite(lambda address: b"250 Ok\r\n" if address.startswith("live") else b"550 5.1.1 User unknown\r\n")


class WatchedPace(SitePace):
    """Says how many connections were counted, and how many of them came before their time. ``left``: of the burst."""

    def __init__(self, per_minute: int, left: int, connections: int = 2) -> None:
        now = datetime.now(UTC)
        limits = SiteLimits(connections, 50, 20, per_minute, 10_000)
        super().__init__("default", "host.test", "", limits, now, SiteMemory("default", "host.test", "", now, 1.0))
        self.count = self.too_early_count = 0
        self._connections.take(CONNECTION_BURST - left, per_minute / 60, now)

    def connect_again(self, now: datetime) -> None:
        self.count += 1
        self.too_early_count += self.connect_delay(now) > 0
        super().connect_again(now)


class LoopThatCountsAlarms(asyncio.SelectorEventLoop):
    """Counts the calls that runs have it make later."""

    alarm_count = 0

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        self.alarm_count += isinstance(getattr(callback, "__self__", None), SiteRun | asyncio.Event)
        return super().call_later(delay, callback, *args, context=context)


def test_hosts_that_do_not_answer_count_like_the_one_that_does():
    pace = WatchedPace(per_minute=1200, left=1)

    async def main() -> Observations:
        async with listening(plain, LIVE) as host:
            run = site_run(host.port, domain("a.test", ["live0", "dead1"]), addresses=(*DEAD, LIVE), pace=pace)
            await run.run()
            return run.notebook.tear_off()

    assert finished(asyncio.run(main())) == {1, 2}
    assert (pace.count, pace.too_early_count) == (len(DEAD) + 1, 0)


def test_a_host_that_is_dialled_again_without_tls_counts_twice():
    pace = WatchedPace(per_minute=1200, left=1)

    def breaks_tls(command: str) -> list[bytes]:
        return [b"220 go on\r\n", HANG_UP] if command == "STARTTLS" else offers_tls(command)

    offers_tls = polite(lambda _address: b"550 5.1.1 User unknown\r\n", ("STARTTLS",))

    async def main() -> int:
        async with listening(breaks_tls) as host:
            run = site_run(host.port, domain("a.test", ["dead"]), pace=pace)
            await run.run()
            assert finished(run.notebook.tear_off()) == {1}
            return host.session_count

    assert asyncio.run(main()) == 2
    assert (pace.count, pace.too_early_count) == (2, 0)


def test_a_session_that_waited_for_a_slot_waits_for_the_pace_again():
    """Two runs of one site see that one connection may be begun now, and wait for the same slot."""
    pace = WatchedPace(per_minute=600, left=1)

    async def main() -> set[int]:
        async with listening(plain) as host:
            slots = asyncio.Semaphore(1)
            await slots.acquire()
            one = site_run(host.port, domain("a.test", ["dead"]), pace=pace, slots=slots)
            other = site_run(host.port, domain("b.test", ["dead"], 2), slots=slots)
            other = SiteRun(other.plan, other.around, one.notebook, one.gate)
            async with asyncio.TaskGroup() as runs:
                runs.create_task(one.run())
                runs.create_task(other.run())
                await asyncio.sleep(0)
                slots.release()
            return finished(one.notebook.tear_off())

    assert asyncio.run(main()) == {1, 2}
    assert (pace.count, pace.too_early_count) == (2, 0)


def test_a_search_for_a_host_that_answers_ends_when_nothing_more_may_be_asked():
    """The first host is dead, and before the second may be dialled the lane's lock is in doubt: all stays due."""
    pace = WatchedPace(per_minute=1, left=1)

    async def main() -> tuple[Observations, int]:
        async with listening(plain, LIVE) as host:
            run = site_run(
                host.port,
                domain("a.test", ["live"]),
                addresses=(DEAD[0], LIVE),
                pace=pace,
                may_ask=lambda: not pace.count,
            )
            await run.run()
            return run.notebook.tear_off(), host.session_count

    page, session_count = asyncio.run(main())
    assert session_count == 0
    assert not page.turns, "the second host might have answered"
    assert [session.outcome for session in page.sessions] == ["unreachable"]


def test_a_run_that_waits_for_its_pace_has_one_alarm_however_much_happens_meanwhile():
    pace = WatchedPace(per_minute=1, left=1)
    slow = lambda command: [PAUSE, *plain(command)] if command.startswith("RCPT") else plain(command)  # noqa: E731

    async def main() -> tuple[int, Observations]:
        async with listening(slow) as host:
            names = [f"live{number}" for number in range(45)]  # so many that a second session is wanted
            async with asyncio.timeout(20):
                run = site_run(host.port, domain("a.test", names, is_catch_all=False), pace=pace)
                await run.run()
            loop = asyncio.get_running_loop()
            assert isinstance(loop, LoopThatCountsAlarms)
            return loop.alarm_count, run.notebook.tear_off()

    with asyncio.Runner(loop_factory=LoopThatCountsAlarms) as runner:
        alarm_count, page = runner.run(main())
    assert len(finished(page)) == 45
    assert alarm_count == 1
