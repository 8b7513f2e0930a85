"""Hosts that refuse our MAIL FROM are asked once more with the egress's other one, in a new session."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.asking import EGRESS, ask, domain, finished, reasons, site_run
from ct_pipeline_tests.verification.scripted_host import Script, ScriptedHost, listening, polite

FIRST, OTHER = "MAIL FROM:<probe@prober.test>", "MAIL FROM:<>"
BOTH = replace(EGRESS, other_mail_from="")
plain = polite(lambda address: b"250 2.1.5 Ok\r\n" if address.startswith("live") else b"550 5.1.1 User unknown\r\n")


def refusing(*senders: str, reply: bytes = b"550 5.1.8 Sender address rejected\r\n", at: str = "MAIL") -> Script:
    """A host that refuses these senders, at MAIL or only at RCPT."""
    sender = ""

    def script(command: str) -> list[bytes]:
        nonlocal sender
        if command.startswith("MAIL"):
            sender = command
        return [reply] if sender in senders and command.startswith(at) else plain(command)

    return script


def visit(script: Script, *domains: DomainQuestions, **options: Any) -> tuple[ScriptedHost, SiteRun, Observations]:
    async def main() -> tuple[ScriptedHost, SiteRun, Observations]:
        async with listening(script) as host:
            run, page = await ask(host.port, *domains, **{"egress": BOTH, **options})
            return host, run, page

    return asyncio.run(main())


@pytest.mark.parametrize("at", ["MAIL", "RCPT"])
@pytest.mark.parametrize("code", [b"550 5.1.8", b"450 4.1.8"])
def test_the_other_sender_is_tried_and_the_same_addresses_are_asked(at: str, code: bytes):
    script = refusing(FIRST, reply=code + b" Sender address rejected\r\n", at=at)
    host, run, page = visit(script, domain("a.test", ["live0", "dead1"]), domain("b.test", ["live2"], 3))
    assert [c for c in host.commands if c.startswith("MAIL")] == [FIRST, OTHER]
    assert reasons(page) == {1: "accepted", 2: "mailbox_not_found", 3: "accepted"}
    assert finished(page) == {1, 2, 3}
    assert {turn.attempt_count for turn in page.turns} == {1}
    assert run.gate.pace.memory.prefers_other_sender
    assert run.stopped_because is None
    assert [session.mail_from for session in page.sessions] == ["probe@prober.test", ""]
    shown = [probe for probe in page.probes if probe.kind is ProbeKind.SESSION]
    assert [probe.reason for probe in shown] == [Reason.SENDER_REFUSED], "the refusal is on record"


def test_where_both_are_refused_it_ends_there():
    host, run, page = visit(refusing(FIRST, OTHER), domain("a.test", ["live0", "live1"]))
    assert [c for c in host.commands if c.startswith("MAIL")] == [FIRST, OTHER]
    assert host.asked() == []
    assert not finished(page)
    assert run.stopped_because is not None
    assert run.stopped_because.reason is Reason.SENDER_REFUSED
    assert not run.gate.pace.memory.prefers_other_sender


def test_without_another_sender_nothing_changes():
    host, run, page = visit(refusing(FIRST, at="RCPT"), domain("a.test", ["live0", "live1"]), egress=EGRESS)
    assert host.session_count == 1
    assert reasons(page) == {1: "sender_refused"}
    assert not run.gate.pace.memory.prefers_other_sender


def test_what_is_remembered_is_used_at_once_and_can_change_back():
    async def main(script: Script) -> tuple[list[str], Observations, bool]:
        async with listening(script) as host:
            run = site_run(host.port, domain("a.test", ["live0", "dead1"]), egress=BOTH)
            for group in run.plan.groups:
                group.uses_other_sender = True
            await run.run()
            mails = [c for c in host.commands if c.startswith("MAIL")]
            return mails, run.notebook.tear_off(), run.gate.pace.memory.prefers_other_sender

    mails, page, prefers = asyncio.run(main(refusing(FIRST)))
    assert (mails, finished(page), prefers) == ([OTHER], {1, 2}, True)
    mails, page, prefers = asyncio.run(main(refusing(OTHER)))
    assert (mails, finished(page), prefers) == ([OTHER, FIRST], {1, 2}, False)


def test_sessions_side_by_side_change_the_sender_once():
    names = [f"{'live' if n % 2 else 'dead'}{n}" for n in range(40)]
    domains = [domain(f"d{n}.test", names[:10], 100 * n + 1) for n in range(6)]
    host, run, page = visit(refusing(FIRST), *domains, connections=4, session_addresses=5)
    assert len(finished(page)) == 60
    senders = [c for c in host.commands if c.startswith("MAIL")]
    assert 1 <= senders.count(FIRST) <= 4, "only sessions that had begun before the first refusal"
    assert run.gate.pace.memory.prefers_other_sender
    assert run.stopped_because is None
