"""A mail host on a real socket that does everything wrong but lie: in most sessions one thing, at a random command."""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence

FAULTS = [
    *["none"] * 12, "slow", "slow", "close", "close", "close in silence", "close in silence", "reset", "half reply",
    "stray", "stray", "late stray", "late stray", "garbage", "wrong code", "421", "421", "silent", "drip", "flood",
    "no greeting", "closed greeting", "421 greeting", "554 ehlo", "ehlo not known", "ehlo twice", "split",
]  # fmt: skip
STRAYS = [b"250 2.1.5 Ok\r\n", b"550 5.1.1 User unknown\r\n", b"250 2.0.0 Ok\r\n", b"250 Ok\r\n"]


# What happened in a session: its number, what ("begin", "said", "quit", "end"), and the fault or the address.
Note = Callable[[int, str, str], None]


class ChaosHost:
    """One fault a session, at a random command. ``live`` names are accepted, others refused; ``all`` domains take all.

    ``note`` is told of each session, and of each true answer before it leaves, or is not to leave.
    """

    def __init__(
        self,
        seed: int,
        faults: Sequence[str] = FAULTS,
        reply_seconds: float = 0.0,
        note: Note = lambda _session, _what, _detail: None,
    ) -> None:
        self.dice = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self._choice = faults
        self._reply_seconds = reply_seconds
        self._note = note

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault, at = self.dice.choice(self._choice), self.dice.randint(1, 12)
        self.faults[fault] += 1
        number = self.faults.total()
        self._note(number, "begin", fault)
        try:
            await self._session(reader, writer, number, fault, at)
        except ConnectionError:
            pass
        finally:
            self._note(number, "end", "")
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _session(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, fault: str, at: int
    ) -> None:
        if fault == "no greeting":
            await reader.read()
        if fault == "closed greeting":
            return
        writer.write(b"421 4.3.2 Busy\r\n" if fault == "421 greeting" else b"220 chaos.test ESMTP\r\n")
        count = 0
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            reply = self._reply(line, fault)
            await asyncio.sleep(self._reply_seconds)
            if line.startswith("RCPT"):
                self._note(number, "said", address_in(line))
            count += not line.startswith(("EHLO", "HELO"))
            if count == at and not await self._misbehave(writer, fault, reply):
                return
            if count != at:
                await self._send(writer, reply, fault)
            if line == "QUIT":
                self._note(number, "quit", "")
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
                await writer.drain()
                await asyncio.sleep(0.1 if fault == "drip" else 0)
        else:
            writer.write(reply)
        await writer.drain()

    def _reply(self, line: str, fault: str) -> bytes:
        verb = line[:4]
        if verb == "RCPT":
            address = address_in(line)
            is_live = address.startswith(("live", "postmaster")) or "@all" in address
            return f"250 2.1.5 <{address}> Ok\r\n".encode() if is_live else f"550 5.1.1 <{address}> No\r\n".encode()
        ehlo = b"250-chaos.test\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n"
        if verb == "EHLO":
            refused = {"554 ehlo": b"554 5.7.1 Go away\r\n", "ehlo not known": b"502 5.5.1 What?\r\n"}
            return refused.get(fault, ehlo * 2 if fault == "ehlo twice" else ehlo)
        return {"QUIT": b"221 2.0.0 Bye\r\n", "MAIL": b"250 2.1.0 Ok\r\n"}.get(verb, b"250 2.0.0 Ok\r\n")


def address_in(command: str) -> str:
    return command.split("<", 1)[1].split(">", 1)[0]
