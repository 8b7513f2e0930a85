"""Hosts that do their worst before the first question: each ends in a recorded outcome, and everybody stays due."""

import asyncio
from dataclasses import replace

import pytest

from ct_pipeline.verification.probe import Stage
from ct_pipeline_tests.verification.hostile_host import Session, Trick, changes, ends, says
from ct_pipeline_tests.verification.hostile_tricks import GOING, no_smtp, silent
from ct_pipeline_tests.verification.hostile_visit import SHORT, Visit, visits

OUT_OF_STEP = {
    "goes on": changes(lambda reply: [reply + b"250 2.1.5 Ok\r\n"]),
    "goes on with half a reply": changes(lambda reply: [reply + b"25"]),
    "another 2xx": says(b"221 2.0.0 Bye\r\n"),
    "a 3xx": says(b"354 go ahead\r\n"),
}


@pytest.mark.parametrize("stage", ["connect", "EHLO"])
@pytest.mark.parametrize(
    ("tricks", "outcome"),
    [(silent(b"220"), "timeout"), (GOING, "lost"), (no_smtp(b"220"), "lost"), (OUT_OF_STEP, "out_of_step")],
    ids=["silent", "going", "not SMTP", "out of step"],
)
def test_a_host_that_does_not_open_leaves_everybody_due(stage: str, tricks: dict[str, Trick], outcome: str) -> None:
    seen = visits(stage, tricks)
    assert {name: visit.outcomes for name, visit in seen.items()} == {name: {outcome} for name in tricks}
    assert all(visit.is_all_due for visit in seen.values())
    stages = {probe.reply.stage for visit in seen.values() for probe in visit.page.probes}
    assert stages == {Stage.CONNECT if stage == "connect" else Stage.EHLO}
    assert all(visit.host.commands in ([], ["EHLO prober.test"]) for visit in seen.values()), "nobody was asked about"


def test_a_refusal_counts_whatever_the_host_says_after_it() -> None:
    blocked = b"554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org\r\n"
    tricks = {"more replies": ends(blocked + b"221 Bye\r\n"), "nonsense": ends(blocked + b"\x00\xff<html>\r\n")}
    for stage in ("connect", "EHLO"):
        seen = visits(stage, tricks)
        assert {reason(visit) for visit in seen.values()} == {"prober_blocked"}
        assert {outcome for visit in seen.values() for outcome in visit.outcomes} == {"refused"}


HARMLESS = {
    "bare LF": changes(lambda reply: [reply.replace(b"\r\n", b"\n")]),
    "many CRs": changes(lambda reply: [reply.replace(b"\r\n", b"\r\r\r\n")]),
    "single bytes": changes(lambda reply: [bytes([byte]) for byte in reply]),
    "8-bit": changes(lambda reply: [reply.replace(b"host.test", "bücher.example".encode("latin-1"))]),
    "broken UTF-8": changes(lambda reply: [reply.replace(b"host.test", b"\xf0\x9f\xff\xc0\xaf\xed\xa0\x80")]),
    "control characters": changes(lambda reply: [reply.replace(b"host.test", b"a\x00\x07\x1b[31m\x7f\xe2\x80\xae")]),
}


@pytest.mark.parametrize("stage", ["connect", "EHLO"])
def test_odd_texts_and_cuts_do_no_harm(stage: str) -> None:
    seen = visits(stage, HARMLESS)
    assert [name for name, visit in seen.items() if not visit.is_all_right] == []


def test_what_an_ehlo_reply_promises_is_not_believed_blindly() -> None:
    size = b"9" * 400
    promises = {
        "absurd size": changes(lambda reply: [b"250-SIZE " + size + b"\r\n" + reply]),
        "odd words": changes(
            lambda reply: [b"250-\r\n250- \r\n250-AUTH=\r\n250-\x00SIZE\r\n250-STARTTLSNOT\r\n" + reply]
        ),
        "ninety lines": changes(lambda reply: [b"250-X\r\n" * 90 + reply]),
        "STARTTLS twice": changes(lambda reply: [b"250-STARTTLS\r\n" * 2 + reply]),  # and 502 to the command
    }
    seen = visits("EHLO", promises)
    assert [name for name, visit in seen.items() if not visit.is_all_right] == []


def test_thousands_of_lines_are_no_ehlo_reply() -> None:
    seen = visits("EHLO", {"thousands": changes(lambda reply: [b"250-X-PROMISE\r\n" * 5000 + reply])})
    assert seen["thousands"].outcomes == {"lost"}
    assert seen["thousands"].is_all_due


def test_a_newcomer_may_have_to_wait_for_the_greeting() -> None:
    """Longer than for any other reply: tarpits and postscreen let us stand at the door."""

    async def waits(session: Session, reply: bytes) -> bool:
        await asyncio.sleep(2 * SHORT.reply)
        await session.say(reply)
        return True

    patient = replace(SHORT, greeting=20 * SHORT.reply)
    (visit,) = visits("connect", {"waits": waits}, timeouts=patient).values()
    assert visit.is_all_right
    (visit,) = visits("EHLO", {"waits": waits}, timeouts=patient).values()
    assert visit.outcomes == {"timeout"}


def reason(visit: Visit) -> str:
    (found,) = {probe.reason.value for probe in visit.page.probes}
    return found
