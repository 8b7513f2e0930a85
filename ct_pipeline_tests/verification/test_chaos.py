"""Hosts that do everything wrong but lie, on real sockets: no answer is wrong, nobody is forgotten, no task is left."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import DueAddress, ProbeKind, Turn
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline_tests.verification.asking import ask, site_run
from ct_pipeline_tests.verification.chaos_host import ChaosHost

ADDRESSES = 300
DOMAINS = 12
PATIENCE = Timeouts(connect=1.0, reply=0.4)
TEMPORARY = {"greylisted", "connection_lost", "command_timeout", "out_of_step", "server_trouble"}


def due_addresses() -> list[DueAddress]:
    numbers = range(1, ADDRESSES + 1)
    return [
        DueAddress(n, f"{'dead' if n % 3 == 0 else 'live'}{n}@d{n % DOMAINS}.test", f"d{n % DOMAINS}.test", 0)
        for n in numbers
    ]


def domains_of(due: list[DueAddress]) -> list[DomainQuestions]:
    by_name = {a.domain: [other for other in due if other.domain == a.domain] for a in due}
    return [DomainQuestions(name, addresses) for name, addresses in by_name.items()]


async def visit(host: ChaosHost, due: list[DueAddress]) -> Observations:
    async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server, asyncio.timeout(20):
        _, page = await ask(
            server.sockets[0].getsockname()[1],
            *domains_of(due),
            connections=5,
            session_addresses=8,
            timeouts=PATIENCE,
        )
        return page


def wrong(due: list[DueAddress], page: Observations) -> list[str]:
    names = {address.address_id: address.address for address in due}
    bad = []
    for probe in page.probes:
        if probe.kind is ProbeKind.MAILBOX and probe.reason.value not in TEMPORARY and probe.reply.code != 421:
            name = names[probe.address_id or 0]
            right = "accepted" if name.startswith("live") else "mailbox_not_found"
            if probe.reason.value != right or f"<{name}>" not in probe.reply.text:
                bad.append(f"{name}: {probe.reply}")
    return bad


def turned_once(page: Observations) -> set[int]:
    """Who has no more than one turn: only a refusal may turn out to be worth more than it seemed."""
    return {number for number, count in Counter(turn.address_id for turn in page.turns).items() if count == 1}


def still_due(address: DueAddress, turn: Turn) -> DueAddress:
    """As the ledger has it a day later."""
    return address._replace(refused_at=datetime.now(UTC) - timedelta(days=1, hours=1) if turn.is_definitive else None)


def tasks_left() -> set[str]:
    """What runs beside the test and its host."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    return {repr(task.get_coro()) for task in left if "ChaosHost.serve" not in repr(task.get_coro())}


@pytest.mark.parametrize("seed", range(4))
def test_no_answer_is_wrong_and_nobody_is_forgotten(seed: int):
    """Visits follow each other until all is answered, as the ledger would have it, without the waiting."""

    async def main() -> Counter[str]:
        host = ChaosHost(seed)
        due = due_addresses()
        for _ in range(40):
            page = await visit(host, due)
            assert wrong(due, page) == []
            last = {turn.address_id: turn for turn in page.turns}
            assert last.keys() == {address.address_id for address in due}, "each due address has a turn"
            assert turned_once(page) >= {a.address_id for a in due if a.address.startswith("live")}
            assert tasks_left() == set()
            due = [still_due(address, turn) for address in due if (turn := last[address.address_id]).next_attempt_at]
            if not due:
                return host.faults
        raise AssertionError(f"{len(due)} addresses are still due")

    faults = asyncio.run(main())
    assert faults["none"] < faults.total()


def test_cancelling_at_any_moment_leaves_nothing_behind_and_nothing_wrong():
    async def main() -> int:
        dice, cancelled = random.Random(7), 0
        for seed in range(12):
            host, due, slots = ChaosHost(seed), due_addresses(), asyncio.Semaphore(4)
            async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server:
                run = site_run(
                    server.sockets[0].getsockname()[1], *domains_of(due), connections=6, slots=slots, timeouts=PATIENCE
                )
                task = asyncio.create_task(run.run())
                await asyncio.sleep(dice.uniform(0, 0.3))
                task.cancel()
                await asyncio.wait([task])
            cancelled += task.cancelled()
            page = run.notebook.tear_off()
            assert wrong(due, page) == []
            live = {address.address_id for address in due if address.address.startswith("live")}
            assert turned_once(page) >= live & {turn.address_id for turn in page.turns}
            assert tasks_left() == set()
            async with asyncio.timeout(1):
                for _ in range(4):
                    await slots.acquire()  # every slot was given back
        return cancelled

    assert asyncio.run(main()) > 0
