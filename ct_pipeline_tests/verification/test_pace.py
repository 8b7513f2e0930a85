"""How fast a site is asked: the share that grows and is halved, the ceiling, the rates, and the breaker."""

from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.verification.pace import (
    ANSWERS_PER_ROUND,
    CEILING_FRESH_FOR,
    ONE_STRAIN,
    PIPELINING_BROKEN_FOR,
    SitePace,
    is_strain,
)
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.site_memory import SiteMemory
from ct_pipeline.verification.site_plan import SiteLimits
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.asking import READER

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LIMITS = SiteLimits(connections=8, session_addresses=50, window=20, connections_per_minute=60, addresses_per_second=100)


def site(memory: SiteMemory | None = None, limits: SiteLimits = LIMITS) -> SitePace:
    return SitePace("default", "host.test", "small-00", limits, NOW, memory)


def known(share: float) -> SiteMemory:
    return SiteMemory("default", "host.test", "small-00", NOW, share)


def later(pace: SitePace, strains: int) -> datetime:
    now = NOW
    for _ in range(strains):
        now += ONE_STRAIN
        pace.strain(now)
    return now


def refusal(text: str, code: int = 550) -> Reply:
    return Reply(Stage.RCPT, code, None, text)


BLOCK = refusal("Client host [192.0.2.1] blocked using zen.spamhaus.org", 554)


def test_a_new_site_begins_with_two_connections_and_gets_one_more_a_round_up_to_its_limit():
    pace = site()
    seen = [pace.connections(NOW)]
    for _ in range(10):
        pace.clean(ANSWERS_PER_ROUND * pace.connections(NOW), NOW)
        seen.append(pace.connections(NOW))
    assert seen == [2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8]


def test_fewer_answers_than_a_round_change_nothing():
    pace = site()
    pace.clean(ANSWERS_PER_ROUND * 2 - 1, NOW)
    assert pace.connections(NOW) == 2
    assert pace.take_memory() is None


def test_strain_halves_connections_and_rate_and_replies_that_come_together_are_one_sign():
    pace = site(known(1.0))
    for _ in range(5):
        pace.strain(NOW)
    assert pace.connections(NOW) == 4
    later(pace, 10)
    assert pace.connections(NOW) == 1
    pace.ask(LIMITS.session_addresses + 4, NOW)
    assert pace.address_delay(NOW) > 1, "the rate goes on falling where one connection is left"


def test_what_was_learnt_is_remembered_and_taken_up_again():
    pace = site(known(1.0))
    pace.strain(NOW)
    pace.learn(NOW, is_pipelining_broken=True, is_cautious=True)
    memory = pace.take_memory()
    assert memory is not None
    assert (memory.share, memory.pipelining_broken_at, memory.is_cautious) == (0.5, NOW, True)
    assert pace.take_memory() is None
    assert site(memory).connections(NOW) == 4


def test_broken_pipelining_is_tried_again_after_some_weeks():
    pace, then = site(), NOW + PIPELINING_BROKEN_FOR
    pace.learn(NOW, is_pipelining_broken=True)
    pace.learn(NOW + timedelta(days=1), is_pipelining_broken=True)  # of a session that had begun before
    pace.learn(NOW + timedelta(days=2), is_cautious=True)
    assert not pace.bears_pipelining(then - timedelta(seconds=1))
    assert pace.bears_pipelining(then)
    pace.learn(then, is_pipelining_broken=True)
    assert not pace.bears_pipelining(then + timedelta(days=29))


def test_a_refused_connection_sets_a_ceiling_that_is_forgotten_after_some_hours():
    pace = site(known(1.0))
    for _ in range(3):
        pace.connect(NOW)
        pace.greeted("192.0.2.1")
    pace.full(["192.0.2.1"], NOW)
    pace.clean(10_000, NOW)
    pace.clean(10_000, NOW)
    assert pace.connections(NOW) == 3
    assert not pace.may_connect(NOW)
    assert pace.connections(NOW + CEILING_FRESH_FOR) > 3


def test_a_connection_counts_until_it_is_closed():
    pace = site()
    for _ in range(2):
        pace.connect(NOW)
        pace.greeted("192.0.2.1")
    pace.left("192.0.2.1")
    assert pace.is_only_full(["192.0.2.1"])
    assert not pace.is_only_full(["192.0.2.2"])
    assert not pace.may_connect(NOW)
    pace.closed()
    assert pace.may_connect(NOW)


def test_a_host_that_has_talked_to_us_may_refuse_a_few_more_before_it_counts_as_closed():
    pace, now, waits = site(), NOW, []
    pace.connect(now)
    pace.greeted("192.0.2.1")
    pace.left("192.0.2.1")
    pace.closed()
    while pace.is_only_full(["192.0.2.1"]):
        pace.full(["192.0.2.1"], now)
        waits.append(pace.connect_delay(now))
        now += timedelta(seconds=waits[-1])
    assert waits == [0.5, 1.0, 2.0]


def test_connections_a_minute_are_limited_after_a_first_burst():
    pace = site()
    count = 0
    while pace.connect_delay(NOW) == 0:
        pace.connect(NOW)
        count += 1
    assert count == 20
    assert pace.connect_delay(NOW) == pytest.approx(1.0)
    assert pace.connect_delay(NOW + timedelta(seconds=1)) == 0


def test_addresses_a_second_are_limited_after_a_first_session():
    pace = site(known(1.0))
    assert pace.address_delay(NOW) == 0
    pace.ask(50, NOW)
    assert pace.address_delay(NOW) == pytest.approx(0.01)
    pace.ask(20, NOW)  # a group that was begun is not cut: the next ones wait for it
    assert pace.address_delay(NOW) == pytest.approx(0.21)
    assert pace.address_delay(NOW + timedelta(seconds=0.21)) == 0


def test_a_breaker_closes_the_site_then_lets_one_short_session_through():
    pace = site(known(1.0))
    note = pace.unwelcome(READER.read(BLOCK), BLOCK, NOW)
    assert (note.reason, note.text) == (Reason.PROBER_BLOCKED, BLOCK.text)
    assert pace.is_open(NOW)
    assert not pace.may_connect(NOW)
    then = note.until_at
    assert not pace.is_open(then)
    assert (pace.connections(then), pace.session_addresses) == (1, 5)
    pace.clean(1, then)
    assert pace.breaker is None
    assert pace.connections(then) == 4, "half of what it had"
    assert pace.session_addresses == 50


def test_each_trial_in_vain_waits_longer_and_the_longest_wait_repeats():
    pace, now, notes = site(), NOW, []
    for _ in range(6):
        notes.append(pace.unwelcome(READER.read(BLOCK), BLOCK, now))
        now = notes[-1].until_at
    waits = [(note.until_at - note.opened_at).total_seconds() / 3600 for note in notes]
    assert waits == [2, 8, 24, 72, 72, 72]
    assert [note.opened_count for note in notes] == [1, 2, 3, 4, 5, 6]


def test_a_rate_limit_is_waited_for_in_minutes_or_as_long_as_the_host_asks():
    slow, told = (
        refusal("Error: too many recipients from 192.0.2.1", 450),
        refusal("Rate limited, try again in 600 seconds", 450),
    )
    for reply, seconds in ((slow, 120), (told, 600)):
        reading = READER.read(reply)
        assert reading.reason is Reason.RATE_LIMITED
        assert (site().unwelcome(reading, reply, NOW).until_at - NOW).total_seconds() == seconds


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        (421, "4.7.0", "Too many errors", True),
        (421, None, "Bye", True),
        (450, "4.7.1", "Error: too much mail from 192.0.2.1", True),
        (451, "4.3.2", "Please try again later, the system is overloaded", True),
        (450, "4.3.2", "Service currently unavailable", False),  # postscreen's greylisting
        (451, "4.7.1", "Greylisting in action, please come back in 5 minutes", False),
        (450, "4.2.1", "The user is receiving mail too quickly", False),
        (550, "5.7.1", "Relaying denied", False),
        (550, "5.1.1", "User unknown", False),
        (250, "2.1.5", "Ok", False),
    ],
)
def test_signs_of_strain(code, enhanced, text, expected):
    reply = Reply(Stage.RCPT, code, enhanced, text)
    assert is_strain(reply, READER.read(reply)) is expected


def test_a_clean_answer_of_a_session_that_was_begun_before_leaves_the_breaker_open_and_one_block_counts_once():
    pace = site(known(1.0))
    first = pace.unwelcome(READER.read(BLOCK), BLOCK, NOW)
    assert pace.unwelcome(READER.read(BLOCK), BLOCK, NOW + timedelta(seconds=1)) == first
    pace.clean(5, NOW + timedelta(seconds=1))
    assert pace.breaker == first
    pace.clean(1, first.until_at)
    assert pace.breaker is None


def test_a_host_that_refuses_says_nothing_of_how_many_connections_another_bears():
    pace = site(known(1.0))
    for address in ("192.0.2.1", "192.0.2.2"):
        pace.connect(NOW)
        pace.greeted(address)
    pace.left("192.0.2.2")
    pace.closed()
    while pace.is_only_full(["192.0.2.2"]):
        pace.full(["192.0.2.2"], NOW)
    assert pace.memory.ceiling is None
