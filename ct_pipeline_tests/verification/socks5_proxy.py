"""A small SOCKS5 proxy (RFC 1928, RFC 1929) on loopback: it connects for real, or fails as a test tells it to."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

NO_PASSWORD, WITH_PASSWORD, NONE_OF_THEM = 0, 2, 0xFF
REFUSED = 5


@dataclass
class Socks5Proxy:
    """``reply`` answers every request with that code instead of connecting; ``is_mute`` never says a word, and
    ``is_stuck`` takes a request and never answers it. ``asked`` are the addresses it was asked to connect to."""

    credentials: tuple[str, str] | None = None
    reply: int | None = None
    is_mute: bool = False
    is_stuck: bool = False
    hangs_up: bool = False
    port: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        who = f"{self.credentials[0]}:{self.credentials[1]}@" if self.credentials else ""
        return f"socks5://{who}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_mute:
            await reader.read()
            return
        _version, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        wanted = WITH_PASSWORD if self.credentials else NO_PASSWORD
        writer.write(bytes([5, wanted if wanted in offered else NONE_OF_THEM]))
        if wanted not in offered or not (not self.credentials or await self._knows(reader, writer)):
            return
        _version, _command, _reserved, kind = await reader.readexactly(4)
        address = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append((address, port))
        if self.is_stuck:
            await reader.read()
        elif not self.hangs_up:
            await self._connect(address, port, reader, writer)

    async def _knows(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        assert (await reader.readexactly(1)) == b"\x01"
        user = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        is_known = (user.decode(), password.decode()) == self.credentials
        writer.write(bytes([1, 0 if is_known else 1]))
        await writer.drain()
        return is_known

    async def _connect(
        self, address: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        code = self.reply or 0
        upstream = None
        if not code:
            try:
                upstream = await asyncio.open_connection(address, port)
            except OSError:
                code = REFUSED
        writer.write(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
        await writer.drain()
        if upstream is not None:
            host_reader, host_writer = upstream
            try:
                await asyncio.gather(_copy(reader, host_writer), _copy(host_reader, writer))
            finally:
                host_writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(65536):
            target.write(chunk)
            await target.drain()
    target.close()


@contextlib.asynccontextmanager
async def running(proxy: Socks5Proxy) -> AsyncIterator[Socks5Proxy]:
    """Serve for the length of the block, at a free port."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(proxy.tasks):
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)
        await server.wait_closed()
