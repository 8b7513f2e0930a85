"""Hosts that do everything wrong but lie, on real sockets: no answer is wrong, nobody is forgotten, no task is left."""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter

import pytest

from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline_tests.verification.asking import ask, site_run

ADDRESSES = 300
DOMAINS = 12
FAULTS = [
    *["none"] * 12, "slow", "slow", "close", "close", "close in silence", "close in silence", "reset", "half reply",
    "stray", "stray", "late stray", "late stray", "garbage", "wrong code", "421", "421", "silent", "drip", "flood",
    "no greeting", "closed greeting", "421 greeting", "554 ehlo", "ehlo not known", "ehlo twice", "split",
]  # fmt: skip
STRAYS = [b"250 2.1.5 Ok\r\n", b"550 5.1.1 User unknown\r\n", b"250 2.0.0 Ok\r\n", b"250 Ok\r\n"]
PATIENCE = Timeouts(connect=1.0, reply=0.4)
TEMPORARY = {"greylisted", "connection_lost", "command_timeout", "out_of_step", "server_trouble"}


class ChaosHost:
    """One fault a session, at a random command. ``dead`` names are refused, all others are accepted."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.faults: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault, at = self.dice.choice(FAULTS), self.dice.randint(1, 12)
        self.faults[fault] += 1
        try:
            await self._session(reader, writer, fault, at)
        except ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: str, at: int) -> None:
        if fault == "no greeting":
            await reader.read()
        if fault == "closed greeting":
            return
        writer.write(b"421 4.3.2 Busy\r\n" if fault == "421 greeting" else b"220 chaos.test ESMTP\r\n")
        count = 0
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            reply = self._reply(line, fault)
            count += not line.startswith(("EHLO", "HELO"))
            if count == at and not await self._misbehave(writer, fault, reply):
                return
            if count != at:
                await self._send(writer, reply, fault)
            if line == "QUIT":
                return

    async def _misbehave(self, writer: asyncio.StreamWriter, fault: str, reply: bytes) -> bool:
        """Answer with ``reply``, or not quite; False ends the session."""
        match fault:
            case "close in silence":
                return False
            case "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return False
            case "half reply":
                writer.write(reply[: len(reply) // 2])
                return False
            case "421":
                writer.write(b"421 4.7.0 Too many errors\r\n")
                return False
            case "garbage":
                reply = bytes(self.dice.randrange(256) for _ in range(40)) + b"\r\n"
            case "wrong code":
                reply = self.dice.choice([b"354 go ahead\r\n", b"220 ready\r\n", b"251-a\r\n250 b\r\n", b"099 x\r\n"])
            case "silent":
                await asyncio.sleep(5)
            case "flood":
                reply *= 10_000
        await self._send(writer, reply, fault)
        if fault == "late stray":
            await asyncio.sleep(self.dice.choice([0.001, 0.01, 0.1]))
        if fault in ("stray", "late stray"):
            writer.write(self.dice.choice([*STRAYS, reply]))
        return fault != "close"

    async def _send(self, writer: asyncio.StreamWriter, reply: bytes, fault: str) -> None:
        if fault == "slow":
            await asyncio.sleep(self.dice.choice([0, 0.02, 0.1]))
        if fault in ("drip", "split"):
            for byte in reply:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.1 if fault == "drip" else 0)
        else:
            writer.write(reply)
        await writer.drain()

    def _reply(self, line: str, fault: str) -> bytes:
        verb = line[:4]
        if verb == "RCPT":
            address = line.split("<", 1)[1].split(">", 1)[0]
            is_live = address.startswith(("live", "postmaster"))
            return f"250 2.1.5 <{address}> Ok\r\n".encode() if is_live else f"550 5.1.1 <{address}> No\r\n".encode()
        ehlo = b"250-chaos.test\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n"
        if verb == "EHLO":
            refused = {"554 ehlo": b"554 5.7.1 Go away\r\n", "ehlo not known": b"502 5.5.1 What?\r\n"}
            return refused.get(fault, ehlo * 2 if fault == "ehlo twice" else ehlo)
        return {"QUIT": b"221 2.0.0 Bye\r\n", "MAIL": b"250 2.1.0 Ok\r\n"}.get(verb, b"250 2.0.0 Ok\r\n")


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
            turns = Counter(turn.address_id for turn in page.turns)
            assert turns == Counter(address.address_id for address in due), "each due address has one turn"
            assert tasks_left() == set()
            finished = {turn.address_id for turn in page.turns if turn.next_attempt_at is None}
            due = [address for address in due if address.address_id not in finished]
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
            assert max(Counter(turn.address_id for turn in page.turns).values(), default=1) == 1
            assert tasks_left() == set()
            async with asyncio.timeout(1):
                for _ in range(4):
                    await slots.acquire()  # every slot was given back
        return cancelled

    assert asyncio.run(main()) > 0
