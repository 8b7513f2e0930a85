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
from ct_pipeline.verification.opening import NotOpened, open_session
from ct_pipeline.verification.outbound import EgressTroubleError, connect_socket
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_parser import NotSmtpError, clean_text, no_reply
from ct_pipeline.verification.reply_stream import ReplyStream

CLOSING_TIMEOUT_SECONDS = 5.0  # RFC 5321 has no figure for QUIT; nobody waits for its reply
INTERRUPTED_TIMEOUT_SECONDS = 2.0  # for the reply to what was asked and to QUIT, when somebody wants us to stop


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
        wait_seconds: Callable[[int], float] = lambda _asked_count: 0.0,
    ) -> None:
        """Carry ``dialogue`` to its end, then close. ``after_reply`` is called each time something was learnt.

        ``wait_seconds`` is told how many addresses have just been asked, and says how long nothing more may be asked.
        Cancelling leaves the session politely: the replies to what has been asked are awaited, if they come soon, and
        QUIT is sent. So nothing that a host has answered is asked again.
        """
        try:
            await self._carry(dialogue, clock, timeouts, after_reply, wait_seconds)
        except asyncio.CancelledError:
            await self._wind_up(dialogue, clock, timeouts, after_reply)
            raise
        finally:
            try:
                after_reply()
            finally:
                await self._close(is_host_first=dialogue.loss is None and not dialogue.is_out_of_step)

    async def quit(self) -> None:
        """End the session without having asked anything."""
        self._transport.write(b"QUIT\r\n")
        try:
            with contextlib.suppress(TimeoutError, ConnectionError, NotSmtpError):
                await self._replies.next_replies(CLOSING_TIMEOUT_SECONDS)
        finally:
            await self._close()

    async def _carry(
        self,
        dialogue: Dialogue,
        clock: Callable[[], datetime],
        timeouts: Timeouts,
        after_reply: Callable[[], None],
        wait_seconds: Callable[[int], float],
    ) -> None:
        asked_count = 0
        while not dialogue.is_over:
            if not dialogue.outstanding_count:
                while (seconds := wait_seconds(dialogue.rcpt_count - asked_count)) > 0 and self._is_alive:
                    asked_count = dialogue.rcpt_count
                    await self._sleep(seconds)
                asked_count = dialogue.rcpt_count
                if self._replies.has_surplus():
                    dialogue.break_off()
                    break
                if commands := dialogue.next_commands(clock()):
                    self._replies.expect(dialogue.outstanding_count)
                    self._transport.write(commands)
            await self._receive(dialogue, clock, timeouts)
            after_reply()

    @property
    def _is_alive(self) -> bool:
        return not self._replies.closed.is_set()

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of the connection."""
        if not self._is_alive:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._replies.closed.wait()

    async def _wind_up(
        self, dialogue: Dialogue, clock: Callable[[], datetime], timeouts: Timeouts, after_reply: Callable[[], None]
    ) -> None:
        dialogue.ask_no_more()
        try:
            async with asyncio.timeout(INTERRUPTED_TIMEOUT_SECONDS):
                await self._carry(dialogue, clock, timeouts, after_reply, lambda _asked_count: 0.0)
        except TimeoutError:
            if not dialogue.is_closing:
                self._transport.write(b"QUIT\r\n")
            dialogue.leave()

    async def _receive(self, dialogue: Dialogue, clock: Callable[[], datetime], timeouts: Timeouts) -> None:
        """Hand whatever has come to ``dialogue``; no reply within its time ends the session."""
        try:
            wait = min(CLOSING_TIMEOUT_SECONDS, timeouts.reply) if dialogue.is_closing else timeouts.reply
            replies = await self._replies.next_replies(wait)
        except TimeoutError:
            dialogue.lose("no reply in time", clock(), is_timeout=True)
        except ConnectionError as error:
            dialogue.lose(f"connection lost: {clean_text(str(error))}", clock())
        except NotSmtpError:
            dialogue.break_off()
        else:
            now = clock()
            for reply in replies:
                if dialogue.is_over:
                    break
                dialogue.receive(reply, now)

    async def _close(self, *, is_host_first: bool = False) -> None:
        """Close. ``is_host_first``: after QUIT the host closes (RFC 5321 section 4.1.1.10), and until it has, the
        connection counts against its limits."""
        try:
            if is_host_first and not self._transport.is_closing():
                await self._sleep(CLOSING_TIMEOUT_SECONDS)
            self._transport.close()
            await self._sleep(1.0)
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
