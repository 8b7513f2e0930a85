"""The socket side of a session: aiosmtplib greets, says EHLO and upgrades TLS; then our own protocol carries the
dialogue on its transport, because aiosmtplib gives a stray line to the next command."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import aiosmtplib
from pydantic import SecretStr

from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.outbound import EgressTroubleError, connect_socket
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_parser import NotSmtpError, as_reply, clean_text, no_reply
from ct_pipeline.verification.reply_stream import ReplyStream

CLOSING_TIMEOUT_SECONDS = 5.0  # RFC 5321 has no figure for QUIT; nobody waits for its reply
INTERRUPTED_TIMEOUT_SECONDS = 2.0  # for the reply to what was asked and to QUIT, when somebody wants us to stop
_EHLO_NOT_KNOWN = frozenset({500, 501, 502, 503, 504, 550})  # RFC 5321 section 4.1.4, and what old hosts say


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest waits, in seconds: for TCP, for one whole reply (the greeting too), and for one session's questions.

    A host may think long about each address (tarpits take some 20 s), but it must not hold a session for ever.
    """

    connect: float
    reply: float
    session: float = 900.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no session came about: the host's reply, or the record of its silence.

    ``is_ours``: our own way out failed, which says nothing of the host.
    """

    reply: Reply
    is_ours: bool = False


class Connection:
    """An SMTP session that has been greeted and has said EHLO. Made by :func:`open_connection`."""

    def __init__(
        self, transport: asyncio.Transport, capabilities: Capabilities, *, is_tls: bool, tls_failed: bool
    ) -> None:
        self.capabilities = capabilities
        self.is_tls = is_tls
        self.tls_failed = tls_failed  # the host offered TLS, and it did not work
        self._transport = transport
        self._replies = ReplyStream()
        transport.set_protocol(self._replies)

    async def converse(
        self,
        dialogue: Dialogue,
        clock: Callable[[], datetime],
        timeouts: Timeouts,
        after_reply: Callable[[], None] = lambda: None,
    ) -> None:
        """Carry ``dialogue`` to its end, then close. ``after_reply`` is called each time something was learnt.

        Cancelling leaves the session politely: the reply to what has been asked is awaited, if it comes soon, and QUIT
        is sent. So nothing that a host has answered is asked again.
        """
        try:
            await self._carry(dialogue, clock, timeouts, after_reply)
        except asyncio.CancelledError:
            await self._wind_up(dialogue, clock, timeouts, after_reply)
            raise
        finally:
            try:
                after_reply()
            finally:
                await self._close()

    async def quit(self) -> None:
        """End the session without having asked anything."""
        self._transport.write(b"QUIT\r\n")
        try:
            with contextlib.suppress(TimeoutError, ConnectionError, NotSmtpError):
                async with asyncio.timeout(CLOSING_TIMEOUT_SECONDS):
                    await self._replies.next_reply()
        finally:
            await self._close()

    async def _carry(
        self, dialogue: Dialogue, clock: Callable[[], datetime], timeouts: Timeouts, after_reply: Callable[[], None]
    ) -> None:
        while not dialogue.is_over:
            if not dialogue.is_outstanding:
                if self._replies.has_surplus():
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
            wait = min(CLOSING_TIMEOUT_SECONDS, timeouts.reply) if dialogue.is_closing else timeouts.reply
            async with asyncio.timeout(wait):
                reply = await self._replies.next_reply()
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
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._replies.closed.wait()
        finally:
            self._transport.abort()


async def open_connection(
    address: str,
    port: int,
    host: str,
    helo_name: str,
    timeouts: Timeouts,
    source_address: str | None = None,
    *,
    proxy: SecretStr | None = None,
    use_tls: bool = True,
) -> Connection | Refusal:
    """A session with ``host`` at ``address``, or why there is none. Never raises for anything the host does.

    It is dialled from ``source_address`` or through ``proxy``, as an :class:`~ct_pipeline.verification.egress.Egress`
    says.

    TLS is opportunistic: a host whose STARTTLS fails is talked to in the clear, on a fresh connection. Certificates are
    not checked: an expired one says nothing of a mailbox, and nothing confidential is sent.
    """
    dial = partial(connect_socket, address, port, timeouts.connect, source_address, proxy)
    outcome = await _attempt(dial, host, helo_name, timeouts, use_tls=use_tls)
    if isinstance(outcome, _TlsFailed):
        outcome = await _attempt(dial, host, helo_name, timeouts, use_tls=False)
        if isinstance(outcome, Connection):
            outcome.tls_failed = True
    return outcome if not isinstance(outcome, _TlsFailed) else Refusal(outcome.reply)


@dataclass(frozen=True, slots=True)
class _TlsFailed:
    reply: Reply


async def _attempt(
    dial: Callable[[], Awaitable[socket.socket]], host: str, helo_name: str, timeouts: Timeouts, *, use_tls: bool
) -> Connection | Refusal | _TlsFailed:
    client = aiosmtplib.SMTP(local_hostname=helo_name, timeout=timeouts.reply, start_tls=False, validate_certs=False)
    try:
        # A socket of our own: aiosmtplib has one timeout for connecting and the greeting, which deserves a longer one.
        connected = await dial()
    except EgressTroubleError as trouble:
        return Refusal(no_reply(Stage.CONNECT, clean_text(str(trouble))), is_ours=True)
    except OSError as error:  # a TimeoutError is one
        return Refusal(_why_not_connected(error))
    stage, has_begun_tls = Stage.CONNECT, False
    try:
        await client.connect(sock=connected)
        stage = Stage.EHLO
        await _introduce(client)
        if use_tls and client.supports_extension("starttls"):
            stage, has_begun_tls = Stage.STARTTLS, True
            await client.starttls(server_hostname=host, tls_context=_TLS_CONTEXT)
            stage = Stage.EHLO
            await _introduce(client)  # under TLS 1.3 a handshake that the host did not like fails only here
        return _hand_over(client, is_tls=has_begun_tls)
    except asyncio.CancelledError:
        _drop(client, connected)
        raise
    except Exception as error:  # whatever a host can make aiosmtplib or ssl raise is the host's doing
        reply = _why(stage, error)
        is_spoken = stage is Stage.EHLO and reply.code > 0
        _drop(client, connected, say_quit=is_spoken)
        return _TlsFailed(reply) if has_begun_tls and not is_spoken else Refusal(reply)


async def _introduce(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as refused:
        if refused.code not in _EHLO_NOT_KNOWN or not client.is_connected:
            raise
        try:
            await client.helo()
        except aiosmtplib.SMTPException:
            raise refused from None  # its words are about us, those about HELO often about the order of commands


def _hand_over(client: aiosmtplib.SMTP, *, is_tls: bool) -> Connection:
    transport = client.transport
    if not isinstance(transport, asyncio.Transport) or transport.is_closing():
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    capabilities = Capabilities()
    if client.supports_esmtp and client.last_ehlo_response is not None:
        capabilities = Capabilities.of_lines(clean_text(x) for x in client.last_ehlo_response.message.split("\n"))
    return Connection(transport, capabilities, is_tls=is_tls, tls_failed=False)


def _drop(client: aiosmtplib.SMTP, connected: socket.socket, *, say_quit: bool = False) -> None:
    transport = client.transport
    if say_quit and isinstance(transport, asyncio.Transport):
        transport.write(b"QUIT\r\n")
    client.close()
    if isinstance(transport, asyncio.Transport):
        transport.abort()
    else:
        connected.close()


def _why_not_connected(error: OSError) -> Reply:
    if isinstance(error, TimeoutError):
        return no_reply(Stage.CONNECT, "connection timed out")
    if isinstance(error, ConnectionRefusedError):
        return no_reply(Stage.CONNECT, "connection refused")
    if isinstance(error, ConnectionError):
        return no_reply(Stage.CONNECT, f"connection lost: {clean_text(str(error))}")
    return no_reply(Stage.CONNECT, f"no route: {clean_text(error.strerror or str(error))}")


def _why(stage: Stage, error: Exception) -> Reply:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if 400 <= error.code < 600:
            return as_reply(stage, error.code, [clean_text(line) for line in error.message.split("\n")])
        if 200 <= error.code < 400:
            return no_reply(stage, f"out of step: {error.code} {clean_text(error.message)}")
        return no_reply(stage, f"connection lost: the host does not talk SMTP: {clean_text(error.message)}")
    if isinstance(error, TimeoutError):
        return no_reply(stage, "no reply in time")
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return no_reply(stage, f"connection lost: {clean_text(str(cause))}")


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # old hosts are talked to rather than misjudged
    return context


_TLS_CONTEXT = _tls_context()
