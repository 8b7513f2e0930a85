"""How a session comes about, or does not: greeting, EHLO, STARTTLS, and everything that a host can do wrong there."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_pipeline.sandbox.certificate import self_signed_context
from ct_pipeline.verification.connection import Connection, Refusal, Timeouts, open_connection
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import Stage
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline_tests.verification.asking import READER, ask, domain, reasons
from ct_pipeline_tests.verification.scripted_host import BREATH, HANG_UP, PAUSE, Script, ScriptedHost, listening, polite

NAMES = ["dead0", "live0", "dead1", "live1"]
RIGHT = {1: "mailbox_not_found", 2: "accepted", 3: "mailbox_not_found", 4: "accepted"}
IMPATIENT = Timeouts(connect=1.0, reply=0.3)
STRAY = b"250 2.1.5 Ok\r\n"


def mailboxes(address: str) -> bytes:
    return b"250 2.1.5 Ok\r\n" if address.startswith("live") else b"550 5.1.1 User unknown\r\n"


plain = polite(mailboxes)


async def opened(script: Script) -> tuple[ScriptedHost, Connection | Refusal]:
    async with listening(script) as host:
        outcome = await open_connection("127.0.0.1", host.port, "mx.test", "prober.test", IMPATIENT)
        if isinstance(outcome, Connection):
            await outcome.quit()
        return host, outcome


def refusal(script: Script) -> tuple[ScriptedHost, Refusal]:
    host, outcome = asyncio.run(opened(script))
    assert isinstance(outcome, Refusal)
    return host, outcome


def saying(command: str, *reply: bytes) -> Script:
    return lambda said: list(reply) if said.startswith(command) else plain(said)


@pytest.mark.parametrize("code", [500, 502, 550])
def test_a_host_that_does_not_know_ehlo_is_told_helo(code):
    host, outcome = asyncio.run(
        opened(lambda c: [b"250 hi\r\n"] if c.startswith("HELO") else saying("EHLO", b"%d no\r\n" % code)(c))
    )
    assert isinstance(outcome, Connection)
    assert outcome.capabilities.lines == ()
    assert host.commands == ["EHLO prober.test", "HELO prober.test", "QUIT"]


@pytest.mark.parametrize("reply", [b"554 5.7.1 Go away\r\n", b"451 4.3.0 Later\r\n", b"421 4.3.2 Busy\r\n"], ids=repr)
def test_a_host_that_refuses_us_at_ehlo_is_not_told_helo(reply):
    host, outcome = refusal(saying("EHLO", reply))
    assert host.commands[0] == "EHLO prober.test"
    assert set(host.commands[1:]) <= {"QUIT"}
    assert (outcome.reply.stage, outcome.reply.code) == (Stage.EHLO, int(reply[:3]))


def test_when_both_are_refused_the_words_about_ehlo_count():
    _, outcome = refusal(
        lambda c: (
            [b"550 Client host blocked using spamhaus\r\n"] if c[:4] == "EHLO" else saying("HELO", b"503 order\r\n")(c)
        )
    )
    assert READER.read(outcome.reply).reason.value == "prober_blocked"


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        ([b"554 5.7.1 Blocked\r\n", HANG_UP], "prober_blocked"),
        ([b"421 Too many connections\r\n", HANG_UP], "rate_limited"),
        ([HANG_UP], "connection_lost"),
        ([], "command_timeout"),
        ([b"22", PAUSE] * 20, "command_timeout"),
        ([b"250 Ok\r\n"], "out_of_step"),
        ([b"HTTP/1.1 400 Bad Request\r\n"], "connection_lost"),
        ([b"220-x\r\n" * 20_000], "connection_lost"),
        ([b"\xff\xfe\x00\r\n"], "connection_lost"),
    ],
    ids=lambda case: repr(case)[:30],
)
def test_what_a_greeting_can_be(greeting, reason):
    _, outcome = refusal(saying("connect", *greeting))
    assert outcome.reply.stage is Stage.CONNECT
    assert READER.read(outcome.reply).reason.value == reason


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=4), st.sampled_from(["connect", "EHLO", "STARTTLS"]))
def test_whatever_bytes_a_host_sends_the_outcome_is_a_session_or_a_refusal(parts, at):
    greets_tls = polite(mailboxes, ("STARTTLS",))

    def script(command: str) -> list[bytes]:
        return [*parts, HANG_UP] if command.startswith(at) else greets_tls(command)

    _, outcome = asyncio.run(opened(script))
    assert isinstance(outcome, Connection | Refusal)


def test_an_address_that_cannot_be_reached_over_ipv6_is_tried_over_ipv4():
    async def main() -> Observations:
        async with listening(plain) as host:
            _, page = await ask(host.port, domain("a.test", NAMES), addresses=("::1", "127.0.0.1"))
            return page

    page = asyncio.run(main())
    assert [session.mx_address for session in page.sessions] == ["::1", "127.0.0.1"]
    assert reasons(page) == RIGHT


def test_a_host_that_takes_its_time_over_every_byte_does_not_hold_a_session():
    """Each reply, and each session, is bounded: what is not asked in one session is asked in the next."""

    def dripping(command: str) -> list[bytes]:
        said = b"".join(plain(command))
        return [part for byte in said for part in (bytes([byte]), BREATH)] if command.startswith("RCPT") else [said]

    async def main() -> tuple[ScriptedHost, Observations]:
        async with listening(dripping) as host:
            _, page = await ask(host.port, domain("a.test", NAMES), timeouts=Timeouts(2.0, 2.0, session=0.1))
            return host, page

    host, page = asyncio.run(main())
    assert reasons(page) == RIGHT
    assert host.session_count > 1


def test_a_reply_that_never_ends_is_no_answer():
    def endless(command: str) -> list[bytes]:
        return [b"2", PAUSE, *[b"5", PAUSE] * 20] if command.startswith("RCPT") else plain(command)

    async def main() -> Observations:
        async with listening(endless) as host:
            _, page = await ask(host.port, domain("a.test", ["live0"]), timeouts=IMPATIENT)
            return page

    assert reasons(asyncio.run(main())) == {1: "command_timeout"}


# -- STARTTLS ---


@dataclass
class TlsHost:
    """Offers STARTTLS. ``context`` None: what follows its 220 is no TLS. The strays come where their names say."""

    context: ssl.SSLContext | None
    after_ready: bytes = b""
    after_handshake: bytes = b""
    hangs_up_after_handshake: bool = False
    commands: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._session(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.test ESMTP\r\n")
        answer = polite(mailboxes, ("STARTTLS", "ENHANCEDSTATUSCODES"))
        while command := (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            self.commands.append(command)
            if command != "STARTTLS":
                writer.write(b"".join(answer(command)))
                continue
            writer.write(b"220 2.0.0 Ready\r\n" + self.after_ready)
            if self.context is None:
                writer.write(b"this is no TLS\r\n")
                return
            await writer.start_tls(self.context)
            answer = plain
            if self.hangs_up_after_handshake:
                return
            writer.write(self.after_handshake)


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    context = self_signed_context("mx.test")
    assert context is not None
    return context


def visit(make_host: Callable[[], TlsHost], session_addresses: int = 50) -> tuple[TlsHost, SiteRun, Observations]:
    async def main() -> tuple[TlsHost, SiteRun, Observations]:
        host = make_host()
        async with await asyncio.start_server(host.serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            run, page = await ask(
                port, domain("a.test", NAMES), session_addresses=session_addresses, timeouts=Timeouts(2.0, 1.0)
            )
            return host, run, page

    return asyncio.run(main())


def test_a_session_over_tls(certificate):
    _, _, page = visit(lambda: TlsHost(certificate))
    assert reasons(page) == RIGHT
    assert [session.is_tls for session in page.sessions] == [True]


@pytest.mark.parametrize("how", ["no TLS", "hangs up", "stray in the clear"])
def test_where_tls_does_not_work_the_host_is_talked_to_in_the_clear(certificate, how):
    """And is not asked for TLS again in the next session."""
    hosts = {
        "no TLS": lambda: TlsHost(None),
        "hangs up": lambda: TlsHost(certificate, hangs_up_after_handshake=True),
        "stray in the clear": lambda: TlsHost(None, after_ready=STRAY),
    }
    host, _, page = visit(hosts[how], session_addresses=2)
    assert reasons(page) == RIGHT
    assert not any(session.is_tls for session in page.sessions)
    assert len(page.sessions) > 1
    assert host.commands.count("STARTTLS") == 1


@pytest.mark.parametrize("stray", [STRAY, b"220 mx.test again\r\n", b"250-mx.test\r\n250 HELP\r\n", b"25"], ids=repr)
@pytest.mark.parametrize("where", ["after_ready", "after_handshake"])
def test_a_stray_reply_around_starttls_never_shifts_an_answer(certificate, where, stray):
    _, _, page = visit(lambda: TlsHost(certificate, **{where: stray}))
    got = {n: reason for n, reason in reasons(page).items() if reason in RIGHT.values()}
    assert got == {number: RIGHT[number] for number in got}
    assert {turn.address_id for turn in page.turns} == set(RIGHT)
