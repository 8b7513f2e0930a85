"""The way there: TLS to a host with its own certificate, proxies that tunnel or refuse, none for the sandbox."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from ct_pipeline.clevertap import wire
from ct_pipeline.clevertap.client import CleverTap, Connection
from ct_pipeline.clevertap.query import everyone_query
from ct_pipeline.clevertap.retry import Backoff, Patience
from ct_pipeline.errors import CleverTapUnavailableError
from ct_pipeline.sandbox.certificate import self_signed_context
from ct_pipeline_tests.clevertap.scripted_api import PASSCODE, PROJECT, ScriptedApi

ONCE = Patience(trouble=Backoff(0, 0, 0))
CURSOR = "QUJD%2Fe2%2Bgh%3D%3D"
PAGE = {"status": "success", "records": [{"identity": "a"}]}


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    context = self_signed_context("localhost")
    assert context is not None, "this machine has no openssl"
    return context


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    wire._trusted.cache_clear()
    yield
    wire._trusted.cache_clear()


class Proxy:
    """Tunnels CONNECT, or refuses it with ``refusal``; remembers the heads of what it was asked."""

    def __init__(self, refusal: bytes = b"") -> None:
        self._refusal = refusal
        self.heads: list[bytes] = []
        self.passed = b""

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if self._refusal:
                writer.write(self._refusal)
                return
            port = int(self.heads[-1].split()[1].rpartition(b":")[2])
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                self.passed += piece
                writer.write(piece)
                await writer.drain()
        finally:
            writer.close()


def client_at(address: str) -> CleverTap:
    return CleverTap(Connection(address, PROJECT, SecretStr(PASSCODE)), patience=ONCE)


async def read_at(address: str) -> int:
    async with client_at(address) as client:
        return sum([len(page.records) async for page in client.profile_pages(everyone_query(), CURSOR)])


def trust(api: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "certificate.pem").write_text(ssl.get_server_certificate(("127.0.0.1", api.port)))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))


def test_a_host_whose_certificate_nobody_vouches_for_hears_no_passcode(certificate: ssl.SSLContext) -> None:
    async def reading() -> None:
        async with ScriptedApi([PAGE], certificate) as api:
            with pytest.raises(CleverTapUnavailableError, match=r"certificate cannot be verified.*SSL_CERT_FILE"):
                await read_at(f"https://localhost:{api.port}")
            assert api.requests == []

    asyncio.run(reading())


def test_a_tunnel_shows_the_proxy_nothing(
    certificate: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reading() -> None:
        async with ScriptedApi([PAGE], certificate) as api, Proxy() as proxy:
            await asyncio.to_thread(trust, api, tmp_path, monkeypatch)
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            assert await read_at(f"https://localhost:{api.port}") == 1
            assert api.requests[0].line == f"GET /1/profiles.json?cursor={CURSOR} HTTP/1.1".encode()
            assert proxy.heads[0].startswith(f"CONNECT localhost:{api.port} HTTP/1.1".encode())
            assert PASSCODE.encode() not in b"".join(proxy.heads) + proxy.passed

    asyncio.run(reading())


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reading() -> None:
        async with Proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            with pytest.raises(CleverTapUnavailableError, match=r"the proxy says 407 .*HTTPS_PROXY"):
                await read_at("https://localhost:1")

    asyncio.run(reading())


def test_the_sandbox_is_reached_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reading() -> None:
        async with ScriptedApi([PAGE]) as api, Proxy() as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("ALL_PROXY", proxy.url)
            assert await read_at(f"http://127.0.0.1:{api.port}") == 1
            assert proxy.heads == []

    asyncio.run(reading())
