"""How a session begins, on a socket that is connected: greeting, EHLO, STARTTLS, EHLO again.

aiosmtplib sends the commands and upgrades the transport. What the host says passes our own parser first, so that here
too a reply is bounded, its lines agree, and bytes that answer no command end the session. aiosmtplib would drop some of
them, what is injected after the 220 to STARTTLS (RFC 3207 section 4.2) among them, and take others for its next answer.
"""

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import cast

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from ct_pipeline.verification.capabilities import Capabilities
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

# EHLO, HELO, STARTTLS, the handshake and EHLO again may each take as long as a reply, but all of them only this many
# replies: a host that is slow at everything must not hold a session open before it is asked anything.
INTRODUCTION_REPLIES = 2
_EHLO_NOT_KNOWN = frozenset({500, 501, 502, 503, 504, 550})  # RFC 5321 section 4.1.4, and what old hosts say


@dataclass(frozen=True, slots=True)
class Opened:
    """A host that has said EHLO. Its transport must get a protocol of its own before anything else is awaited."""

    transport: asyncio.Transport
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
    opening = _Opening()
    stage, has_begun_tls = Stage.CONNECT, False
    try:
        await asyncio.get_running_loop().create_connection(lambda: opening, sock=connected)
        async with asyncio.timeout(greeting_seconds) as limit:
            await opening.greet()
            patience = _Patience(limit, reply_seconds)
            stage = Stage.EHLO
            capabilities = await opening.introduce(helo_name, patience)
            if use_tls and capabilities.has("STARTTLS"):
                stage, has_begun_tls = Stage.STARTTLS, True
                await opening.upgrade(host, patience)
                stage = Stage.EHLO  # under TLS 1.3 a handshake that the host did not like fails only here
                capabilities = await opening.introduce(helo_name, patience)
        return Opened(opening.hand_over(), capabilities, has_begun_tls)
    except asyncio.CancelledError:
        opening.drop(connected)
        raise
    except Exception as error:  # whatever a host can make aiosmtplib or ssl raise is the host's doing
        reply = opening.why(stage, error)
        is_spoken = stage is Stage.EHLO and reply.code > 0
        opening.drop(connected, say_quit=is_spoken)
        return NotOpened(reply, is_about_tls=has_begun_tls and not is_spoken)


class _Patience:
    """Moves the one ``limit`` of an opening on: to each reply its time, and to all of them theirs."""

    def __init__(self, limit: asyncio.Timeout, reply_seconds: float) -> None:
        self._limit = limit
        self._reply_seconds = reply_seconds
        self._clock = asyncio.get_running_loop().time
        self._until = self._clock() + INTRODUCTION_REPLIES * reply_seconds

    def for_one_reply(self) -> None:
        self._limit.reschedule(min(self._until, self._clock() + self._reply_seconds))


class _RefusedError(Exception):
    """The host's reply is no consent."""

    def __init__(self, raw: RawReply) -> None:
        super().__init__(f"{raw.code}")
        self.raw = raw


class _Opening(SMTPProtocol):
    """aiosmtplib's protocol behind our parser: it is told the code of each reply that is awaited, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = ReplyParser()
        self._awaited_count = 1  # the greeting comes unasked
        self._raw: RawReply | None = None  # the last reply
        self._trouble = ""  # why the host is not listened to any more, in the words that the reply reader knows

    def data_received(self, data: bytes) -> None:
        if self._trouble:
            return
        fault = ""
        try:
            replies = self._parser.feed(data[: MAX_REPLY_BYTES + 1])
        except NotSmtpError as error:
            replies, fault = error.replies, f"connection lost: the host does not talk SMTP: {error}"
        for raw in replies:
            self._take(raw)
        if fault:
            self._end(fault)
        if not self._awaited_count and not self._parser.is_idle:
            self._end("out of step: the host spoke before it was asked")

    def _take(self, raw: RawReply) -> None:
        if not self._awaited_count:
            self._end("out of step: the host spoke before it was asked")
        if not self._trouble:
            self._awaited_count -= 1
            self._raw = raw
            super().data_received(b"%d \r\n" % raw.code)

    def _end(self, trouble: str) -> None:
        self._trouble = self._trouble or trouble
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    async def greet(self) -> None:
        await self.read_response()
        if self._heard().code != 220:
            raise _RefusedError(self._heard())
        if self._trouble:
            raise aiosmtplib.SMTPServerDisconnected(self._trouble)

    async def introduce(self, helo_name: str, patience: _Patience) -> Capabilities:
        """Say EHLO, or HELO to a host that does not know it."""
        raw = await self._ask("EHLO", helo_name, patience)
        if raw.code == 250:
            return Capabilities.of_lines(raw.lines)
        if raw.code in _EHLO_NOT_KNOWN and self.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException):
                if (await self._ask("HELO", helo_name, patience)).code == 250:
                    return Capabilities()
        raise _RefusedError(raw)  # its words are about us, those about HELO often about the order of commands

    async def upgrade(self, host: str, patience: _Patience) -> None:
        self._awaited_count += 1
        patience.for_one_reply()
        try:
            await self.start_tls(_TLS_CONTEXT, server_hostname=host)
        except aiosmtplib.SMTPResponseException:
            raise _RefusedError(self._heard()) from None

    async def _ask(self, verb: str, argument: str, patience: _Patience) -> RawReply:
        self._awaited_count += 1
        patience.for_one_reply()  # not aiosmtplib's own: in Python 3.11 asyncio.wait_for can lose a cancellation
        await self.execute_command(verb.encode(), argument.encode("ascii"))
        return self._heard()

    def _heard(self) -> RawReply:
        assert self._raw is not None, "aiosmtplib was told of a reply"
        return self._raw

    def hand_over(self) -> asyncio.Transport:
        if self._trouble or self.transport is None or self.transport.is_closing():
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        return cast(asyncio.Transport, self.transport)  # uvloop's is none by its class

    def drop(self, connected: socket.socket, *, say_quit: bool = False) -> None:
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is None:
            connected.close()
            return
        if say_quit and not transport.is_closing():
            transport.write(b"QUIT\r\n")
        transport.abort()

    def why(self, stage: Stage, error: Exception) -> Reply:
        """The record of what ended the opening."""
        if isinstance(error, _RefusedError):
            raw = error.raw
            if raw.code >= 400:
                return as_reply(stage, raw.code, raw.lines)
            return no_reply(stage, f"out of step: {raw.code} {' '.join(raw.lines)}")
        if self._trouble:
            return no_reply(stage, self._trouble)
        if isinstance(error, TimeoutError):
            return no_reply(stage, "no reply in time")
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return no_reply(stage, f"connection lost: {clean_text(str(cause))}")


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Old hosts are talked to rather than misjudged.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


_TLS_CONTEXT = _tls_context()
