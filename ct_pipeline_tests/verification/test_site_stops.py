"""When a run of a site ends before everything is asked: a block heard by one session, a failure of our own."""

import asyncio
from collections.abc import Iterable

import pytest

from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.asking import domain, finished, group, site_run
from ct_pipeline_tests.verification.scripted_host import HANG_UP, PAUSE, listening, polite

OK = b"250 2.1.5 Ok\r\n"
BLOCKED = b"554 5.7.1 Client host [127.0.0.1] blocked using zen.spamhaus.org\r\n"
BLOCKING = "127.0.0.41"
plain = polite(lambda _address: OK)


def test_a_block_that_one_session_hears_stops_the_others_before_that_one_has_closed():
    """The host that blocks us takes its time to say goodbye."""

    async def main() -> tuple[int, int, SiteRun, set[int]]:
        asked_at_block = 0

        def slow(command: str) -> list[bytes]:
            return [PAUSE, OK] if command.startswith("RCPT") else plain(command)

        def blocking(command: str) -> list[bytes]:
            nonlocal asked_at_block
            if command.startswith("RCPT"):
                asked_at_block = len(host.asked())
                return [BLOCKED]
            return [PAUSE] * 10 if command == "QUIT" else plain(command)

        async with listening(slow) as host, listening(blocking, BLOCKING, host.port):
            names = [f"user{number}" for number in range(45)]
            other = group(domain("b.test", ["user"], 100), addresses=(BLOCKING,))
            run = site_run(
                host.port, domain("a.test", names, is_catch_all=False), connections=2, further_groups=(other,)
            )
            await run.run()
            return asked_at_block, len(host.asked()), run, finished(run.notebook.tear_off())

    asked_at_block, asked, run, answered = asyncio.run(main())
    assert run.stopped_because is not None
    assert run.stopped_because.reason is Reason.PROBER_BLOCKED
    assert asked <= asked_at_block + 2, "what had been said before it was heard"
    assert 100 not in answered


def test_a_block_at_the_greeting_is_not_taken_for_too_many_connections():
    """The host talks to a session of ours, and greets the next one with a block."""
    greeted = 0

    def script(command: str) -> list[bytes]:
        nonlocal greeted
        greeted += command == "connect"
        if command == "connect" and greeted > 1:
            return [PAUSE, BLOCKED, HANG_UP]
        return [PAUSE, OK] if command.startswith("RCPT") else plain(command)

    async def main() -> SiteRun:
        async with listening(script) as host:
            names = [f"user{number}" for number in range(45)]
            run = site_run(host.port, domain("a.test", names, is_catch_all=False), connections=2)
            await run.run()
            return run

    run = asyncio.run(main())
    assert run.stopped_because is not None
    assert run.stopped_because.reason is Reason.PROBER_BLOCKED
    memory = run.gate.pace.memory
    assert memory.ceiling is None
    assert memory.breaker is not None


def test_a_failure_while_the_run_waits_for_a_slot_is_raised():
    """The one session that may be open fails, and frees the slot that the run waits for."""

    def no_more_numbers(_what: str) -> Iterable[int]:
        raise RuntimeError("no number for the session")

    async def main() -> None:
        async with listening(plain) as host:
            two = [group(domain(f"{name}.test", ["user"], number)) for number, name in enumerate("ab", 1)]
            planned = site_run(
                host.port, domain("c.test", []), connections=2, slots=asyncio.Semaphore(1), further_groups=tuple(two)
            )
            await SiteRun(planned.plan, planned.around, Notebook(no_more_numbers), planned.gate).run()

    with pytest.raises(RuntimeError, match="no number for the session"):
        asyncio.run(main())
