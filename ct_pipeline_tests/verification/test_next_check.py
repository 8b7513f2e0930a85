"""Is it said truly when an address is asked again, and why then?"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.next_check import DueState, NextCheck, next_check
from ct_pipeline.verification.recheck import DELAYS, JITTER_RATE, attempt_limit, delay_after, next_attempt
from ct_pipeline.verification.site_memory import BreakerNote
from ct_pipeline.vocabulary import About, MailService, Reason

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRESH_FOR = timedelta(days=30)
FACTS = DomainFacts(
    "acme.test", MailService.MX, (MxHost(10, "mx.acme.test", ("192.0.2.1",)),), "mx.acme.test", "acme.test",
    "acme.test", "small-01", False, False, NOW, NOW + HOUR,
)  # fmt: skip
GREYLISTED = Reading(Reason.GREYLISTED, About.TEMPORARY, "greylisted")
ACCEPTED = Reading(Reason.ACCEPTED, About.ADDRESS, "accepted")
BREAKER = BreakerNote(Reason.PROBER_BLOCKED, "blocked", NOW, NOW + 8 * HOUR)


def planned(
    reading: Reading | None = GREYLISTED,
    *,
    attempt_count: int = 1,
    next_at: datetime | None = NOW + HOUR,
    answered_at: datetime | None = None,
    facts: DomainFacts | None = FACTS,
    breaker: BreakerNote | None = None,
) -> NextCheck:
    return next_check(DueState(attempt_count, next_at, answered_at), reading, facts, breaker, FRESH_FOR, NOW)


def test_the_table_is_named_with_the_attempt_and_their_number() -> None:
    found = planned(attempt_count=2)
    assert (found.at, found.attempt_count, found.attempt_limit) == (NOW + HOUR, 2, 6)
    assert found.because == "the wait after attempt 2 of 6 with this answer is 15 min, up to a tenth longer"


def test_the_patience_that_the_host_asked_for_is_named() -> None:
    found = planned(replace(GREYLISTED, retry_seconds=300))
    assert found.hint_seconds == 300
    assert found.because == "the host asked for 5 min, and gets 5% more; attempt 1 of 6"


def test_a_breaker_that_is_open_longer_comes_first() -> None:
    found = planned(breaker=BREAKER)
    assert found.at == BREAKER.until_at
    assert found.because == "its site is left alone until then: it blocks our address"


@pytest.mark.parametrize("until_at", [NOW - HOUR, NOW + HOUR])
def test_a_breaker_that_is_over_by_then_changes_nothing(until_at: datetime) -> None:
    assert planned(breaker=replace(BREAKER, until_at=until_at)) == planned()


@pytest.mark.parametrize(
    ("found", "because"),
    [
        (planned(None, attempt_count=0, facts=None), "its domain has to be looked up first"),
        (
            planned(None, attempt_count=0, facts=replace(FACTS, service=MailService.DNS_TIMEOUT)),
            "DNS is asked about its domain again",
        ),
        (planned(None, attempt_count=0, next_at=NOW), "its turn has come: the next run asks it"),
        (planned(None, attempt_count=0), "it was put off before it was asked"),
        (planned(ACCEPTED), "it is accepted; the made-up name of its domain is asked again, still without an answer"),
        (
            planned(Reading(Reason.MAILBOX_NOT_FOUND, About.ADDRESS, "x"), attempt_count=1),
            "it was refused, but nobody was accepted after so many refusals: that counts once it is repeated",
        ),
        (
            planned(Reading(Reason.DOMAIN_NOT_HOSTED, About.DOMAIN, "x"), attempt_count=1),
            "its host refused the whole domain: that counts once it is repeated",
        ),
        (
            planned(Reading(Reason.EGRESS_TROUBLE, About.US, "x"), attempt_count=3),
            "the wait after attempt 3 with this answer is 10 min, up to a tenth longer",
        ),
    ],
)
def test_why_it_waits(found: NextCheck, because: str) -> None:
    assert found.because == because


def test_an_answer_says_from_when_it_may_be_asked_anew() -> None:
    found = planned(ACCEPTED, next_at=None, answered_at=NOW)
    assert found.at is None
    assert found.because == (
        "answered; it is asked anew when a list or pull that holds it is taken up after 2026-12-23 09:00 UTC"
    )


def test_one_that_was_given_up_says_after_how_many_attempts() -> None:
    assert planned(attempt_count=6, next_at=None, answered_at=NOW).because.startswith("given up after 6 attempts; ")


def test_what_is_no_address_is_never_asked() -> None:
    assert planned(None, attempt_count=0, next_at=None, facts=None).because == "it is never asked"


@pytest.mark.parametrize("reason", DELAYS)
def test_the_wait_that_is_told_is_the_one_that_is_used(reason: Reason) -> None:
    reading = Reading(reason, About.US, "test")
    for attempt_count in range(1, 12):
        at, told = next_attempt(reading, attempt_count, NOW, 7), delay_after(reading, attempt_count)
        limit = attempt_limit(reading)
        assert (at is None) == (told is None) == (limit is not None and attempt_count >= limit)
        if at is not None and told is not None:
            assert NOW + told <= at <= NOW + told * (1 + JITTER_RATE)
