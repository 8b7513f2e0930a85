"""The engine on real sockets: probe order, reuse of sessions, fallbacks, and hosts that misbehave."""

import asyncio
import gc
import weakref

from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.verification.questions import random_name
from ct_pipeline_tests.verification.asking import ask, domain, finished, reasons, site_run
from ct_pipeline_tests.verification.scripted_host import HANG_UP, listening, polite

OK = b"250 2.1.5 Ok\r\n"
UNKNOWN = b"550 5.1.1 User unknown\r\n"
LIVE = {"ann", "bob", "cid"}


def mailboxes(address: str) -> bytes:
    return OK if address.split("@")[0] in LIVE else UNKNOWN


def test_many_addresses_share_one_session_and_a_real_address_comes_first():
    async def main():
        async with listening(polite(mailboxes)) as host:
            _, page = await ask(host.port, domain("a.test", ["ann", "dead", "bob"]), domain("b.test", ["cid"]))
            return host, page

    host, page = asyncio.run(main())
    assert host.session_count == 1
    asked = host.asked()
    assert asked[0] == "ann@a.test"
    assert asked[1].endswith("@a.test")
    assert asked[1].split("@")[0] not in {"ann", "bob", "dead"}, (
        "an accepted first address is followed by a random name"
    )
    assert len(asked) == 6, "one random name a domain"
    assert host.commands[-1] == "QUIT"
    assert not any(command.upper().startswith("DATA") for command in host.commands)
    by_domain = {fact.domain: fact for fact in page.catch_all_facts}
    assert (by_domain["a.test"].is_catch_all, by_domain["a.test"].tells_apart) == (False, True)


def test_every_address_gets_its_own_answer():
    async def main():
        async with listening(polite(mailboxes)) as host:
            return await ask(host.port, domain("a.test", ["ann", "dead", "bob", "gone", "cid"]))

    _, page = asyncio.run(main())
    assert reasons(page) == {
        1: "accepted",
        2: "mailbox_not_found",
        3: "accepted",
        4: "mailbox_not_found",
        5: "accepted",
    }
    assert finished(page) == {1, 2, 3, 4, 5}


def test_after_a_refused_first_address_the_random_name_waits_for_an_accepted_one():
    async def main(names: list[str]):
        async with listening(polite(mailboxes)) as host:
            await ask(host.port, domain("a.test", names))
            return host

    assert asyncio.run(main(["dead", "gone"])).asked() == ["dead@a.test", "gone@a.test"]
    host = asyncio.run(main(["dead", "ann"]))
    assert host.asked() == ["dead@a.test", "ann@a.test", f"{random_name('a.test')}@a.test"]
    assert host.session_count == 1


def test_a_catch_all_ends_the_domain():
    async def main():
        async with listening(polite(lambda _address: OK)) as host:
            _, page = await ask(host.port, domain("a.test", ["ann", "bob", "cid", "dan"]))
            return host, page

    host, page = asyncio.run(main())
    assert len(host.asked()) == 2
    assert finished(page) == {1, 2, 3, 4}
    assert page.catch_all_facts[0].is_catch_all is True


def test_a_temporary_answer_to_the_random_name_settles_nothing():
    def rcpt(address: str) -> bytes:
        return OK if address.split("@")[0] in LIVE else b"450 4.2.0 Greylisted, try again in 20 seconds\r\n"

    async def main():
        async with listening(polite(rcpt)) as host:
            return await ask(host.port, domain("a.test", ["ann"]))

    _, page = asyncio.run(main())
    assert not page.catch_all_facts
    (turn,) = page.turns
    assert turn.next_attempt_at is not None, "an accepted address stays due until its domain is settled"


def test_an_unclear_refusal_is_checked_with_postmaster():
    def rcpt(address: str) -> bytes:
        return OK if address.startswith(("postmaster@", "ann@")) else b"550 Nope\r\n"

    async def main():
        async with listening(polite(rcpt)) as host:
            _, page = await ask(host.port, domain("a.test", ["dead", "ann"]))
            return host, page

    host, page = asyncio.run(main())
    assert host.asked()[:2] == ["dead@a.test", "postmaster@a.test"]
    assert page.catch_all_facts[-1].tells_apart is True


def test_when_postmaster_and_several_names_get_the_same_unclear_refusal_the_domain_is_left_alone():
    async def main():
        async with listening(polite(lambda _address: b"550 Nope\r\n")) as host:
            _, page = await ask(host.port, domain("a.test", ["one", "two", "three", "four", "five"]))
            return host, page

    host, page = asyncio.run(main())
    assert host.asked() == ["one@a.test", "postmaster@a.test", "two@a.test", "three@a.test"]
    assert not page.catch_all_facts
    turns = {turn.address_id: turn for turn in page.turns}
    assert set(turns) == {1, 2, 3, 4, 5}
    assert not finished(page)
    assert {number: turns[number].attempt_count for number in turns} == dict.fromkeys((1, 2, 3, 4, 5), 1)
    kinds = {probe.probe_id: probe.kind for probe in page.probes}
    assert kinds[turns[4].probe_id or 0] is ProbeKind.SESSION, "no evidence against this one mailbox"


def test_a_block_stops_the_site_and_burns_nothing():
    async def main():
        blocked = b"550 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using zen.spamhaus.org\r\n"
        async with listening(polite(lambda _address: blocked)) as host:
            run, page = await ask(host.port, domain("a.test", ["one", "two"]), domain("b.test", ["six"]))
            return host, run, page

    host, run, page = asyncio.run(main())
    assert host.asked() == ["one@a.test"]
    assert run.stopped_because is not None
    assert run.stopped_because.reason.value == "prober_blocked"
    assert not finished(page)
    assert {turn.attempt_count for turn in page.turns} == {0, 1} or len(page.turns) == 3


def test_a_greeting_that_refuses_us_is_evidence_for_every_address():
    async def main():
        async with listening(lambda _command: [b"554 5.7.1 Your IP is on our block list\r\n", HANG_UP]) as host:
            return await ask(host.port, domain("a.test", ["one", "two"]))

    _, page = asyncio.run(main())
    (probe,) = page.probes
    assert probe.kind is ProbeKind.SESSION
    assert probe.reply.code == 554
    assert {turn.probe_id for turn in page.turns} == {probe.probe_id}
    assert not finished(page)


def test_the_next_host_answers_when_the_first_is_dead():
    async def main():
        async with listening(polite(mailboxes), "127.0.0.2") as host:
            return await ask(host.port, domain("a.test", ["ann"]), addresses=("127.0.0.3", "127.0.0.2"))

    _, page = asyncio.run(main())
    assert reasons(page) == {1: "accepted"}
    assert [session.outcome for session in page.sessions] == ["unreachable", "done"]


def test_a_host_that_hangs_up_after_each_refusal_is_still_answered_for():
    def answer(command: str) -> list[bytes]:
        said = polite(mailboxes)(command)
        return [*said, HANG_UP] if said == [UNKNOWN] else said

    async def main():
        async with listening(answer) as host:
            return await ask(host.port, domain("a.test", ["dead", "ann", "gone", "bob"]))

    _, page = asyncio.run(main())
    assert reasons(page) == {1: "mailbox_not_found", 2: "accepted", 3: "mailbox_not_found", 4: "accepted"}


def test_one_recipient_a_transaction():
    class OneAtATime:
        taken = 0

        def __call__(self, command: str) -> list[bytes]:
            if command.startswith(("MAIL", "RSET", "EHLO")):
                self.taken = 0
            if command.startswith("RCPT"):
                self.taken += 1
                if self.taken > 1:
                    return [b"452 4.5.3 Too many recipients\r\n"]
            return polite(mailboxes)(command)

    async def main():
        async with listening(OneAtATime()) as host:
            _, page = await ask(host.port, domain("a.test", ["ann", "bob", "dead"]))
            return host, page

    host, page = asyncio.run(main())
    assert reasons(page) == {1: "accepted", 2: "accepted", 3: "mailbox_not_found"}
    assert host.session_count == 1


def test_a_host_that_says_421_after_some_addresses_gets_another_session():
    class Three:
        taken = 0

        def __call__(self, command: str) -> list[bytes]:
            if command == "connect":
                self.taken = 0
            if command.startswith("RCPT"):
                self.taken += 1
                if self.taken > 3:
                    return [b"421 4.7.0 Too many recipients in one session\r\n", HANG_UP]
            return polite(mailboxes)(command)

    async def main():
        async with listening(Three()) as host:
            _, page = await ask(host.port, domain("a.test", ["dead", "ann", "bob", "cid", "gone", "lost", "late"]))
            return host, page

    host, page = asyncio.run(main())
    assert len(reasons(page)) == 7
    assert finished(page) == set(range(1, 8))
    assert host.session_count == 4, "the first session broke off unproven and is repeated, the others are proven"


def test_silence_is_not_an_answer():
    def answer(command: str) -> list[bytes]:
        return [] if command.startswith("RCPT") else polite(mailboxes)(command)

    async def main():
        async with listening(answer) as host:
            return await ask(host.port, domain("a.test", ["ann"]), timeouts=Timeouts(connect=1.0, reply=0.3))

    _, page = asyncio.run(main())
    assert reasons(page) == {1: "command_timeout"}
    assert not finished(page)


def test_a_host_that_does_not_talk_smtp_is_no_verdict():
    async def main():
        async with listening(lambda _command: [b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as host:
            return await ask(host.port, domain("a.test", ["ann", "bob"]))

    _, page = asyncio.run(main())
    assert not finished(page)
    assert {turn.address_id for turn in page.turns} == {1, 2}


def test_an_international_local_part_is_only_named_to_a_host_that_offers_smtputf8():
    async def main():
        results = []
        for extensions in ((), ("SMTPUTF8",)):
            async with listening(polite(lambda _address: OK, extensions)) as host:
                _, page = await ask(host.port, domain("a.test", ["jürgen"], is_catch_all=False))
                results.append((host.asked(), reasons(page)))
        return results

    without, with_it = asyncio.run(main())
    assert without == ([], {1: "smtputf8_required"})
    assert with_it == (["jürgen@a.test"], {1: "accepted"})


def test_sessions_are_never_more_than_the_site_allows():
    live = peak = 0

    def answer_with_count(command: str) -> list[bytes]:
        nonlocal live, peak
        if command == "connect":
            live += 1
            peak = max(peak, live)
        if command == "QUIT":
            live -= 1
        return polite(mailboxes)(command)

    async def main():
        async with listening(answer_with_count) as host:
            names = [f"user{number}" for number in range(200)]
            await ask(host.port, domain("a.test", names), connections=3, session_addresses=10)
            return host

    host = asyncio.run(main())
    assert peak <= 3
    assert len(set(host.asked())) == 200


def test_what_a_run_has_made_is_freed_when_it_ends_without_a_search_for_garbage():
    """A lane has hundreds of thousands of sites, and looks for garbage seldom."""

    async def main() -> object:
        async with listening(polite(lambda _address: b"250 Ok\r\n")) as host, asyncio.timeout(10):
            run = site_run(host.port, domain("a.test", ["live"], is_catch_all=False))
            hosts = weakref.ref(run.plan.groups[0])
            gc.disable()
            await run.run()
            del run
            await asyncio.sleep(0)  # its last session's callbacks
            return hosts()

    try:
        assert asyncio.run(main()) is None
    finally:
        gc.enable()
