"""One request over HTTP, and what its answer means. Bounded in time and size; its credentials show nowhere."""

import asyncio
import logging
import ssl
import zlib
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Self

import httpx

from ct_pipeline.clevertap import calls
from ct_pipeline.clevertap.answers import Answer, Refused, Success, Trouble, answer_of, quoted
from ct_pipeline.clevertap.calls import Api, Call
from ct_pipeline.clevertap.connection import Connection
from ct_pipeline.errors import CleverTapRefusedError


class Wire:
    """Sends calls, each API's with its own number of slots. Use it as ``async with``."""

    def __init__(self, connection: Connection, slots: dict[Api, int], timeout_seconds: float) -> None:
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._slots = {api: asyncio.Semaphore(count) for api, count in slots.items()}
        self._http: httpx.AsyncClient | None = None
        self.clock_difference: timedelta | None = None  # CleverTap's clock minus ours, of the last answer

    async def __aenter__(self) -> Self:
        logging.getLogger("httpx").addFilter(_without_query)
        self._http = httpx.AsyncClient(
            auth=_Credentials(self._connection),
            headers={"User-Agent": "ct_pipeline", "Accept": "application/json", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(self._timeout_seconds, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=10),
            follow_redirects=False,
            verify=_trusted(),
            # a proxy of the environment is for the world outside, not for the sandbox or a container beside us
            trust_env=self._connection.address.startswith("https:"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def send(self, call: Call) -> Answer:
        """One request and what its answer means; network trouble is an answer too."""
        if self._http is None:
            raise RuntimeError("use the client as `async with`")
        async with self._slots[call.api]:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    return await self._exchange(self._http, call)
            except TimeoutError:
                what = f"no complete answer within {self._timeout_seconds:g} s"
                return Trouble(what, "Raise CT_HTTP_TIMEOUT_SECONDS or lower CT_PAGE_SIZE." if call.has_cursor else "")
            except (httpx.HTTPError, zlib.error) as error:
                return _network_trouble(error, self._without_passcode(str(error).encode()).decode())

    async def _exchange(self, http: httpx.AsyncClient, call: Call) -> Answer:
        url = httpx.URL(f"{self._connection.address}{call.path}{'?' if call.query else ''}{call.query}")
        headers = {"Content-Type": "application/json"} if call.method == "POST" else {}
        async with http.stream(call.method, url, content=call.body, headers=headers) as response:
            self._note_clock(response.headers.get("Date", ""))
            body = await _bounded_body(response, call.most_bytes)
        if body is None:
            mend = "Lower CT_PAGE_SIZE." if call.has_cursor else ""
            size = f"more than {call.most_bytes // calls.MEBIBYTE} MiB"
            return Refused(CleverTapRefusedError(f"CleverTap's answer to {call.what} is {size}. {mend}".strip()))
        retry_after = response.headers.get("Retry-After", "")
        answer = answer_of(response.status_code, body, retry_after)
        if call.api.is_data and isinstance(answer, Success):
            return answer
        return answer_of(response.status_code, self._without_passcode(body), retry_after)  # its words may be shown

    def _without_passcode(self, words: bytes) -> bytes:
        return words.replace(self._connection.passcode.get_secret_value().encode(), "•••".encode())

    def _note_clock(self, date: str) -> None:
        try:
            told = parsedate_to_datetime(date)
        except (TypeError, ValueError):
            return
        if told.tzinfo is not None:
            self.clock_difference = told - datetime.now(UTC)


@cache
def _trusted() -> ssl.SSLContext:
    """Whom TLS trusts, read from disk once."""
    return httpx.create_ssl_context()


class _Credentials(httpx.Auth):
    """Puts the credentials into each request at the last moment, so that no repr of the client holds them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["X-CleverTap-Account-Id"] = self._connection.project_id
        request.headers["X-CleverTap-Passcode"] = self._connection.passcode.get_secret_value()
        yield request


def _without_query(record: logging.LogRecord) -> bool:
    """httpx logs the address of each request; its query would be a cursor, or an e-mail address."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            argument.copy_with(query=None) if isinstance(argument, httpx.URL) else argument for argument in record.args
        )
    return True


async def _bounded_body(response: httpx.Response, most_bytes: int) -> bytes | None:
    """The body, unpacked; None: it is larger than that. httpx's own unpacking is not bounded."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise httpx.DecodingError(f"packed as {quoted(encoding)}, which was not asked for")
    unpacker = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += unpacker.decompress(chunk, most_bytes + 1 - len(body)) if unpacker else chunk
        if len(body) > most_bytes:
            return None
    if unpacker and body and not unpacker.eof:
        raise httpx.DecodingError("packed, and cut short")
    return bytes(body)


def _network_trouble(error: Exception, words: str) -> Trouble:
    text = quoted(words) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        mend = "If a proxy of yours unpacks TLS, name its certificate in SSL_CERT_FILE."
        return Trouble(f"the certificate cannot be verified: {text}", mend)
    if isinstance(error, httpx.ProxyError):
        return Trouble(f"the proxy says {text}", "See HTTPS_PROXY.")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Trouble(f"cannot connect: {text}", "See that this machine reaches CleverTap, and CT_BASE_URL.")
    return Trouble(f"the connection broke: {text}")
