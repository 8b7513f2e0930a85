"""A host that hangs up while we wait is gone: whatever loop runs us, nothing is written to it and nothing breaks.

uvloop raises where asyncio only counts what is written to a closed connection.
"""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.site_plan import SiteLimits
from ct_pipeline_tests.verification.asking import domain, finished, site_run
from ct_pipeline_tests.verification.scripted_host import HANG_UP, listening, polite

plain = polite(lambda _address: b"550 5.1.1 User unknown\r\n")
LIMITS = SiteLimits(1, session_addresses=2, window=20, connections_per_minute=6000, addresses_per_second=10)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_host_that_hangs_up_while_the_pace_lets_us_wait(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """After the second address of a session the next command has to wait, and the host is gone before it is said."""
    asked = 0

    def hangs_up(command: str) -> list[bytes]:
        nonlocal asked
        asked += command.startswith("RCPT")
        return [*plain(command), HANG_UP] if command.startswith("RCPT") and not asked % 2 else plain(command)

    async def main() -> Observations:
        async with listening(hangs_up) as host, asyncio.timeout(20):
            run = site_run(host.port, domain("a.test", ["dead0", "dead1", "dead2", "dead3"]), limits=LIMITS)
            await run.run()
            return run.notebook.tear_off()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        page = runner.run(main())
    assert {turn.address_id for turn in page.turns} == {1, 2, 3, 4}
    assert finished(page) == {1, 2, 3, 4}
