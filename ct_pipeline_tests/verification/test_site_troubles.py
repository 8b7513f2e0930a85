"""What a site's run does with hosts that refuse, limit, or make no sense: it comes to an end, and forgets nobody."""

import asyncio
from collections import Counter

import pytest

from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline_tests.verification.asking import ask, domain, finished, group, reasons, site_run
from ct_pipeline_tests.verification.scripted_host import HANG_UP, PAUSE, Script, ScriptedHost, listening, polite

OK = b"250 2.1.5 Ok\r\n"
UNKNOWN = b"550 5.1.1 User unknown\r\n"
BLOCKED = b"554 5.7.1 Client host [127.0.0.1] blocked using zen.spamhaus.org\r\n"


def mailboxes(address: str) -> bytes:
    return OK if address.startswith(("live", "postmaster")) else UNKNOWN


plain = polite(mailboxes)


def visit(script: Script, *domains, **options) -> tuple[ScriptedHost, SiteRun, Observations]:
    async def main() -> tuple[ScriptedHost, SiteRun, Observations]:
        async with listening(script) as host, asyncio.timeout(10):
            run, page = await ask(host.port, *domains, **options)
            return host, run, page

    return asyncio.run(main())


def turns(page: Observations) -> Counter[int]:
    return Counter(turn.address_id for turn in page.turns)


def test_a_domain_that_is_known_as_a_catch_all_is_settled_without_a_session():
    host, _, page = visit(plain, domain("a.test", ["live0", "live1"], is_catch_all=True))
    assert host.session_count == 0
    assert finished(page) == {1, 2}
    assert not page.probes
    assert not page.catch_all_facts


@pytest.mark.parametrize(
    "reply", [b"354 go ahead\r\n", b"220 ready\r\n", b"what?\r\n", b"250-one\r\n550 two\r\n"], ids=repr
)
def test_a_host_that_answers_nonsense_is_left_alone_after_two_sessions(reply):
    script = polite(lambda _address: reply)
    host, _, page = visit(script, domain("a.test", ["one"]), domain("b.test", ["two"], 2), domain("c.test", ["six"], 3))
    assert host.session_count == 2
    assert turns(page) == {1: 1, 2: 1, 3: 1}
    assert not finished(page)


@pytest.mark.parametrize("session_addresses", [1, 2, 3, 4])
def test_no_question_is_lost_when_the_session_is_full_at_the_wrong_moment(session_addresses):
    """The last RCPT that a session allows is answered with "too many recipients"."""
    taken = 0

    def one_at_a_time(command: str) -> list[bytes]:
        nonlocal taken
        if command.startswith(("MAIL", "RSET", "EHLO")):
            taken = 0
        is_rcpt = command.startswith("RCPT")
        taken += is_rcpt
        return [b"452 4.5.3 Too many recipients\r\n"] if is_rcpt and taken > 1 else plain(command)

    names = ["live0", "dead1", "live2", "dead3", "live4"]
    _, _, page = visit(one_at_a_time, domain("a.test", names), session_addresses=session_addresses)
    assert finished(page) == {1, 2, 3, 4, 5}
    assert turns(page) == dict.fromkeys(range(1, 6), 1)


def test_no_question_is_lost_when_rset_is_refused():
    taken = 0

    def script(command: str) -> list[bytes]:
        nonlocal taken
        is_rcpt = command.startswith("RCPT")
        taken = 0 if command.startswith("MAIL") else taken + is_rcpt
        if command == "RSET":
            return [b"554 Too many nonmail commands\r\n", HANG_UP]
        return [b"452 4.5.3 Too many recipients\r\n"] if is_rcpt and taken > 2 else plain(command)

    _, _, page = visit(script, domain("a.test", ["live0", "dead1", "live2", "dead3", "live4"]))
    assert finished(page) == {1, 2, 3, 4, 5}


def test_a_session_that_may_hold_no_more_mail_is_followed_by_another():
    mails = rcpts = 0

    def one_transaction_of_two(command: str) -> list[bytes]:
        nonlocal mails, rcpts
        if command == "connect":
            mails = 0
        if command.startswith("MAIL"):
            mails, rcpts = mails + 1, 0
            if mails > 1:
                return [b"452 4.3.2 Too many messages in this session\r\n"]
        if command.startswith("RCPT"):
            rcpts += 1
            if rcpts > 2:
                return [b"452 4.5.3 Too many recipients\r\n"]
        return plain(command)

    host, _, page = visit(one_transaction_of_two, domain("a.test", ["dead0", "live1", "live2", "dead3", "live4"]))
    assert finished(page) == {1, 2, 3, 4, 5}
    assert host.session_count == 3


@pytest.mark.parametrize(
    "reply", [b"451 4.7.1 Greylisted, come back in 5 minutes\r\n", b"550 5.7.1 Policy\r\n"], ids=repr
)
def test_a_sender_that_is_refused_is_evidence_for_all_and_no_verdict(reply):
    host, _, page = visit(
        lambda command: [reply] if command.startswith("MAIL") else plain(command),
        domain("a.test", ["live0", "live1"]),
        domain("b.test", ["live2"], 3),
    )
    assert host.session_count == 1
    assert host.asked() == []
    assert turns(page) == {1: 1, 2: 1, 3: 1}
    assert not finished(page)
    assert {probe.kind for probe in page.probes} == {ProbeKind.SESSION}


def test_a_host_that_breaks_off_at_mail_is_tried_twice():
    host, _, page = visit(
        lambda c: [HANG_UP] if c.startswith("MAIL") else plain(c), domain("a.test", ["live0", "live1"])
    )
    assert host.session_count == 2
    assert turns(page) == {1: 1, 2: 1}
    assert not finished(page)


def test_a_host_whose_sessions_come_to_nothing_gives_way_to_the_next():
    async def main() -> Observations:
        broken = "127.0.0.4"
        async with (
            listening(lambda c: [HANG_UP] if c.startswith("MAIL") else plain(c), broken) as host,
            listening(plain, "127.0.0.5", host.port),
        ):
            _, page = await ask(host.port, domain("a.test", ["live0"]), addresses=(broken, "127.0.0.5"))
            return page

    assert reasons(asyncio.run(main())) == {1: "accepted"}


def test_a_block_leaves_nobody_without_a_turn_while_other_sessions_are_under_way():
    """From the fourth session on we are refused; what the first three had asked is not forgotten."""
    sessions = 0

    def script(command: str) -> list[bytes]:
        nonlocal sessions
        sessions += command == "connect"
        if command.startswith("RCPT"):
            return [BLOCKED] if sessions >= 4 else [PAUSE, *plain(command)]
        return plain(command)

    domains = [domain(f"d{n}.test", [f"live{n}", f"dead{n}", "live"], 10 * n) for n in range(6)]
    _, run, page = visit(script, *domains, connections=4, session_addresses=2)
    assert run.stopped_because is not None
    assert turns(page) == {10 * n + k: 1 for n in range(6) for k in range(3)}
    unasked = [turn for turn in page.turns if turn.attempt_count == 0]
    assert unasked, "addresses that were not asked keep their attempts"
    assert all(turn.next_attempt_at is not None for turn in unasked)


def test_a_refusal_of_a_second_connection_means_fewer_connections():
    live = 0

    def two_at_most(command: str) -> list[bytes]:
        nonlocal live
        if command == "connect":
            if live == 2:
                return [b"421 4.7.0 Too many connections\r\n", HANG_UP]
            live += 1
        live -= command == "QUIT"
        return [PAUSE, *plain(command)] if command.startswith("RCPT") else plain(command)

    names = [f"{'live' if n % 3 else 'dead'}{n}" for n in range(60)]
    _, run, page = visit(two_at_most, domain("a.test", names), connections=5, session_addresses=5)
    assert run.stopped_because is None
    assert finished(page) == set(range(1, 61))


def test_dead_hosts_of_some_domains_cost_the_others_nothing():
    async def main() -> tuple[SiteRun, Observations]:
        async with listening(plain) as host:
            dead = tuple(
                group(domain(f"dead{n}.test", ["live"], 100 + n), addresses=(f"127.0.0.{n}",)) for n in range(20, 40)
            )
            names = [f"live{n}" for n in range(40)]
            run = site_run(host.port, domain("a.test", names), connections=3, session_addresses=5, further_groups=dead)
            async with asyncio.timeout(10):
                await run.run()
            return run, run.notebook.tear_off()

    _, page = asyncio.run(main())
    assert finished(page) == set(range(1, 41))
    assert turns(page) == dict.fromkeys([*range(1, 41), *range(120, 140)], 1)


def test_many_groups_of_one_site_are_asked_side_by_side():
    live = peak = 0

    def script(command: str) -> list[bytes]:
        nonlocal live, peak
        live += (command == "connect") - (command == "QUIT")
        peak = max(peak, live)
        return [PAUSE, *plain(command)] if command.startswith("RCPT") else plain(command)

    async def main() -> Observations:
        async with listening(script) as host:
            groups = tuple(group(domain(f"d{n}.test", ["live"], n)) for n in range(12))
            run = site_run(host.port, connections=4, further_groups=groups)
            await run.run()
            return run.notebook.tear_off()

    assert finished(asyncio.run(main())) == set(range(12))
    assert peak == 4


def test_a_large_domain_is_shared_before_its_first_session_ends():
    """The first session is slow; the others must not wait until it has asked all it may."""
    live = peak = 0

    def script(command: str) -> list[bytes]:
        nonlocal live, peak
        live += (command == "connect") - (command == "QUIT")
        peak = max(peak, live)
        return [PAUSE, PAUSE, *plain(command)] if command.startswith("RCPT") else plain(command)

    names = [f"live{n}" for n in range(24)]
    _, _, page = visit(script, domain("a.test", names), connections=3, session_addresses=10)
    assert finished(page) == set(range(1, 25))
    assert peak > 1


def test_while_the_lock_is_in_doubt_nothing_is_asked():
    allowed = 3

    def may_ask() -> bool:
        nonlocal allowed
        allowed -= 1
        return allowed >= 0

    async def main() -> tuple[ScriptedHost, Observations]:
        async with listening(plain) as host:
            run = site_run(host.port, domain("a.test", ["live0", "dead1", "live2"]), may_ask=may_ask)
            await run.run()
            return host, run.notebook.tear_off()

    host, page = asyncio.run(main())
    assert len(host.asked()) <= 1
    assert host.commands[-1] == "QUIT"
    assert not finished(page)


def test_silence_ends_after_two_sessions_however_many_wait():
    script: Script = lambda command: [] if command.startswith("RCPT") else plain(command)  # noqa: E731
    names = [f"live{n}" for n in range(50)]
    host, _, page = visit(script, domain("a.test", names), timeouts=Timeouts(1.0, 0.2))
    assert host.session_count == 2
    assert turns(page) == dict.fromkeys(range(1, 51), 1)
    assert not finished(page)
