"""An HTTP server on a loopback socket that answers what a test scripted, and remembers the very bytes it was asked."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Self, TypeVar

from pydantic import SecretStr

from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.clevertap.connection import Connection
from ct_pipeline.clevertap.retry import Patience

T = TypeVar("T")
PROJECT = "TEST-ABC-123Z"
PASSCODE = "QSE-SSE-passcode-47"


@dataclass(frozen=True)
class Request:
    line: bytes  # the whole request line, as it stood on the wire
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def method(self) -> str:
        return self.line.split()[0].decode()

    @property
    def target(self) -> str:
        return self.line.split()[1].decode("latin-1")

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """``body``: bytes as they are, anything else as JSON. ``raw``: these bytes instead of HTTP, then the end."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    after: asyncio.Event | None = None  # answers only then; never set: never


Script = Iterable[Reply | Mapping[str, object]] | Callable[[Request], Reply | Mapping[str, object]]


class ScriptedApi:
    """Answers by a list in its order (the last one for ever), or by a function. Use it as ``async with``."""

    def __init__(self, script: Script, certificate: ssl.SSLContext | None = None) -> None:
        self._certificate = certificate
        self._script = script if callable(script) else list(script)
        self.requests: list[Request] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.open_connections = 0
        self.slept: list[float] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._certificate)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something about requests or connections."""
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    @property
    def targets(self) -> list[str]:
        return [f"{request.method} {request.target}" for request in self.requests]

    @property
    def connection(self) -> Connection:
        return Connection(f"http://127.0.0.1:{self.port}", PROJECT, SecretStr(PASSCODE))

    def client(
        self,
        *,
        patience: Patience | None = None,
        timeout_seconds: float = 30.0,
        read_concurrency: int = 3,
        upload_concurrency: int = 3,
    ) -> CleverTap:
        """A client of this server that waits as long as it wants, but in no time; see :attr:`slept`."""
        return CleverTap(
            self.connection,
            patience=patience,
            timeout_seconds=timeout_seconds,
            read_concurrency=read_concurrency,
            upload_concurrency=upload_concurrency,
            sleep=self._sleep,
            random=Random(3),
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._count(connections=1)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while await self._answer_one(reader, writer):
                    pass
        finally:
            writer.close()
            self._count(connections=-1)
            self._connections.discard(task)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *header_lines = head.strip().split(b"\r\n")
        pairs = (header.decode("latin-1").split(":", 1) for header in header_lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(line, headers, body)
        self.requests.append(request)
        self._count(requests=1)
        try:
            reply = self._next(request)
            if reply.after is not None:
                # the client may give up meanwhile: then the connection ends, as a real server notices
                waiting, gone = asyncio.create_task(reply.after.wait()), asyncio.create_task(reader.read(1))
                try:
                    await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                    if gone.done():
                        return False
                finally:
                    waiting.cancel()
                    gone.cancel()
                    await asyncio.gather(waiting, gone, return_exceptions=True)
        finally:
            self._count(requests=-1)
        writer.write(reply.raw if reply.raw is not None else _http(reply))
        await writer.drain()
        return reply.raw is None

    def _count(self, *, connections: int = 0, requests: int = 0) -> None:
        self.open_connections += connections
        self.in_flight += requests
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._changed.set()

    def _next(self, request: Request) -> Reply:
        if callable(self._script):
            reply = self._script(request)
        else:
            reply = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return reply if isinstance(reply, Reply) else Reply(reply)


def ask(script: Script, what: Callable[[CleverTap], Awaitable[T]]) -> tuple[T, ScriptedApi]:
    """What ``what`` gets from a server with this script, and the server."""
    api = ScriptedApi(script)

    async def asking() -> T:
        async with api, api.client() as client:
            return await what(client)

    return asyncio.run(asking()), api


def _http(reply: Reply) -> bytes:
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    headers = {"Content-Type": "application/json;charset=utf-8", "Content-Length": str(len(body))} | dict(reply.headers)
    lines = [f"HTTP/1.1 {reply.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
