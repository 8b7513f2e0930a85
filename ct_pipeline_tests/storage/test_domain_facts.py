"""Domain facts: what is looked up when, and what it means for waiting addresses."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.domain_facts import (
    count_domains_to_look_up,
    domain_facts,
    domains_to_look_up,
    keep_domain_facts,
)
from ct_pipeline.storage.due import due_addresses, lanes_due, next_due_at
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.probes import ObservationWriter, catch_all_facts
from ct_pipeline.storage.verdicts import evidence_of, keep_verdicts, unjudged_evidence
from ct_pipeline.vocabulary import MailService
from ct_pipeline_tests.storage.records import (
    DAY,
    HOUR,
    LANE,
    NOON,
    answered,
    catch_all,
    facts,
    look_up,
    probe,
    session,
    take,
    verdict,
)

MINUTE = timedelta(minutes=1)


def unjudged(conn: psycopg.Connection) -> set[str]:
    return {row.address for row in unjudged_evidence(conn, "v1", 1000)}


def judge_all(conn: psycopg.Connection) -> None:
    rows = evidence_of(conn, [address for (address,) in conn.execute("select address from ledger.addresses")])
    keep_verdicts(conn, [verdict(row) for row in rows], rows)


def test_facts_come_back_as_they_were_kept(conn: psycopg.Connection) -> None:
    kept = [facts("x.test", is_free=True), facts("gone.test", MailService.DOMAIN_NOT_FOUND)]
    keep_domain_facts(conn, kept, NOON)
    assert domain_facts(conn, ["x.test", "gone.test", "unheard-of.test"]) == {fact.domain: fact for fact in kept}


def test_a_domain_is_looked_up_while_it_has_due_addresses_and_no_facts_in_force(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@x.test", "ann@y.test", "no?address")
    assert sorted(domains_to_look_up(conn, NOON, 10)) == ["x.test", "y.test"]
    assert len(domains_to_look_up(conn, NOON, 1)) == 1
    assert domain_facts(conn, ["x.test"]) == {}
    look_up(conn, "x.test", "y.test")
    assert domains_to_look_up(conn, NOON, 10) == []
    conn.execute(
        "update ledger.due set next_attempt_at = null, answered_at = %s "
        "where address_id in (select address_id from ledger.addresses where address like '%%@y.test')",
        (NOON,),
    )
    assert domains_to_look_up(conn, NOON + 8 * DAY, 10) == ["x.test"]  # nobody waits for y.test


def test_only_addresses_of_a_lane_with_usable_facts_in_force_are_asked(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "ann@y.test", "ann@z.test", "bob@x.test", "ann@never.test")
    keep_domain_facts(conn, [facts("x.test"), facts("y.test", lane="google"), facts("z.test", expires_in=HOUR)], NOON)
    assert [due.address for due in due_addresses(conn, LANE, NOON, 10)] == ["ann@x.test", "bob@x.test", "ann@z.test"]
    assert [due.address for due in due_addresses(conn, "google", NOON, 10)] == ["ann@y.test"]
    assert due_addresses(conn, LANE, NOON - MINUTE, 10) == []
    later = NOON + 2 * HOUR
    assert [due.address for due in due_addresses(conn, LANE, later, 10)] == ["ann@x.test", "bob@x.test"]
    assert sorted(domains_to_look_up(conn, later, 10)) == ["never.test", "z.test"]
    # the verifier looks z.test up before it begins, so its lane is due
    assert lanes_due(conn, later) == {"google": 1, LANE: 3}


def test_addresses_that_are_being_asked_are_not_handed_out_again(conn: psycopg.Connection) -> None:
    take(conn, *(f"user{number}@x.test" for number in range(5)))
    look_up(conn, "x.test")
    first = due_addresses(conn, LANE, NOON, 3)
    second = due_addresses(conn, LANE, NOON, 3, in_flight=[due.address_id for due in first])
    assert len({due.address_id for due in first + second}) == 5


@pytest.mark.parametrize(
    "service",
    [
        MailService.NULL_MX,
        MailService.NO_MAIL_SERVICE,
        MailService.DOMAIN_NOT_FOUND,
        MailService.UNROUTABLE,
    ],
)
def test_a_domain_without_mail_answers_for_its_addresses(conn: psycopg.Connection, service: MailService) -> None:
    take(conn, "ann@x.test", "bob@x.test", "ann@y.test")
    look_up(conn, "x.test", service=service)
    assert unjudged(conn) == {"ann@x.test", "bob@x.test"}
    (row,) = evidence_of(conn, ["ann@x.test"])
    assert (row.mail_service, row.next_attempt_at) == (service, None)
    assert [waiting.lane for waiting in due_backlog(conn)] == [""]  # y.test still waits for its look-up


def test_a_failed_look_up_postpones_and_is_never_an_answer(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test")
    retry = facts("x.test", MailService.DNS_SERVER_FAILURE, expires_in=15 * MINUTE)
    keep_domain_facts(conn, [retry], NOON)
    assert next_due_at(conn) == NOON + 15 * MINUTE
    assert unjudged(conn) == {"ann@x.test"}
    assert conn.execute("select answered_at from ledger.due").fetchall() == [(None,)]
    assert due_addresses(conn, LANE, NOON + HOUR, 10) == []
    assert domains_to_look_up(conn, NOON + 15 * MINUTE, 10) == ["x.test"]


def test_a_domain_that_keeps_failing_is_looked_up_ever_less_and_given_up_after_three_days(
    conn: psycopg.Connection,
) -> None:
    take(conn, "ann@x.test")
    now, waits = NOON, []
    while True:
        service = MailService.DNS_TIMEOUT if len(waits) % 2 else MailService.DNS_SERVER_FAILURE
        keep_domain_facts(conn, [facts("x.test", service, now=now, expires_in=15 * MINUTE)], now)
        next_at = next_due_at(conn)
        if next_at is None:
            break
        waits.append(next_at - now)
        assert domains_to_look_up(conn, next_at, 10) == ["x.test"]
        now = next_at
    assert waits == [15 * MINUTE * factor for factor in (1, 1, 2, 4, 8, 16, 32, 64, 96, 96)]
    assert now - NOON >= 3 * DAY
    assert unjudged(conn) == {"ann@x.test"}


def test_a_domain_that_recovers_is_asked_again(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test")
    keep_domain_facts(conn, [facts("x.test", MailService.DNS_TIMEOUT, expires_in=15 * MINUTE)], NOON)
    later = NOON + 15 * MINUTE
    look_up(conn, "x.test", now=later)
    assert [due.address for due in due_addresses(conn, LANE, later, 10)] == ["ann@x.test"]


def test_the_ledger_knows_since_when_a_domain_is_as_it_is(conn: psycopg.Connection) -> None:
    """A domain-level Invalid unsubscribes only after two look-ups at least 24 hours apart."""
    take(conn, "ann@x.test")

    def since_after(service: MailService, days: int) -> timedelta:
        look_up(conn, "x.test", service=service, now=NOON + days * DAY)
        (row,) = evidence_of(conn, ["ann@x.test"])
        assert row.service_since_at is not None
        return row.service_since_at - NOON

    assert since_after(MailService.DOMAIN_NOT_FOUND, 0) == 0 * DAY
    assert since_after(MailService.DOMAIN_NOT_FOUND, 2) == 0 * DAY
    assert since_after(MailService.MX, 3) == 3 * DAY
    assert since_after(MailService.DOMAIN_NOT_FOUND, 4) == 4 * DAY


def test_new_facts_call_judged_addresses_back_only_when_they_changed(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "ann@y.test")
    look_up(conn, "x.test", "y.test")
    judge_all(conn)
    assert unjudged(conn) == set()
    look_up(conn, "x.test", "y.test", now=NOON + DAY)
    assert unjudged(conn) == set()
    keep_domain_facts(conn, [facts("x.test", is_free=True, now=NOON + DAY), facts("y.test")], NOON + DAY)
    assert unjudged(conn) == {"ann@x.test"}


NEGATIVE = [
    MailService.NULL_MX,
    MailService.NO_MAIL_SERVICE,
    MailService.DOMAIN_NOT_FOUND,
    MailService.UNROUTABLE,
]


def gone_for(conn: psycopg.Connection, domain: str, service: MailService, fresh_for: timedelta = DAY) -> None:
    """A first look-up at noon finds ``domain`` without mail; its address is judged by it."""
    take(conn, f"ann@{domain}")
    keep_domain_facts(conn, [facts(domain, service, expires_in=fresh_for)], NOON)
    judge_all(conn)


@pytest.mark.parametrize("service", NEGATIVE)
def test_a_domain_without_mail_is_looked_up_a_second_time_though_nobody_is_due(
    conn: psycopg.Connection, service: MailService
) -> None:
    gone_for(conn, "x.test", service)
    assert domains_to_look_up(conn, NOON + DAY - MINUTE, 10) == []
    assert domains_to_look_up(conn, NOON + DAY, 10) == ["x.test"]
    assert count_domains_to_look_up(conn, NOON + DAY) == 1
    look_up(conn, "x.test", service=service, now=NOON + DAY)
    # confirmed: an export waits for it, so its addresses are judged again; a third look-up is for when one is due
    assert unjudged(conn) == {"ann@x.test"}
    assert domains_to_look_up(conn, NOON + 90 * DAY, 10) == []
    judge_all(conn)
    look_up(conn, "x.test", service=service, now=NOON + 3 * DAY)
    assert unjudged(conn) == set()


def test_facts_that_expire_early_wait_for_the_24_hours_and_others_for_their_expiry(conn: psycopg.Connection) -> None:
    gone_for(conn, "x.test", MailService.NULL_MX, fresh_for=HOUR)
    gone_for(conn, "y.test", MailService.NULL_MX, fresh_for=7 * DAY)
    assert domains_to_look_up(conn, NOON + 2 * HOUR, 10) == []
    assert domains_to_look_up(conn, NOON + DAY, 10) == ["x.test"]
    assert sorted(domains_to_look_up(conn, NOON + 7 * DAY, 10)) == ["x.test", "y.test"]


def test_only_a_pull_that_holds_an_address_waits_for_the_second_look_up(conn: psycopg.Connection) -> None:
    gone_for(conn, "x.test", MailService.NULL_MX)
    take(conn, "bob@y.test", sha256="bb")
    (first,) = conn.execute("select min(pull_id) from ledger.pulls").fetchone() or (0,)
    look_up(conn, "y.test", now=NOON)
    assert domains_to_look_up(conn, NOON + DAY, 10, pull_id=first) == ["x.test"]
    assert domains_to_look_up(conn, NOON + DAY, 10, pull_id=first + 1) == []
    look_up(conn, "nobody.test", service=MailService.NULL_MX)
    assert "nobody.test" not in domains_to_look_up(conn, NOON + DAY, 10)


@pytest.mark.parametrize("service", NEGATIVE)
def test_a_domain_that_takes_mail_at_the_second_look_up_has_its_addresses_asked_after_all(
    conn: psycopg.Connection, service: MailService
) -> None:
    gone_for(conn, "x.test", service)
    later = NOON + DAY
    look_up(conn, "x.test", now=later)
    assert unjudged(conn) == {"ann@x.test"}
    assert [due.address for due in due_addresses(conn, LANE, later, 10)] == ["ann@x.test"]


def test_an_answer_from_before_the_domain_vanished_is_not_asked_for_again(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    with ObservationWriter(ledger_url) as writer:
        writer.put([session()], [probe(1, 1, "x.test")], [answered(1, 1)], [])
    conn.execute("update ledger.due set answered_at = %s where address_id = 1", (NOON,))
    look_up(conn, "x.test", service=MailService.DOMAIN_NOT_FOUND, now=NOON + DAY)
    judge_all(conn)
    look_up(conn, "x.test", now=NOON + 2 * DAY)
    assert unjudged(conn) == {"ann@x.test", "bob@x.test"}
    assert [due.address for due in due_addresses(conn, LANE, NOON + 2 * DAY, 10)] == ["bob@x.test"]


def test_a_second_look_up_that_fails_is_tried_again_until_one_tells(conn: psycopg.Connection) -> None:
    gone_for(conn, "x.test", MailService.DOMAIN_NOT_FOUND)
    failed_at = NOON + DAY
    retry = facts("x.test", MailService.DNS_TIMEOUT, now=failed_at, expires_in=15 * MINUTE)
    keep_domain_facts(conn, [retry], failed_at)
    assert unjudged(conn) == {"ann@x.test"}
    assert next_due_at(conn) == failed_at + 15 * MINUTE
    again_at = failed_at + 15 * MINUTE
    assert domains_to_look_up(conn, again_at, 10) == ["x.test"]
    keep_domain_facts(conn, [facts("x.test", MailService.DOMAIN_NOT_FOUND, now=again_at, expires_in=DAY)], again_at)
    # the unbroken row of agreeing look-ups begins anew
    assert next_due_at(conn) is None
    assert domains_to_look_up(conn, again_at + DAY - MINUTE, 10) == []
    assert domains_to_look_up(conn, again_at + DAY, 10) == ["x.test"]


def test_the_second_look_up_finds_its_domains_by_an_index(conn: psycopg.Connection) -> None:
    gone_for(conn, "x.test", MailService.NULL_MX)
    conn.execute("set enable_seqscan = off")
    plan = conn.execute(
        "explain select domain_id from ledger.domains "
        "where service in ('null_mx', 'no_mail_service', 'domain_not_found', 'unroutable') "
        "and looked_up_at - service_since_at < interval '24 hours' and expires_at <= now()"
    ).fetchall()
    assert "domains_second_look_up" in str(plan)


def test_what_a_former_provider_accepted_or_refused_is_forgotten(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "ann@y.test")
    look_up(conn, "x.test", "y.test")
    found = [catch_all("x.test", is_catch_all=False), catch_all("y.test")]
    merge_observations(conn, Observations([], [], [], found), NOON)
    keep_domain_facts(conn, [replace(facts("x.test", now=NOON + DAY), provider="other.test"), facts("y.test")], NOON)
    assert set(catch_all_facts(conn, ["x.test", "y.test"], NOON)) == {"y.test"}


def test_two_look_ups_of_one_domain_in_one_batch_the_last_counts(conn: psycopg.Connection) -> None:
    keep_domain_facts(conn, [facts("x.test", MailService.DNS_TIMEOUT), facts("x.test")], NOON)
    assert domain_facts(conn, ["x.test"])["x.test"].service is MailService.MX
    keep_domain_facts(conn, [], NOON)


def test_what_look_ups_sent_adds_up(conn: psycopg.Connection) -> None:
    first = replace(facts("x.test"), query_count=3, mx_query_count=1)
    keep_domain_facts(conn, [first, replace(first, query_count=5, mx_query_count=2)], NOON)
    keep_domain_facts(conn, [replace(first, looked_up_at=NOON + DAY), facts("y.test")], NOON + DAY)
    rows = conn.execute("select domain, dns_query_count, mx_query_count from ledger.domains order by domain").fetchall()
    assert rows == [("x.test", 11, 4), ("y.test", 0, 0)]


def test_a_sweep_goes_on_after_a_site_and_passes_over_those_at_work(conn: psycopg.Connection) -> None:
    names = ("a.test", "b.test", "c.test", "d.test")
    take(conn, *(f"ann@{name}" for name in names))
    look_up(conn, *names)
    due = due_addresses(conn, LANE, NOON, 10, after_site="a.test", skipped_sites=["c.test"])
    assert [address.domain for address in due] == ["b.test", "d.test"]
    assert [address.domain for address in due_addresses(conn, LANE, NOON, 10, only_site="c.test")] == ["c.test"]
