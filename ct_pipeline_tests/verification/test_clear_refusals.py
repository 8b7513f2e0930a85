"""Refusals in clear words, on real sockets: of dead names, or of us? Who was accepted is asked again after many."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verification.disbelief import REFUSES_US_REPLY
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.pace import TRIAL_ADDRESSES, SitePace
from ct_pipeline.verification.probe import DueAddress, ProbeKind, Turn
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.refusal_streak import LONG_ROW
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.verification.site_plan import SiteLimits
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.asking import domain, group, reasons
from ct_pipeline_tests.verification.scripted_host import PAUSE, Script, polite
from ct_pipeline_tests.verification.test_made_up_names import visit

OK = b"250 2.1.5 Ok\r\n"
UNKNOWN = b"550 5.1.1 User unknown\r\n"
BLOCKED = Reason.PROBER_BLOCKED
PIPELINED = ("ENHANCEDSTATUSCODES", "PIPELINING")
A_DAY_AGO = datetime.now(UTC) - timedelta(days=1, hours=1)

tells_apart = polite(lambda address: OK if address.startswith("live") else UNKNOWN)


def lets_in_for(count: int, extensions: tuple[str, ...] = ("ENHANCEDSTATUSCODES",)) -> Script:
    """Tells names apart for so many questions, then says of everybody that there is no such user."""
    left = count

    def rcpt(address: str) -> bytes:
        nonlocal left
        left -= 1
        return OK if left >= 0 and address.startswith("live") else UNKNOWN

    return polite(rcpt, extensions)


def last_turns(page: Observations) -> dict[int, Turn]:
    return {turn.address_id: turn for turn in page.turns}


def believed(page: Observations) -> set[int]:
    """Whose refusal stands."""
    refused = {number for number, reason in reasons(page).items() if reason != Reason.ACCEPTED}
    return {number for number, turn in last_turns(page).items() if turn.is_definitive} & refused


def asked_again(page: Observations) -> list[int | None]:
    return [probe.address_id for probe in page.probes if probe.kind is ProbeKind.WITNESS]


@pytest.mark.parametrize("extensions", [("ENHANCEDSTATUSCODES",), PIPELINED])
@pytest.mark.parametrize("count", [2, 5, 30])
def test_a_host_that_begins_to_refuse_everybody_in_clear_words_condemns_nobody(count, extensions):
    names = [f"live{number}" for number in range(80)]
    host, page = visit(lets_in_for(count, extensions), domain("a.test", names))
    assert believed(page) == set()
    assert len(host.asked()) <= count + 2 * LONG_ROW + 20
    assert len(asked_again(page)) == 1
    left = [turn for turn in last_turns(page).values() if turn.next_attempt_at is not None]
    assert len(left) == 80 - (count - 1), "the made-up name was the second"
    (words,) = {probe.reply.text for probe in page.probes if probe.reason is BLOCKED}
    assert words == REFUSES_US_REPLY.text
    breaker = page.site_memories[-1].breaker
    assert breaker is not None
    assert breaker.reason is BLOCKED


def test_the_host_that_refuses_everybody_is_seen_over_domains_of_one_address():
    domains = [domain(f"d{number}.test", ["live"], number, is_catch_all=False) for number in range(1, 60)]
    host, page = visit(lets_in_for(20), *domains)
    assert believed(page) == set()
    assert len(host.asked()) <= 20 + 2 * LONG_ROW
    assert {n for n, turn in last_turns(page).items() if turn.next_attempt_at is None} == set(range(1, 21))


@pytest.mark.parametrize("connections", [1, 3])
def test_it_is_seen_over_mail_hosts_of_which_each_has_one_address(connections: int):
    """The witness is another host's than those that refused; no session is begun that has nothing to ask."""
    sessions: list[int] = []
    block = lets_in_for(20)

    def script(command: str) -> list[bytes]:
        if command == "connect":
            sessions.append(0)
        sessions[-1] += command.startswith("RCPT")
        is_slow = command == "QUIT" and len(sessions) > 25  # others end before the witness's session has
        return [*[PAUSE] * 4, *block(command)] if is_slow else block(command)

    groups = [group(domain(f"d{number}.test", ["live"], number, is_catch_all=False)) for number in range(2, 60)]
    first = domain("d1.test", ["live"], 1, is_catch_all=False)
    host, page = visit(script, first, connections=connections, further_groups=tuple(groups))
    assert believed(page) == set()
    assert len(asked_again(page)) == 1
    assert len(host.asked()) <= 20 + LONG_ROW + 1 + 2 * connections
    assert sum(sessions) == len(host.asked())
    others = connections - 1  # they may be dialling while the witness is refused, and then ask nobody
    assert host.session_count <= len(host.asked()) + others


def test_what_the_block_seemed_to_say_of_domains_is_forgotten():
    """Where no made-up name may be asked, a clear refusal says that a domain is no catch-all."""
    never = {"random_probe": RandomProbe.NEVER}
    domains = [domain("known.test", ["live"], 1)]
    domains += [domain(f"d{number}.test", ["live"], number, **never) for number in range(2, 30)]
    _, page = visit(lets_in_for(2), *domains)
    last = {fact.domain: fact for fact in page.catch_all_facts}
    assert last.pop("known.test").expires_at > datetime.now(UTC)
    assert len(last) >= LONG_ROW - 1
    assert all(fact.expires_at < datetime.now(UTC) - timedelta(days=1) for fact in last.values())


def test_an_honest_host_with_many_dead_names_loses_nothing():
    names = [f"{'dead' if number % 5 else 'live'}{number}" for number in range(100)]
    host, page = visit(tells_apart, domain("a.test", names))
    assert len(host.asked()) == 101, "the made-up name is the only question more"
    assert {turn.next_attempt_at for turn in page.turns} == {None}
    assert len(believed(page)) == 80


@pytest.mark.parametrize("extensions", [("ENHANCEDSTATUSCODES",), PIPELINED])
def test_an_honest_host_with_nearly_only_dead_names_costs_one_question_more_for_ten(extensions):
    host, page = visit(
        polite(lambda address: OK if address.startswith("live") else UNKNOWN, extensions),
        domain("a.test", ["live", *(f"dead{number}" for number in range(100))]),
    )
    assert len(host.asked()) <= 101 + 1 + 10
    assert {turn.next_attempt_at for turn in last_turns(page).values()} == {None}
    assert len(believed(page)) == 100


def test_the_witness_is_asked_in_the_session_that_heard_the_refusals():
    sessions: list[list[str]] = []

    def script(command: str) -> list[bytes]:
        if command == "connect":
            sessions.append([])
        if command.startswith("RCPT"):
            sessions[-1].append(command.split("<")[1].split("@")[0])
        return tells_apart(command)

    visit(script, domain("a.test", ["live", *(f"dead{number}" for number in range(12))], is_catch_all=False))
    assert [names[-1] for names in sessions] == ["live", "dead11"]


def test_where_nobody_is_accepted_many_refusals_have_to_be_heard_twice():
    names = [f"dead{number}" for number in range(LONG_ROW + 5)]
    host, page = visit(tells_apart, domain("a.test", names))
    assert len(host.asked()) == len(names), "not even postmaster, who is let in where everybody else is turned away"
    turns = last_turns(page).values()
    assert all(turn.is_definitive for turn in turns), "the verdict is there"
    tomorrow = datetime.now(UTC) + timedelta(hours=23, minutes=59)
    assert all(turn.next_attempt_at is not None and turn.next_attempt_at > tomorrow for turn in turns)


def test_few_refusals_stand_though_nobody_is_accepted():
    _, page = visit(tells_apart, domain("a.test", [f"dead{number}" for number in range(LONG_ROW - 1)]))
    assert {turn.next_attempt_at for turn in page.turns} == {None}


def refused(numbers: Iterable[int], at: datetime) -> DomainQuestions:
    due = [DueAddress(n, f"dead{n}@a.test", "a.test", 1, was_refused=True, refused_at=at) for n in numbers]
    return DomainQuestions("a.test", due, is_catch_all=False)


def test_the_second_word_a_day_later_settles_them():
    _, page = visit(tells_apart, refused(range(1, 16), A_DAY_AGO))
    assert {turn.next_attempt_at for turn in last_turns(page).values()} == {None}
    _, page = visit(tells_apart, refused(range(1, 16), datetime.now(UTC) - timedelta(hours=2)))
    assert None not in {turn.next_attempt_at for turn in last_turns(page).values()}


@pytest.mark.parametrize(("hours", "is_settled"), [(2, False), (25, True)])
def test_one_that_is_asked_before_its_time_still_waits_for_it(hours: int, is_settled: bool):
    """By hand, say: alone it makes no row."""
    _, page = visit(tells_apart, refused([1], datetime.now(UTC) - timedelta(hours=hours)))
    (turn,) = page.turns
    assert (turn.next_attempt_at is None) is is_settled


@pytest.mark.parametrize("is_unrepeated", [False, True])
def test_what_settled_a_mailbox_before_the_block_still_does(is_unrepeated: bool):
    """Unless that was a refusal which was to be repeated: a word of the block is no repetition."""
    known = {"settled_probe_id": 7, "is_unrepeated": is_unrepeated}
    due = [DueAddress(n, f"live{n}@a.test", "a.test", 1, **known) for n in range(1, 30)]
    _, page = visit(lets_in_for(2), DomainQuestions("a.test", due, is_catch_all=False))
    standing = {turn.standing_probe_id for turn in page.turns if turn.retracted_probe_id is not None}
    assert standing == {None if is_unrepeated else 7}


@pytest.mark.parametrize("reply", [b"451 4.3.0 Try again later\r\n", b"550 5.7.1 Your IP is on our block list\r\n"])
def test_of_who_is_given_up_before_it_was_said_twice_the_first_word_does_not_stand(reply: bytes):
    due = DueAddress(1, "live@a.test", "a.test", 9, refused_at=A_DAY_AGO, is_unrepeated=True)
    _, page = visit(polite(lambda _: reply), DomainQuestions("a.test", [due], is_catch_all=False))
    turn = last_turns(page)[1]
    assert turn.next_attempt_at is None
    assert turn.is_retracted


def test_one_accepted_after_them_settles_them_too():
    other = domain("b.test", ["live"], 100, is_catch_all=False)
    _, page = visit(tells_apart, domain("a.test", [f"dead{n}" for n in range(LONG_ROW + 5)]), other)
    assert {turn.next_attempt_at for turn in last_turns(page).values()} == {None}
    assert len(believed(page)) == LONG_ROW + 5


def test_a_domain_that_its_host_does_not_know_is_heard_twice():
    script = polite(lambda _: b"550 5.1.2 We do not host this domain here\r\n")
    _, page = visit(script, domain("a.test", ["ann", "bob", "cid", "dan"]))
    assert None not in {turn.next_attempt_at for turn in page.turns}
    again = [DueAddress(n, f"n{n}@a.test", "a.test", 1, refused_at=A_DAY_AGO) for n in range(1, 5)]
    _, page = visit(script, DomainQuestions("a.test", again))
    assert {turn.next_attempt_at for turn in page.turns} == {None}
    assert len(page.turns) == 4


def test_the_witness_of_a_catch_all_is_none():
    catch_all = domain("all.test", ["live"], 1)

    def rcpt(address: str) -> bytes:
        return OK if address.endswith("@all.test") else UNKNOWN

    host, page = visit(polite(rcpt), catch_all, domain("a.test", [f"dead{n}" for n in range(15)], 10))
    assert asked_again(page) == []
    assert len(host.asked()) == 17


def test_a_witness_that_gets_no_answer_is_not_asked_for_ever():
    seen: set[str] = set()

    def rcpt(address: str) -> bytes:
        if address in seen:
            return b"451 4.3.0 Try again later\r\n"
        seen.add(address)
        return OK if address.startswith("live") else UNKNOWN

    names = ["live", *(f"dead{number}" for number in range(40))]
    host, page = visit(polite(rcpt), domain("a.test", names, is_catch_all=False))
    assert host.asked().count("live@a.test") == 3
    turns = last_turns(page)
    assert turns[1].next_attempt_at is None
    assert all(turns[number].next_attempt_at is not None for number in range(2, 42)), "they are heard twice"


def pace_after_the_block() -> SitePace:
    """The site has refused a witness three hours ago; the time of its breaker is over."""
    then = datetime.now(UTC) - timedelta(hours=3)
    note = BreakerNote(BLOCKED, REFUSES_US_REPLY.text, then, then + timedelta(hours=2))
    limits = SiteLimits(2, 50, 20, 6000, 10_000)
    memory = SiteMemory("default", "host.test", "small-00", then, 1.0, breaker=note)
    return SitePace("default", "host.test", "small-00", limits, then, memory)


def test_a_block_that_goes_on_is_not_taken_for_a_welcome():
    """Each of its refusals would be a clean answer in clear words."""
    pace = pace_after_the_block()
    host, page = visit(polite(lambda _: UNKNOWN), domain("a.test", [f"live{n}" for n in range(30)]), pace=pace)
    assert len(host.asked()) == TRIAL_ADDRESSES
    assert believed(page) == set()
    assert pace.breaker is not None
    assert pace.breaker.opened_count == 2
    assert len(last_turns(page)) == 30


@pytest.mark.parametrize("reply", [b"421 4.7.0 Too many connections\r\n", b"550 5.7.1 You are blocked\r\n"])
def test_what_the_site_says_in_a_trial_does_not_make_it_forgotten(reply: bytes):
    """Its next refusals would be believed, up to nine of them, and close the breaker."""
    pace = pace_after_the_block()
    visit(polite(lambda _: reply), domain("a.test", [f"live{n}" for n in range(9)]), pace=pace)
    assert pace.breaker is not None
    assert pace.breaker.opened_count == 2
    assert pace.breaker.text == REFUSES_US_REPLY.text


def test_greylisting_after_a_block_is_waited_out():
    """Longer and longer pauses would outlast what the host remembers of us."""
    pace = pace_after_the_block()
    names = [f"live{number}" for number in range(9)]
    later = polite(lambda _: b"451 4.7.1 Greylisted, try again in 5 minutes\r\n")
    host, page = visit(later, domain("a.test", names, is_catch_all=False), pace=pace)
    assert len(host.asked()) == 9
    assert pace.breaker is not None
    assert pace.breaker.opened_count == 1
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert all(turn.next_attempt_at is not None and turn.next_attempt_at < soon for turn in last_turns(page).values())
    visit(tells_apart, domain("a.test", names, is_catch_all=False), pace=pace)
    assert pace.breaker is None


def test_when_the_block_is_lifted_the_first_acceptance_ends_it():
    pace = pace_after_the_block()
    names = ["dead1", "dead2", "live3", *(f"live{number}" for number in range(4, 30)), "dead30"]
    _, page = visit(tells_apart, domain("a.test", names), pace=pace)
    assert pace.breaker is None
    assert {turn.next_attempt_at for turn in last_turns(page).values()} == {None}
    assert believed(page) == {1, 2, 30}
