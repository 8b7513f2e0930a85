"""Hosts that do their worst around STARTTLS are talked to in the clear, and nothing injected is ever an answer."""

import asyncio
import ssl

import pytest

from ct_pipeline.sandbox.certificate import self_signed_context
from ct_pipeline_tests.verification.hostile_host import (
    RIGHT_EHLO,
    Session,
    Trick,
    changes,
    drips,
    ends,
    says,
    silence,
    stays,
)
from ct_pipeline_tests.verification.hostile_visit import SHORT, visits

READY = b"220 2.0.0 Ready\r\n"
INJECTED = b"250 2.1.5 Ok\r\n" * 3
INJECTED_EHLO = b"250-host.test\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n"
TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x28"
TLS_RECORD_OF_16_KB = b"\x16\x03\x03\x40\x00"

BROKEN = {
    "no answer": silence,
    "closes": ends(),
    "resets": ends(by_reset=True),
    "refuses": says(b"454 4.7.0 TLS not available\r\n"),
    "answers 250": says(b"250 2.0.0 Ok\r\n"),
    "answers nonsense": says(b"TLS? what TLS?\r\n"),
    "drips its answer": drips(b"220-", b"x"),
    "closes after its answer": ends(READY),
    "resets after its answer": ends(READY, by_reset=True),
    "garbage": stays(READY, b"this is no TLS\r\n" * 20),
    "an alert": stays(READY, TLS_ALERT),
    "stalls": stays(READY),
    "stalls in a record": stays(READY, TLS_RECORD_OF_16_KB + b"\x02"),
    "drips a record": drips(READY + TLS_RECORD_OF_16_KB, b"\x02"),
    "closes in the handshake": ends(READY, TLS_RECORD_OF_16_KB),
    "goes on in the clear": changes(lambda _reply: [READY + INJECTED]),
    "goes on in the clear, a moment later": changes(lambda _reply: [READY, INJECTED]),
    "half a reply in the clear": changes(lambda _reply: [READY + b"25"]),
    "EHLO in the clear": changes(lambda _reply: [READY + INJECTED_EHLO]),
}


def test_where_tls_does_not_work_everybody_is_asked_in_the_clear() -> None:
    seen = visits("STARTTLS", BROKEN, extensions=RIGHT_EHLO)
    assert [name for name, visit in seen.items() if not visit.is_all_right] == []
    assert not any(session.is_tls for visit in seen.values() for session in visit.page.sessions)
    assert {visit.host.commands.count("STARTTLS") for visit in seen.values()} == {1}, "nor is it tried again"


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    context = self_signed_context("host.test")
    assert context is not None
    return context


def upgrades(certificate: ssl.SSLContext, answer: bytes = READY, within: bytes = b"") -> Trick:
    """A true upgrade, with these bytes before the handshake, and those as the first within TLS."""

    async def trick(session: Session, _reply: bytes) -> bool:
        session.writer.write(answer)
        try:
            await session.writer.start_tls(certificate)
        except ssl.SSLError:
            return False
        session.writer.write(within)
        return True

    return trick


@pytest.mark.parametrize("injected", [INJECTED, INJECTED_EHLO, b"250-half\r\n", b"25"], ids=repr)
def test_what_is_injected_before_tls_is_never_taken_for_an_answer(certificate: ssl.SSLContext, injected: bytes) -> None:
    """RFC 3207 section 4.2. The bytes come in the segment of the 220; the handshake behind them is real."""
    tricks = {
        "in the clear": upgrades(certificate, READY + injected),
        "within TLS": upgrades(certificate, within=injected),
    }
    seen = visits("STARTTLS", tricks, extensions=RIGHT_EHLO)
    assert [name for name, visit in seen.items() if not visit.is_all_right] == []
    assert not any(session.is_tls for session in seen["in the clear"].page.sessions), "it is not trusted"


def test_a_true_upgrade_is_used(certificate: ssl.SSLContext) -> None:
    (visit,) = visits("STARTTLS", {"upgrades": upgrades(certificate)}, extensions=RIGHT_EHLO).values()
    assert visit.is_all_right
    assert [session.is_tls for session in visit.page.sessions] == [True]


def test_steps_that_are_each_slow_do_not_add_up_without_end(certificate: ssl.SSLContext) -> None:
    """EHLO, STARTTLS and EHLO again each take almost as long as a reply may. The third is not waited for."""

    async def slow(session: Session, reply: bytes) -> bool:
        if reply == READY or reply.startswith(b"250-"):
            await asyncio.sleep(0.8 * SHORT.reply)
        if reply == READY:
            return await upgrades(certificate)(session, reply)
        await session.say(reply)
        return True

    (visit,) = visits("", {"slow": slow}, extensions=RIGHT_EHLO).values()
    assert not any(session.is_tls for session in visit.page.sessions)
