"""The socket side of a session: aiosmtplib connects, says EHLO and upgrades TLS; then our own protocol carries the
dialogue on its transport, because aiosmtplib gives a stray line to the next command."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import aiosmtplib

from ct_pipeline.verification.dialogue import Capabilities, Dialogue
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_parser import (
    MAX_REPLY_BYTES,
    NotSmtpError,
    RawReply,
    ReplyParser,
    as_reply,
    clean_text,
    no_reply,
)

_MAX_SEGMENT_BYTES = 4 * MAX_REPLY_BYTES
CLOSING_TIMEOUT_SECONDS = 5.0  # RFC 5321 has no figure for QUIT; nobody waits for its reply
INTERRUPTED_TIMEOUT_SECONDS = 2.0  # for the reply to what was asked and to QUIT, when somebody wants us to stop


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest waits, in seconds."""

    connect: float
    reply: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no session came about: the host's reply, or the record of its silence."""

    reply: Reply


class Connection:
    """An SMTP session that has been greeted and has said EHLO. Made by :func:`open_connection`."""

    def __init__(self, transport: asyncio.Transport, capabilities: Capabilities, is_tls: bool) -> None:
        self.capabilities = capabilities
        self.is_tls = is_tls
        self._transport = transport
        self._protocol = _ReplyProtocol()
        transport.set_protocol(self._protocol)

    async def converse(
        self,
        dialogue: Dialogue,
        clock: Callable[[], datetime],
        timeouts: Timeouts,
        after_reply: Callable[[], None] = lambda: None,
    ) -> None:
        """Carry ``dialogue`` to its end, then close. ``after_reply`` is called each time something was learnt.

        Cancelling leaves the session politely: the reply to what has been asked is awaited, if it comes soon, and QUIT
        is sent.
        """
        try:
            await self._carry(dialogue, clock, timeouts, after_reply)
        except asyncio.CancelledError:
            await self._wind_up(dialogue, clock, timeouts, after_reply)
            raise
        finally:
            after_reply()
            await self._close()

    async def quit(self) -> None:
        """End the session without having asked anything."""
        self._transport.write(b"QUIT\r\n")
        with contextlib.suppress(TimeoutError, ConnectionError, NotSmtpError):
            async with asyncio.timeout(CLOSING_TIMEOUT_SECONDS):
                await self._protocol.next_reply()
        await self._close()

    async def _carry(
        self, dialogue: Dialogue, clock: Callable[[], datetime], timeouts: Timeouts, after_reply: Callable[[], None]
    ) -> None:
        while not dialogue.is_over:
            if not dialogue.is_outstanding:
                if self._protocol.has_surplus():
                    dialogue.break_off()
                    break
                command = dialogue.next_command(clock())
                if command is not None:
                    self._transport.write(command)
            await self._receive(dialogue, clock, timeouts)
            after_reply()

    async def _wind_up(
        self, dialogue: Dialogue, clock: Callable[[], datetime], timeouts: Timeouts, after_reply: Callable[[], None]
    ) -> None:
        dialogue.ask_no_more()
        try:
            async with asyncio.timeout(INTERRUPTED_TIMEOUT_SECONDS):
                await self._carry(dialogue, clock, timeouts, after_reply)
        except TimeoutError:
            if not dialogue.is_closing:
                self._transport.write(b"QUIT\r\n")
            dialogue.leave()

    async def _receive(self, dialogue: Dialogue, clock: Callable[[], datetime], timeouts: Timeouts) -> None:
        try:
            wait = CLOSING_TIMEOUT_SECONDS if dialogue.is_closing else timeouts.reply
            async with asyncio.timeout(wait):
                reply = await self._protocol.next_reply()
        except TimeoutError:
            dialogue.lose("no reply in time", clock())
        except ConnectionError as error:
            dialogue.lose(f"connection lost: {clean_text(str(error))}", clock())
        except NotSmtpError:
            dialogue.break_off()
        else:
            dialogue.receive(reply, clock())

    async def _close(self) -> None:
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._protocol.closed.wait()
        self._transport.abort()


async def open_connection(
    address: str, port: int, host: str, helo_name: str, timeouts: Timeouts, source_address: str | None = None
) -> Connection | Refusal:
    """A session with ``host`` at ``address``, or why there is none. Never raises for anything the host does.

    TLS is opportunistic: a host whose STARTTLS fails is talked to in the clear, on a fresh connection. Certificates are
    not checked: an expired one says nothing of a mailbox, and nothing confidential is sent.
    """
    outcome = await _attempt(address, port, host, helo_name, timeouts, source_address, use_tls=True)
    if isinstance(outcome, _TlsFailed):
        outcome = await _attempt(address, port, host, helo_name, timeouts, source_address, use_tls=False)
    return outcome if not isinstance(outcome, _TlsFailed) else Refusal(outcome.reply)


@dataclass(frozen=True, slots=True)
class _TlsFailed:
    reply: Reply


async def _attempt(
    address: str, port: int, host: str, helo_name: str, timeouts: Timeouts, source_address: str | None, *, use_tls: bool
) -> Connection | Refusal | _TlsFailed:
    client = aiosmtplib.SMTP(
        hostname=address,
        port=port,
        local_hostname=helo_name,
        timeout=timeouts.connect,
        source_address=(source_address, 0) if source_address else None,
        start_tls=False,
        validate_certs=False,
    )
    stage = Stage.CONNECT
    try:
        await client.connect()
        stage = Stage.EHLO
        await _introduce(client, timeouts.reply)
        is_tls = False
        if use_tls and client.supports_extension("starttls"):
            stage = Stage.STARTTLS
            await client.starttls(server_hostname=host, tls_context=_TLS_CONTEXT, timeout=timeouts.reply)
            is_tls = True
            stage = Stage.EHLO
            await _introduce(client, timeouts.reply)
        return _hand_over(client, is_tls)
    except asyncio.CancelledError:
        client.close()
        raise
    except (aiosmtplib.SMTPException, OSError, ValueError, asyncio.IncompleteReadError) as error:
        client.close()
        reply = _why(stage, error)
        return _TlsFailed(reply) if stage is Stage.STARTTLS else Refusal(reply)


async def _introduce(client: aiosmtplib.SMTP, timeout_seconds: float) -> None:
    try:
        await client.ehlo(timeout=timeout_seconds)
    except aiosmtplib.SMTPHeloError as error:
        if not client.is_connected or error.code == 421:
            raise
        await client.helo(timeout=timeout_seconds)


def _hand_over(client: aiosmtplib.SMTP, is_tls: bool) -> Connection:
    transport = client.transport
    if not isinstance(transport, asyncio.Transport) or transport.is_closing():
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    lines: tuple[str, ...] = ()
    if client.supports_esmtp and client.last_ehlo_response is not None:
        lines = tuple(clean_text(line).strip().upper() for line in client.last_ehlo_response.message.split("\n")[1:])
    return Connection(transport, Capabilities(lines), is_tls)


def _why(stage: Stage, error: Exception) -> Reply:
    if isinstance(error, aiosmtplib.SMTPResponseException) and 200 <= error.code < 600:
        return as_reply(stage, error.code, [clean_text(line) for line in error.message.split("\n")])
    if isinstance(error, aiosmtplib.SMTPConnectTimeoutError):
        return no_reply(stage, "connection timed out")
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return no_reply(stage, "no reply in time")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return no_reply(stage, f"connection lost: the host does not talk SMTP: {clean_text(error.message)}")
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, ConnectionRefusedError):
        return no_reply(stage, "connection refused")
    if isinstance(cause, OSError) and stage is Stage.CONNECT and not isinstance(cause, ConnectionError):
        return no_reply(stage, f"no route: {clean_text(cause.strerror or str(cause))}")
    return no_reply(stage, f"connection lost: {clean_text(str(cause))}")


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # old hosts are talked to rather than misjudged
    return context


_TLS_CONTEXT = _tls_context()


class _ReplyProtocol(asyncio.Protocol):
    """Hands over whole replies one at a time, and remembers whether there were more than were asked for."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self._parser = ReplyParser()
        self._replies: list[RawReply] = []
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        if self._fault is not None:
            return
        try:
            self._replies += self._parser.feed(data[:_MAX_SEGMENT_BYTES])
        except NotSmtpError as error:
            self._fault = error
        if len(data) > _MAX_SEGMENT_BYTES:
            self._fault = NotSmtpError("more than any reply is long")
        self._wake()

    def eof_received(self) -> bool:
        return False  # closes the transport; connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:
        self._fault = self._fault or ConnectionResetError(str(exc or "the host closed the connection"))
        self.closed.set()
        self._wake()

    async def next_reply(self) -> RawReply:
        """The next reply.

        Raises:
            ConnectionError: the connection ended.
            NotSmtpError: the host does not talk SMTP.
        """
        while not self._replies:
            if self._fault is not None:
                raise self._fault
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.pop(0)

    def has_surplus(self) -> bool:
        """Whether bytes have come that answer no command; true also for half a reply."""
        return bool(self._replies) or not self._parser.is_idle or isinstance(self._fault, NotSmtpError)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
