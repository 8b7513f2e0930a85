"""When a name that cannot exist is asked for, and what its answer proves, on real sockets."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import DueAddress, Turn
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.asking import ask, domain, finished
from ct_pipeline_tests.verification.scripted_host import Script, ScriptedHost, listening, polite

OK = b"250 2.1.5 Ok\r\n"
UNKNOWN = b"550 5.1.1 User unknown\r\n"


plain = polite(lambda address: OK if address.startswith(("live", "postmaster")) else UNKNOWN)


def visit(script: Script, *domains: DomainQuestions, **options: Any) -> tuple[ScriptedHost, Observations]:
    async def main() -> tuple[ScriptedHost, Observations]:
        async with listening(script) as host, asyncio.timeout(10):
            _, page = await ask(host.port, *domains, **options)
            return host, page

    return asyncio.run(main())


def test_a_made_up_name_has_a_session_of_its_own_where_the_provider_punishes_it():
    sessions: list[list[str]] = []

    def script(command: str) -> list[bytes]:
        if command == "connect":
            sessions.append([])
        if command.startswith("RCPT"):
            sessions[-1].append(command.split("<")[1].split("@")[0])
        return plain(command)

    own = {"random_probe": RandomProbe.OWN_SESSION}
    domains = [domain(f"d{n}.test", ["live0", "dead1", "live2"], 10 * n, **own) for n in range(3)]
    _, page = visit(script, *domains)
    made_up = [names for names in sessions if not all(name.startswith(("live", "dead")) for name in names)]
    assert len(made_up) == 3
    assert all(len(names) == 1 for names in made_up)
    assert len(sessions) <= 5, "the other names share their sessions"
    assert finished(page) == {10 * n + k for n in range(3) for k in range(3)}
    assert {fact.is_catch_all for fact in page.catch_all_facts} == {False}


def test_no_made_up_name_is_asked_where_it_would_prove_nothing():
    host, page = visit(polite(lambda _address: OK), domain("a.test", ["one", "two"], random_probe=RandomProbe.NEVER))
    assert host.asked() == ["one@a.test", "two@a.test"]
    assert finished(page) == {1, 2}
    assert not page.catch_all_facts


def test_what_is_unclear_about_one_name_proves_no_catch_all_fact():
    """A catch-all that refuses one name in vague words is a catch-all all the same."""
    script = polite(lambda address: b"550 Nope\r\n" if address.startswith("odd") else OK)
    _, page = visit(script, domain("a.test", ["odd", "one", "two"]))
    assert [fact.is_catch_all for fact in page.catch_all_facts] == [True]
    assert finished(page) >= {2, 3}


def test_a_host_that_refuses_everybody_in_vague_words_no_longer_tells_names_apart():
    """What an earlier visit found must not turn a vague block of us into dead mailboxes."""
    known = {"is_catch_all": False, "tells_apart": True}
    host, page = visit(polite(lambda _address: b"550 Nope\r\n"), domain("a.test", ["one", "two"], **known))
    assert "postmaster@a.test" in host.asked()
    assert [(fact.is_catch_all, fact.tells_apart) for fact in page.catch_all_facts] == [(False, False)]


def test_catch_alls_with_a_closed_name_put_nobody_else_of_their_host_in_doubt():
    """Each of the two is in doubt by itself; it is no word against the site."""
    says = {"a.test": ["closed", "one"], "b.test": ["closed", "two"], "c.test": ["live3"], "d.test": ["dead4"]}
    script = polite(
        lambda address: (
            UNKNOWN if address.startswith("closed") or (address[-6] in "cd" and not address.startswith("live")) else OK
        )
    )
    domains = [domain(name, names, 10 * number) for number, (name, names) in enumerate(says.items(), start=1)]
    _, page = visit(script, *domains, connections=1)
    assert finished(page) == {10, 20, 30, 40}
    assert not [memory for memory in page.site_memories if memory.breaker]
    assert {fact.domain for fact in page.catch_all_facts if fact.doubted_at} == {"a.test", "b.test"}


# -- a host that begins to accept everything ---


class Turncoat:
    """Tells names apart until it has answered ``refused_until`` questions."""

    def __init__(self, refused_until: int) -> None:
        self._left = refused_until
        self.script = polite(self._rcpt, ("ENHANCEDSTATUSCODES", "PIPELINING"))

    def _rcpt(self, address: str) -> bytes:
        self._left -= 1
        return OK if self._left < 0 or address.startswith("live") else UNKNOWN


def last_turns(page: Observations) -> dict[int, Turn]:
    return {turn.address_id: turn for turn in page.turns}


def test_what_a_host_accepts_after_it_has_turned_is_due_again():
    names = [f"live{number}" for number in range(40)] + ["dead40"] + [f"live{number}" for number in range(41, 120)]
    host, page = visit(Turncoat(70).script, domain("a.test", names))
    assert len(host.asked()) == 122, "an early and a late made-up name, and no other is asked twice"
    turns = last_turns(page)
    reasons = {probe.probe_id: probe.reason for probe in page.probes}
    doubted = {number for number, turn in turns.items() if reasons[turn.probe_id or 0] is Reason.CANNOT_VERIFY}
    assert doubted == set(range(42, 121)), "also those that it accepted before it turned, since the last clear refusal"
    assert {number for number, turn in turns.items() if turn.is_definitive} == set(range(1, 42))
    assert {number for number, turn in turns.items() if turn.next_attempt_at is None} == set(range(1, 42))
    assert [(fact.is_catch_all, fact.doubted_at is None) for fact in page.catch_all_facts][-1] == (False, False)


def test_a_second_domain_in_doubt_closes_the_site():
    due = [
        [DueAddress(10 * n + k, f"dead{k}@d{n}.test", f"d{n}.test", 1, was_refused=True) for k in range(2)]
        for n in range(1, 5)
    ]
    domains = [DomainQuestions(f"d{n}.test", some, is_catch_all=False) for n, some in enumerate(due, start=1)]
    host, page = visit(polite(lambda _address: OK), *domains, session_addresses=5)
    (memory,) = page.site_memories
    assert memory.breaker is not None
    assert memory.breaker.reason is Reason.CANNOT_VERIFY
    turns = last_turns(page)
    assert len(turns) == 8
    assert len(host.asked()) < 4 * 3
    assert finished(page) == set()
    assert not any(turn.is_definitive or turn.is_retracted for turn in page.turns), "that they are dead stays on record"
    assert sum(turn.next_attempt_at == memory.breaker.until_at for turn in turns.values()) >= 2


def test_a_single_domain_in_doubt_slows_the_site_down():
    due = [DueAddress(1, "dead@a.test", "a.test", 1, was_refused=True)]
    _, page = visit(polite(lambda _address: OK), DomainQuestions("a.test", due, is_catch_all=False))
    (memory,) = page.site_memories
    assert memory.breaker is None
    assert memory.share == 0.5


def test_while_a_domain_is_in_doubt_an_acceptance_waits_for_the_made_up_name():
    """Or it would count, since the domain was found to be no catch-all."""
    script = polite(lambda address: OK if address.startswith("live") else b"451 4.3.0 Try again later\r\n")
    known = DomainQuestions(
        "a.test",
        [DueAddress(1, "live@a.test", "a.test", 1)],
        is_catch_all=False,
        doubted_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    _, page = visit(script, known)
    (turn,) = page.turns
    assert turn.next_attempt_at is not None
    assert not turn.is_definitive
    assert {probe.probe_id: probe.reason for probe in page.probes}[turn.probe_id or 0] is Reason.CANNOT_VERIFY
    assert not page.catch_all_facts, "the doubt stands as it was"
    assert not page.site_memories, "nothing new is held against the site"


def test_a_mailbox_that_was_made_since_is_believed():
    due = [DueAddress(1, "live@a.test", "a.test", 1, was_refused=True)]
    host, page = visit(plain, DomainQuestions("a.test", due, is_catch_all=False, tells_apart=True))
    assert len(host.asked()) == 2
    assert finished(page) == {1}
    assert not any(fact.doubted_at for fact in page.catch_all_facts)
