"""When a name that cannot exist is asked for, and what its answer proves, on real sockets."""

import asyncio

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline_tests.verification.asking import ask, domain, finished
from ct_pipeline_tests.verification.scripted_host import Script, ScriptedHost, listening, polite

OK = b"250 2.1.5 Ok\r\n"
UNKNOWN = b"550 5.1.1 User unknown\r\n"


plain = polite(lambda address: OK if address.startswith(("live", "postmaster")) else UNKNOWN)


def visit(script: Script, *domains: DomainQuestions) -> tuple[ScriptedHost, Observations]:
    async def main() -> tuple[ScriptedHost, Observations]:
        async with listening(script) as host, asyncio.timeout(10):
            _, page = await ask(host.port, *domains)
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
