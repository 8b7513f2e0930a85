"""How a session begins, on a socket that is connected: greeting, EHLO, STARTTLS, EHLO again.

The transport gets the protocol here that carries the dialogue later: from the first byte on a reply is bounded, its
lines agree, and bytes that answer no command end the session, what is injected after the 220 to STARTTLS (RFC 3207
section 4.2) among them.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import cast

from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_parser import NotSmtpError, RawReply, as_reply, clean_text, no_reply
from ct_pipeline.verification.reply_stream import ReplyStream

# EHLO, HELO, STARTTLS, the handshake and EHLO again may each take as long as a reply, but all of them only this many
# replies: a host that is slow at everything must not hold a session open before it is asked anything.
INTRODUCTION_REPLIES = 2
_EHLO_NOT_KNOWN = frozenset({500, 501, 502, 503, 504, 550})  # RFC 5321 section 4.1.4, and what old hosts say


@dataclass(frozen=True, slots=True)
class Opened:
    """A host that has said EHLO, and what it says from now on."""

    transport: asyncio.Transport
    replies: ReplyStream
    capabilities: Capabilities
    is_tls: bool


@dataclass(frozen=True, slots=True)
class NotOpened:
    """Why no session came about: the host's reply, or what happened instead of one."""

    reply: Reply
    is_about_tls: bool  # the host offered TLS and it did not work; without TLS it may


async def open_session(
    connected: socket.socket,
    host: str,
    helo_name: str,
    *,
    greeting_seconds: float,
    reply_seconds: float,
    use_tls: bool,
) -> Opened | NotOpened:
    """Greet the host behind ``connected``, which then belongs to the transport, or is closed.

    Never raises for anything the host does. Certificates are not checked: an expired one says nothing of a mailbox, and
    nothing confidential is sent.
    """
    opening = _Opening(reply_seconds)
    stage, has_begun_tls = Stage.CONNECT, False
    try:
        await opening.greet(connected, greeting_seconds)
        stage = Stage.EHLO
        capabilities = await opening.introduce(helo_name)
        if use_tls and capabilities.has("STARTTLS"):
            stage, has_begun_tls = Stage.STARTTLS, True
            await opening.upgrade(host)
            stage = Stage.EHLO  # under TLS 1.3 a handshake that the host did not like fails only here
            capabilities = await opening.introduce(helo_name)
        return Opened(opening.transport, opening.replies, capabilities, has_begun_tls)
    except asyncio.CancelledError:
        opening.drop(connected)
        raise
    except Exception as error:  # whatever a host can make the transport or ssl raise is the host's doing
        reply = _why(stage, error)
        is_spoken = stage is Stage.EHLO and reply.code > 0
        opening.drop(connected, say_quit=is_spoken)
        return NotOpened(reply, is_about_tls=has_begun_tls and not is_spoken)


class _RefusedError(Exception):
    """The host's reply is no consent."""

    def __init__(self, raw: RawReply) -> None:
        super().__init__(f"{raw.code}")
        self.raw = raw


class _SurplusError(Exception):
    """The host spoke before it was asked."""


class _Opening:
    """What is said before the first question. Each reply may take ``reply_seconds``, and all but the greeting together
    ``INTRODUCTION_REPLIES`` times as long."""

    transport: asyncio.Transport  # once there is one

    def __init__(self, reply_seconds: float) -> None:
        self.replies = ReplyStream()
        self._reply_seconds = reply_seconds
        self._loop = asyncio.get_running_loop()
        self._until = 0.0  # by the loop's clock

    async def greet(self, connected: socket.socket, seconds: float) -> None:
        self.replies.expect(1)
        transport, _ = await self._loop.create_connection(lambda: self.replies, sock=connected)
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        raw = await self.replies.next_reply(seconds)
        if raw.code != 220:
            raise _RefusedError(raw)
        self._refuse_surplus()
        self._until = self._loop.time() + INTRODUCTION_REPLIES * self._reply_seconds

    async def introduce(self, helo_name: str) -> Capabilities:
        """Say EHLO, or HELO to a host that does not know it."""
        raw = await self._ask(f"EHLO {helo_name}")
        if raw.code == 250:
            self._refuse_surplus()
            return Capabilities.of_lines(raw.lines)
        if raw.code in _EHLO_NOT_KNOWN and await self._knows_helo(helo_name):
            return Capabilities()
        raise _RefusedError(raw)  # its words are about us, those about HELO often about the order of commands

    async def upgrade(self, host: str) -> None:
        """Say STARTTLS, and go on under TLS."""
        raw = await self._ask("STARTTLS")
        if raw.code != 220:
            raise _RefusedError(raw)
        self._refuse_surplus()
        async with asyncio.timeout(self._patience):
            secured = await self._loop.start_tls(self.transport, self.replies, _TLS_CONTEXT, server_hostname=host)
        if secured is None:  # the transport was closed meanwhile
            raise ConnectionResetError("the host closed the connection")
        self.transport = cast(asyncio.Transport, secured)

    def drop(self, connected: socket.socket, *, say_quit: bool = False) -> None:
        if not hasattr(self, "transport"):
            connected.close()
            return
        if say_quit and not self.transport.is_closing():
            self.transport.write(b"QUIT\r\n")
        self.transport.abort()

    async def _knows_helo(self, helo_name: str) -> bool:
        try:
            knows_it = (await self._ask(f"HELO {helo_name}")).code == 250
            self._refuse_surplus()
        except (ConnectionError, NotSmtpError, _SurplusError):
            return False
        return knows_it

    async def _ask(self, command: str) -> RawReply:
        self._refuse_surplus()
        self.replies.expect(1)
        self.transport.write(command.encode("ascii") + b"\r\n")
        return await self.replies.next_reply(self._patience)

    def _refuse_surplus(self) -> None:
        """Go on only where the host waits for us."""
        if self.replies.has_surplus():
            raise self.replies.not_smtp or _SurplusError
        if self.replies.is_closed or self.transport.is_closing():
            raise ConnectionResetError("the host closed the connection")

    @property
    def _patience(self) -> float:
        """Seconds for the next reply."""
        return min(self._reply_seconds, self._until - self._loop.time())


def _why(stage: Stage, error: Exception) -> Reply:
    """The record of what ended the opening, in words that the reply reader knows."""
    match error:
        case _RefusedError(raw=raw) if raw.code >= 400:
            return as_reply(stage, raw.code, raw.lines)
        case _RefusedError(raw=raw):
            return no_reply(stage, f"out of step: {raw.code} {' '.join(raw.lines)}")
        case _SurplusError():
            return no_reply(stage, "out of step: the host spoke before it was asked")
        case NotSmtpError():
            return no_reply(stage, f"connection lost: the host does not talk SMTP: {error}")
        case TimeoutError():
            return no_reply(stage, "no reply in time")
    return no_reply(stage, f"connection lost: {clean_text(str(error))}")


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Old hosts are talked to rather than misjudged.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


_TLS_CONTEXT = _tls_context()
