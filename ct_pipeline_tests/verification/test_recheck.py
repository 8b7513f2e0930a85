"""When is an address asked again?"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.disbelief import IN_DOUBT
from ct_pipeline.verification.planner import DOUBT_CONFIRMED_AFTER
from ct_pipeline.verification.recheck import (
    DELAYS,
    JITTER_RATE,
    MAX_HINT_SECONDS,
    might_hint,
    next_attempt,
    retry_hint,
)
from ct_pipeline.verification.reply_rules import load_rules
from ct_pipeline.vocabulary import About, Reason

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def temporary(reason: Reason, hint: int | None = None) -> Reading:
    return Reading(reason, About.TEMPORARY, "test", hint)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Greylisted, try again in 20 seconds", 20),
        ("Please try again in 5 minutes.", 300),
        ("Greylisted for 5 minutes", 300),
        ("Greylisting in action, please come back in 00:05:00", 300),
        ("Greylisted. Retry-After: 120", 120),
        ("try again after 1 hour", 3600),
        ("try again in an hour", 3600),
        ("please wait 90s", 90),
        ("too many connections in the last minute; retry in 2 min", 120),
        ("Bitte in 10 Minuten erneut versuchen", None),
        ("erneut versuchen in 10 Minuten", 600),
        ("réessayer dans 15 minutes", 900),
        ("intente de nuevo en 30 segundos", 30),
        ("try again in 99999 hours", MAX_HINT_SECONDS),
        ("try again in 0 seconds", 1),
        ("try again later", None),
        ("try again as soon as a mailbox is free", None),
        ("again amid hours of work", None),
        ("try again later: over 100 messages in the last 10 minutes", None),
        ("again 192.0.2.1 said no", None),
        ("feedback 5 minutes", None),
        ("", None),
    ],
)
def test_hints_are_found(text, seconds):
    assert retry_hint(text) == seconds


@given(st.text(max_size=500))
def test_any_text_has_a_bounded_hint_or_none(text):
    for words in (text, f"try again in {text} minutes", f"try again in 5 {text}"):
        seconds = retry_hint(words)
        assert seconds is None or 1 <= seconds <= MAX_HINT_SECONDS


def test_the_quick_look_at_a_gist_does_not_miss_hints():
    assert might_hint("greylisted, try again in # seconds")
    assert might_hint("come back in #:#:#")
    assert might_hint("try again in an hour")
    assert might_hint("please wait #")
    assert not might_hint("try again later")


def test_greylisting_follows_the_table_and_then_ends():
    delays = DELAYS[Reason.GREYLISTED]
    for attempt, delay in enumerate(delays, start=1):
        due = next_attempt(temporary(Reason.GREYLISTED), attempt, NOW, seed=7)
        assert due is not None
        assert timedelta(seconds=delay) <= due - NOW <= timedelta(seconds=delay * (1 + JITTER_RATE))
    assert next_attempt(temporary(Reason.GREYLISTED), len(delays) + 1, NOW, seed=7) is None


def test_addresses_that_were_put_off_together_come_back_apart():
    dues = {next_attempt(temporary(Reason.GREYLISTED), 1, NOW, seed) for seed in range(100)}
    assert len(dues) > 90


@pytest.mark.parametrize(("hint", "wait"), [(20, 21), (1, 2), (300, 315), (3600, 3780)])
def test_the_hosts_hint_wins_with_a_small_margin(hint, wait):
    assert next_attempt(temporary(Reason.GREYLISTED, hint), 1, NOW, seed=1) == NOW + timedelta(seconds=wait)


def test_a_hint_that_has_proved_too_short_gives_way_to_the_table():
    due = next_attempt(temporary(Reason.GREYLISTED, 20), 3, NOW, seed=1)
    assert due is not None
    assert due >= NOW + timedelta(seconds=DELAYS[Reason.GREYLISTED][2])


def test_a_host_that_blocks_us_is_not_asked_sooner_for_its_hint():
    reading = Reading(Reason.PROBER_BLOCKED, About.US, "test", 60)
    due = next_attempt(reading, 1, NOW, seed=1)
    assert due is not None
    assert due >= NOW + timedelta(hours=4)


@given(
    st.sampled_from(sorted(DELAYS)),
    st.integers(-1, 12),
    st.integers(),
    st.one_of(st.none(), st.integers(1, MAX_HINT_SECONDS)),
)
def test_never_before_the_hint_and_never_twice_at_once(reason, attempt, seed, hint):
    due = next_attempt(Reading(reason, About.TEMPORARY, "test", hint), attempt, NOW, seed)
    if due is not None:
        assert due >= NOW + timedelta(seconds=max(hint or 0, 1))
        assert due <= NOW + timedelta(days=8)
        assert due == next_attempt(Reading(reason, About.TEMPORARY, "test", hint), attempt, NOW, seed)


@pytest.mark.parametrize(
    "reason",
    [
        Reason.ACCEPTED,
        Reason.CATCH_ALL,
        Reason.MAILBOX_NOT_FOUND,
        Reason.MAILBOX_DISABLED,
        Reason.DOMAIN_NOT_HOSTED,
        Reason.CANNOT_VERIFY,
        Reason.SMTPUTF8_REQUIRED,
        Reason.PROVIDER_HIDES_ANSWER,
    ],
)
def test_answers_are_not_asked_again(reason):
    assert next_attempt(Reading(reason, About.ADDRESS, "test"), 1, NOW, seed=1) is None


def test_an_unclear_refusal_is_asked_twice_more_but_an_unclear_delay_like_any_delay():
    unclear = Reading(Reason.UNCLEAR_REPLY, About.UNCLEAR, "test")
    assert next_attempt(unclear, 2, NOW, seed=1) is not None
    assert next_attempt(unclear, 3, NOW, seed=1) is None
    assert next_attempt(temporary(Reason.UNCLEAR_REPLY), 4, NOW, seed=1) is not None


def test_a_domain_in_doubt_is_asked_again_when_the_same_finding_would_confirm_it():
    due = next_attempt(IN_DOUBT, 1, NOW, seed=1)
    assert due is not None
    assert due - NOW > DOUBT_CONFIRMED_AFTER


def test_a_full_mailbox_is_asked_again_also_where_the_host_calls_it_permanent():
    full = Reading(Reason.MAILBOX_FULL, About.ADDRESS, "test")
    assert next_attempt(full, 1, NOW, seed=1) is not None


def test_whatever_a_host_may_say_settles_the_mailbox_or_has_its_delays():
    settled = {
        Reason.ACCEPTED,
        Reason.MAILBOX_NOT_FOUND,
        Reason.MAILBOX_DISABLED,
        Reason.MAILBOX_MOVED,
        Reason.SYNTAX_ERROR,
        Reason.SMTPUTF8_REQUIRED,
        Reason.DOMAIN_NOT_HOSTED,
        Reason.DOMAIN_NOT_FOUND,
        Reason.NULL_MX,
    }
    said = {rule.reason for rule in load_rules().rules}
    assert said - set(DELAYS) <= settled
    assert not settled & set(DELAYS)


@pytest.mark.parametrize(
    ("reason", "hint", "attempt", "is_asked_again"),
    [
        (Reason.GREYLISTED, None, 1, False),
        (Reason.GREYLISTED, 300, 1, True),  # the host names a short wait
        (Reason.GREYLISTED, 300, 2, False),
        (Reason.GREYLISTED, 3600, 1, False),
        (Reason.PROBER_BLOCKED, None, 1, False),
        (Reason.CONNECTION_TIMEOUT, None, 1, False),
        (Reason.MAILBOX_FULL, None, 1, False),
        (Reason.TOO_MANY_RECIPIENTS, None, 1, True),  # one question is still owed
        (Reason.EGRESS_TROUBLE, None, 3, True),
    ],
)
def test_where_every_address_is_asked_once(reason, hint, attempt, is_asked_again):
    reading = Reading(reason, About.TEMPORARY, "test", hint)
    again = next_attempt(reading, attempt, NOW, seed=1, asks_once=True)
    assert (again is not None) is is_asked_again
    assert next_attempt(reading, attempt, NOW, seed=1) is not None
