"""What must hold at the end of a visit to a host that does its worst, whatever that is."""

import asyncio
from dataclasses import dataclass
from typing import Any

from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline_tests.verification.asking import ask, domain, finished, reasons
from ct_pipeline_tests.verification.hostile_host import HostileHost, Trick, hostile

NAMES = ["live1", "live2", "dead3"]
TRUTH = {1: "accepted", 2: "accepted", 3: "mailbox_not_found"}
SHORT = Timeouts(connect=2.0, reply=0.4)
BACKSTOP_SECONDS = 30.0  # of a test that would hang; none comes near


@dataclass(frozen=True)
class Visit:
    """A host that has been asked about three addresses, two of which exist, and what was noted of it."""

    host: HostileHost
    page: Observations

    @property
    def outcomes(self) -> set[str]:
        return {session.outcome for session in self.page.sessions}

    @property
    def is_all_right(self) -> bool:
        return reasons(self.page) == TRUTH and finished(self.page) == set(TRUTH)

    @property
    def is_all_due(self) -> bool:
        return not finished(self.page)


def visits(stage: str, tricks: dict[str, Trick], **options: Any) -> dict[str, Visit]:
    """Ask a host for each trick, played at ``stage``; all at once, since most of the time goes in waiting for silence.

    What must hold whatever a host does is asserted here. Options: ``extensions``, and those of a site run.
    """

    async def main() -> dict[str, Visit]:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
        async with asyncio.timeout(BACKSTOP_SECONDS):
            seen = await asyncio.gather(*(_visit(HostileHost(stage, trick), options) for trick in tricks.values()))
        left = {repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}}
        assert left == set(), "a task is left"
        assert faults == [], "an error that nobody caught"
        return dict(zip(tricks, seen, strict=True))

    return asyncio.run(main())


async def _visit(host: HostileHost, options: dict[str, Any]) -> Visit:
    host.extensions = options.get("extensions", host.extensions)
    options = {"timeouts": SHORT} | {name: value for name, value in options.items() if name != "extensions"}
    async with hostile(host):
        _, page = await ask(host.port, domain("a.test", NAMES), **options)
    assert_honest(page)
    return Visit(host, page)


def assert_honest(page: Observations) -> None:
    """Each address has one turn, is right or due, and whatever is due has a reason that passes."""
    assert page.sessions, "what happened is recorded"
    assert sorted(turn.address_id for turn in page.turns) == sorted(TRUTH), "each address has one turn"
    got = reasons(page)
    for address_id in finished(page):
        assert got[address_id] == TRUTH[address_id]
    by_id = {probe.probe_id: probe for probe in page.probes}
    for turn in page.turns:
        if turn.next_attempt_at is not None:
            assert turn.probe_id is not None, "the ledger says why it is due"
            assert by_id[turn.probe_id].reason.value != "mailbox_not_found"
    for probe in page.probes:
        assert len(probe.reply.text) <= 1000
        assert probe.reply.text.replace("\n", "").isprintable()
        if probe.kind is ProbeKind.MAILBOX and probe.reason.value in ("accepted", "mailbox_not_found"):
            assert probe.reason.value == TRUTH[probe.address_id or 0]
