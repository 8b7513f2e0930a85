"""The socket side of a session: it is opened (``opening.py``); then our own protocol carries the dialogue on its
transport, because aiosmtplib gives a stray line to the next command."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pydantic import SecretStr

from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.exchange import CLOSING_TIMEOUT_SECONDS, Exchange
from ct_pipeline.verification.opening import NotOpened, open_session
from ct_pipeline.verification.outbound import EgressTroubleError, connect_socket
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_parser import NotSmtpError, clean_text, no_reply
from ct_pipeline.verification.reply_stream import ReplyStream


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest waits, in seconds: for TCP, for one whole reply, for one session's questions, and for the greeting.

    A host may think long about each address (tarpits take some 20 s), but it must not hold a session for ever. Some let
    newcomers wait for the greeting, so that it has a figure of its own; RFC 5321 section 4.5.3.2.1 asks for 300.
    """

    connect: float
    reply: float
    session: float = 900.0
    greeting: float | None = None  # None: as long as any reply


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
        wait_seconds: Callable[[int, datetime], float] = lambda _asked_count, _now: 0.0,
    ) -> None:
        """Carry ``dialogue`` to its end, then close. ``after_reply`` is called each time something was learnt.

        ``wait_seconds`` is told how many addresses have just been asked, and says how long nothing more may be asked.
        Cancelling leaves the session politely: the replies to what has been asked are awaited, if they come soon, and
        QUIT is sent. So nothing that a host has answered is asked again.
        """
        exchange = Exchange(self._transport, self._replies, dialogue, clock, timeouts.reply, after_reply, wait_seconds)
        try:
            await exchange.carry()
        except asyncio.CancelledError:
            await exchange.wind_up()
            raise
        finally:
            try:
                after_reply()
            finally:
                await self._close(is_host_first=dialogue.loss is None and not dialogue.is_out_of_step)

    async def quit(self) -> None:
        """End the session without having asked anything."""
        if not self._transport.is_closing():
            self._transport.write(b"QUIT\r\n")
        try:
            with contextlib.suppress(TimeoutError, ConnectionError, NotSmtpError):
                await self._replies.listen(lambda _replies: 0.0, CLOSING_TIMEOUT_SECONDS)
        finally:
            await self._close()

    async def _close(self, *, is_host_first: bool = False) -> None:
        """Close. ``is_host_first``: after QUIT the host closes (RFC 5321 section 4.1.1.10), and until it has, the
        connection counts against its limits."""
        try:
            if is_host_first and not self._transport.is_closing():
                await self._replies.until_closed(CLOSING_TIMEOUT_SECONDS)
            self._transport.close()
            await self._replies.until_closed(1.0)
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
    connect_again: Callable[[], Awaitable[None]] | None = None,
) -> Connection | Refusal:
    """A session with ``host`` at ``address``, or why there is none. Never raises for anything the host does.

    It is dialled from ``source_address`` or through ``proxy``, as an :class:`~ct_pipeline.verification.egress.Egress`
    says.

    TLS is opportunistic: a host whose STARTTLS fails is talked to in the clear, on a fresh connection, which
    ``connect_again`` is awaited for. Certificates are not checked: an expired one says nothing of a mailbox, and
    nothing confidential is sent.
    """
    dial = partial(connect_socket, address, port, timeouts.connect, source_address, proxy)
    outcome = await _attempt(dial, host, helo_name, timeouts, use_tls=use_tls)
    if isinstance(outcome, _TlsFailed):
        if connect_again is not None:
            await connect_again()
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
    try:
        # A socket of our own: aiosmtplib has one timeout for connecting and the greeting, which deserves a longer one.
        connected = await dial()
    except EgressTroubleError as trouble:
        return Refusal(no_reply(Stage.CONNECT, clean_text(str(trouble))), is_ours=True)
    except OSError as error:  # a TimeoutError is one
        return Refusal(_why_not_connected(error))
    opened = await open_session(
        connected,
        host,
        helo_name,
        greeting_seconds=timeouts.reply if timeouts.greeting is None else timeouts.greeting,
        reply_seconds=timeouts.reply,
        use_tls=use_tls,
    )
    if isinstance(opened, NotOpened):
        return _TlsFailed(opened.reply) if opened.is_about_tls else Refusal(opened.reply)
    return Connection(opened.transport, opened.capabilities, is_tls=opened.is_tls, tls_failed=False)


def _why_not_connected(error: OSError) -> Reply:
    if isinstance(error, TimeoutError):
        return no_reply(Stage.CONNECT, "connection timed out")
    if isinstance(error, ConnectionRefusedError):
        return no_reply(Stage.CONNECT, "connection refused")
    if isinstance(error, ConnectionError):
        return no_reply(Stage.CONNECT, f"connection lost: {clean_text(str(error))}")
    return no_reply(Stage.CONNECT, f"no route: {clean_text(error.strerror or str(error))}")
