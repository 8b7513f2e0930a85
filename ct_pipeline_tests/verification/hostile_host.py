"""A mail host on a real socket that is polite but for one stage of the session, where it plays a trick."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from ct_pipeline_tests.verification.scripted_host import polite

FLOOD_LIMIT_BYTES = 200_000_000  # what the host has to say; whoever listens to all of it is not bounded
RIGHT_EHLO = ("STARTTLS", "ENHANCEDSTATUSCODES")
ACCEPTED, UNKNOWN = b"250 2.1.5 Ok\r\n", b"550 5.1.1 User unknown\r\n"


@dataclass
class Session:
    """The host's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent_bytes: int = 0  # that the network has taken from a flood

    async def say(self, *parts: bytes) -> None:
        """Each part in a segment of its own."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            if len(parts) > 1:
                await asyncio.sleep(0)

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # closing then sends RST
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


# Plays one stage, given the polite reply; returns whether the session goes on.
Trick = Callable[[Session, bytes], Awaitable[bool]]


@dataclass
class HostileHost:
    """``live`` names exist. The trick is played at each command that begins with ``stage`` (``connect``: greeting)."""

    stage: str
    trick: Trick
    extensions: tuple[str, ...] = ("ENHANCEDSTATUSCODES",)
    port: int = 0
    commands: list[str] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    handlers: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.handlers.add(task)
        self.sessions.append(session := Session(reader, writer))
        with contextlib.suppress(ConnectionError):
            await self._converse(session)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _converse(self, session: Session) -> None:
        answer = polite(lambda name: ACCEPTED if name.startswith(("live", "postmaster")) else UNKNOWN, self.extensions)
        command = "connect"
        while command:
            if command != "connect":
                self.commands.append(command)
            reply = b"220 2.0.0 Ready\r\n" if command == "STARTTLS" else b"".join(answer(command))
            if command.startswith(self.stage):
                if not await self.trick(session, reply):
                    return
            else:
                await session.say(reply)
            if command == "QUIT":
                return
            command = (await session.reader.readline()).decode("utf-8", "replace").rstrip("\r\n")

    @property
    def flooded_bytes(self) -> int:
        return max((session.sent_bytes for session in self.sessions), default=0)


@contextlib.asynccontextmanager
async def hostile(host: HostileHost) -> AsyncIterator[HostileHost]:
    """Serve for the length of the block; at its end every connection must have been given up by the other side."""
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
        await asyncio.gather(*host.handlers)  # a connection that is left open keeps its handler waiting
    finally:
        server.close()
        for session in host.sessions:
            session.writer.close()
        await server.wait_closed()


# -- tricks ---


def says(*parts: bytes) -> Trick:
    """Other words than the polite ones."""

    async def trick(session: Session, _reply: bytes) -> bool:
        await session.say(*parts)
        return True

    return trick


def changes(change: Callable[[bytes], list[bytes]]) -> Trick:
    """The polite reply, made different, in segments."""

    async def trick(session: Session, reply: bytes) -> bool:
        await session.say(*change(reply))
        return True

    return trick


def ends(*parts: bytes, by_reset: bool = False) -> Trick:
    """Some bytes, then the end of the connection."""

    async def trick(session: Session, _reply: bytes) -> bool:
        await session.say(*parts)
        if by_reset:
            session.reset()
        return False

    return trick


async def silence(session: Session, _reply: bytes) -> bool:
    """Not a word, until the other side gives up."""
    while await session.reader.read(4096):
        pass
    return False


def drips(first: bytes, then: bytes) -> Trick:
    """One byte after the other, without end."""

    async def trick(session: Session, _reply: bytes) -> bool:
        await session.say(first)
        while not session.reader.at_eof():
            for byte in then:
                await session.say(bytes([byte]))
                await asyncio.sleep(0.005)
        return False

    return trick


def floods(first: bytes, then: bytes) -> Trick:
    """More than anybody should read. What the network took is counted: nobody can have read more."""

    async def trick(session: Session, _reply: bytes) -> bool:
        block = then * (65_536 // len(then))
        await session.say(first)
        with contextlib.suppress(ConnectionError):
            while session.sent_bytes < FLOOD_LIMIT_BYTES and not session.writer.is_closing():
                await session.say(block)
                session.sent_bytes += len(block)
        return False

    return trick


def stays(*parts: bytes) -> Trick:
    """Some bytes, and then the connection is kept until the other side closes it."""

    async def trick(session: Session, reply: bytes) -> bool:
        await session.say(*(parts or (reply,)))
        return await silence(session, reply)

    return trick
