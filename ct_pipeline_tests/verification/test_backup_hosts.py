"""A backup host may accept any name: what is known of a domain by its first host counts for nothing there."""

import asyncio

from ct_pipeline.verification.bookkeeper import BACKUP_FRESH_FOR, CATCH_ALL_FRESH_FOR
from ct_pipeline.verification.notebook import Observations
from ct_pipeline_tests.verification.asking import ask, domain, finished
from ct_pipeline_tests.verification.scripted_host import HANG_UP, PAUSE, Script, listening, polite

FIRST, BACKUP = "127.0.0.21", "127.0.0.22"
NAMES = [f"dead{number}" for number in range(6)]


def accepts_all(_address: str) -> bytes:
    return b"250 2.1.5 Ok\r\n"


def tells_apart(address: str) -> bytes:
    return b"250 2.1.5 Ok\r\n" if address.startswith("live") else b"550 5.1.1 User unknown\r\n"


def visit(first: Script, backup: Script, *names: str, **known: bool) -> Observations:
    async def main() -> Observations:
        async with listening(backup, BACKUP) as host, listening(first, FIRST, host.port):
            _, page = await ask(
                host.port,
                domain("a.test", names, **known),
                addresses=(FIRST, BACKUP),
                connections=3,
                session_addresses=3,
            )
            return page

    return asyncio.run(main())


def closed(_command: str) -> list[bytes]:
    return [b"421 4.3.2 Busy\r\n", HANG_UP]


def test_a_backup_that_accepts_everything_makes_nobody_valid():
    page = visit(closed, polite(accepts_all), *NAMES)
    probes = {turn.address_id: turn.probe_id for turn in page.turns if turn.next_attempt_at is None}
    accepted = {probe.probe_id for probe in page.probes if probe.reply.code == 250}
    (fact,) = page.catch_all_facts
    assert fact.is_catch_all, "it was asked about a made-up name itself"
    assert fact.expires_at - fact.found_at == BACKUP_FRESH_FOR
    assert len([number for number in probes.values() if number in accepted]) <= 1, "the first one shares the catch-all"


def test_a_backup_that_accepts_what_the_first_host_refused_leaves_all_in_doubt():
    page = visit(closed, polite(accepts_all), *NAMES, is_catch_all=False, tells_apart=True)
    assert finished(page) == set()
    assert not any(turn.is_definitive for turn in page.turns)
    (fact,) = page.catch_all_facts
    assert (fact.is_catch_all, fact.tells_apart, fact.doubted_at is None) == (False, True, False)


def test_a_backup_that_tells_names_apart_is_believed():
    page = visit(closed, polite(tells_apart), "live1", "dead2", "live3", "dead4", is_catch_all=False)
    assert finished(page) == {1, 2, 3, 4}


def test_what_the_first_host_shows_is_kept_for_longer():
    page = visit(polite(accepts_all), polite(accepts_all), *NAMES)
    assert [fact.expires_at - fact.found_at for fact in page.catch_all_facts] == [CATCH_ALL_FRESH_FOR]


def test_a_first_host_that_only_has_too_many_connections_is_not_passed_over():
    open_sessions = 0

    def one_at_a_time(command: str) -> list[bytes]:
        nonlocal open_sessions
        if command == "connect":
            if open_sessions:
                return [b"421 4.7.0 Too many connections\r\n", HANG_UP]
            open_sessions += 1
        open_sessions -= command == "QUIT"
        return [PAUSE, *polite(tells_apart)(command)] if command.startswith("RCPT") else polite(tells_apart)(command)

    names = [f"dead{number}" for number in range(60)]
    page = visit(one_at_a_time, polite(accepts_all), *names, "live60")
    assert {session.outcome for session in page.sessions} >= {"done", "refused"}
    assert {session.mx_address for session in page.sessions} == {FIRST}
