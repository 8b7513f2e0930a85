"""A mail host on a real socket that says exactly what a test tells it to, and remembers what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

PAUSE = b"\x00pause"  # in a script: what follows goes out in a segment of its own, a moment later
BREATH = b"\x00breath"  # likewise, but only so long that the other side can say something
HANG_UP = b"\x00hang up"

Script = Callable[[str], list[bytes]]


@dataclass
class ScriptedHost:
    """``answer`` maps a command line (and ``"connect"``) to the byte strings to send, after ``wait`` for it."""

    answer: Script
    wait: Callable[[str], Awaitable[object]] | None = None
    port: int = 0
    commands: list[str] = field(default_factory=list)
    session_count: int = 0
    open_sessions: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.session_count += 1
        self.open_sessions.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if await self._say(writer, "connect"):
                while line := await reader.readline():
                    command = line.decode("utf-8", "replace").rstrip("\r\n")
                    self.commands.append(command)
                    if not await self._say(writer, command) or command == "QUIT":
                        break
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async def _say(self, writer: asyncio.StreamWriter, command: str) -> bool:
        if self.wait is not None:
            await self.wait(command)
        for part in self.answer(command):
            if part == HANG_UP:
                return False
            if part in (PAUSE, BREATH):
                await writer.drain()
                await asyncio.sleep(0.05 if part == PAUSE else 0.004)
            else:
                writer.write(part)
        await writer.drain()
        return True

    def asked(self) -> list[str]:
        """The addresses of all RCPT commands."""
        return [c.split("<", 1)[1].split(">", 1)[0] for c in self.commands if c.startswith("RCPT TO:<")]


@contextlib.asynccontextmanager
async def listening(
    answer: Script,
    address: str = "127.0.0.1",
    port: int = 0,
    wait: Callable[[str], Awaitable[object]] | None = None,
) -> AsyncIterator[ScriptedHost]:
    """Serve ``answer`` on a loopback address for the length of the block."""
    host = ScriptedHost(answer, wait)
    server = await asyncio.start_server(host.serve, address, port)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        for writer in host.open_sessions:
            writer.close()
        await server.wait_closed()


def polite(rcpt: Callable[[str], bytes], extensions: tuple[str, ...] = ("ENHANCEDSTATUSCODES",)) -> Script:
    """A well-behaved host; ``rcpt`` gives the reply to each address."""
    ehlo = [b"250-host.test\r\n", *(f"250-{word}\r\n".encode() for word in extensions), b"250 HELP\r\n"]

    def answer(command: str) -> list[bytes]:
        if command == "connect":
            return [b"220 host.test ESMTP\r\n"]
        if command.startswith("EHLO"):
            return ehlo
        if command.startswith("RCPT TO:<"):
            return [rcpt(command.split("<", 1)[1].split(">", 1)[0])]
        return {
            "MAIL": [b"250 2.1.0 Ok\r\n"],
            "RSET": [b"250 2.0.0 Ok\r\n"],
            "NOOP": [b"250 2.0.0 Ok\r\n"],
            "QUIT": [b"221 2.0.0 Bye\r\n"],
        }.get(command[:4], [b"502 5.5.2 Error\r\n"])

    return answer
