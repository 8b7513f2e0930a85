"""Taking up a pull: one address per string, all its holders, and due exactly when it has to be asked."""

import threading
from datetime import datetime, timedelta

import polars as pl
import psycopg
import pytest

from ct_pipeline.storage.addresses import TakenUp, take_up
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.due import due_addresses, next_due_at
from ct_pipeline.storage.probes import ObservationWriter
from ct_pipeline.storage.verdicts import evidence_of, keep_verdicts, unjudged_backlog, unjudged_evidence
from ct_pipeline.storage.verified_rows import verified_rows
from ct_pipeline.vocabulary import MailService
from ct_pipeline_tests.storage.records import (
    AUDIENCE,
    DAY,
    LANE,
    NOON,
    answered,
    look_up,
    new_pull,
    probe,
    pull_rows,
    session,
    take,
    verdict,
)


def addresses_due(conn: psycopg.Connection, now: datetime = NOON) -> list[str]:
    return [due.address for due in due_addresses(conn, LANE, now, 1000)]


def test_rows_that_share_an_address_are_its_holders(conn: psycopg.Connection) -> None:
    taken = take(conn, "Ann@x.test", "ann@x.test", " ANN@X.TEST", "bob@x.test")
    assert taken == TakenUp(new_address_count=2, holder_count=4, due_count=2)
    stored = conn.execute(
        "select row_number, address, raw_email from ledger.holders join ledger.addresses using (address_id) order by 1"
    ).fetchall()
    assert stored == [
        (1, "ann@x.test", "Ann@x.test"),
        (2, "ann@x.test", None),  # spelled like the address itself
        (3, "ann@x.test", " ANN@X.TEST"),
        (4, "bob@x.test", None),
    ]


def test_taking_up_the_same_rows_again_changes_nothing(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@x.test", "no?address")
    before = _everything(conn)
    assert take(conn, "ann@x.test", "bob@x.test", "no?address") == TakenUp(0, 0, 0)
    assert _everything(conn) == before


def test_a_second_pull_adds_holders_and_only_new_addresses(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@x.test", sha256="aa")
    assert take(conn, "bob@x.test", "cid@x.test", sha256="bb") == TakenUp(1, 2, 1)


def test_a_string_that_is_no_address_is_judged_and_never_asked(conn: psycopg.Connection) -> None:
    take(conn, "no?address@x.test")
    look_up(conn, "x.test")
    assert addresses_due(conn) == []
    assert next_due_at(conn) is None
    (row,) = unjudged_evidence(conn, "v1", 10)
    assert (row.address, row.syntax_reason, row.domain) == ("no?address@x.test", "syntax_error", None)


@pytest.mark.parametrize(
    "raw", ["tab\there", "line\nbreak", "carriage\rreturn", "back\\slash", r"\N", r"\.", "", '"', "é☃"]
)
def test_any_spelling_is_kept_as_it_came(conn: psycopg.Connection, raw: str) -> None:
    frame = pull_rows("ann@x.test").with_columns(raw_email=pl.lit(raw))
    take_up(conn, new_pull(conn), AUDIENCE, frame, NOON)
    assert conn.execute("select raw_email from ledger.holders").fetchone() == (raw,)


def test_a_nul_in_a_spelling_does_not_stop_the_pull(conn: psycopg.Connection) -> None:
    take_up(conn, new_pull(conn), AUDIENCE, pull_rows("ann@x.test").with_columns(raw_email=pl.lit("a\0b")), NOON)
    assert conn.execute("select raw_email from ledger.holders").fetchone() == ("a\ufffdb",)


def test_an_answered_address_is_asked_again_only_when_stale(conn: psycopg.Connection, ledger_url: str) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    with ObservationWriter(ledger_url) as writer:
        writer.put([session()], [probe(1, 1, "x.test")], [answered(1, 1), answered(2, None)], [])
    assert addresses_due(conn) == []
    (answered_at,) = conn.execute("select min(answered_at) from ledger.due").fetchone() or (NOON,)

    fresh = answered_at + timedelta(days=29)
    assert take(conn, "ann@x.test", sha256="bb", now=fresh).due_count == 0
    stale = answered_at + timedelta(days=31)
    look_up(conn, "x.test", now=stale)
    assert take(conn, "ann@x.test", sha256="cc", now=stale).due_count == 1
    assert addresses_due(conn, stale) == ["ann@x.test"]
    # bob is stale too, but nobody wants him; ann's last reply stays evidence until the next one
    (row,) = evidence_of(conn, ["ann@x.test"])
    assert (row.smtp_code, row.attempt_count, row.next_attempt_at) == (250, 0, stale)


def test_an_address_that_waits_keeps_its_time_and_attempts(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test")
    later = NOON + DAY
    conn.execute("update ledger.due set next_attempt_at = %s, attempt_count = 2", (later,))
    assert take(conn, "ann@x.test", sha256="bb", now=NOON + 90 * DAY).due_count == 0
    assert conn.execute("select next_attempt_at, attempt_count from ledger.due").fetchall() == [(later, 2)]


def test_facts_in_force_decide_whether_a_new_address_is_due(conn: psycopg.Connection) -> None:
    take(conn, *(f"first@{domain}" for domain in ("mx.test", "gone.test", "slow.test")), sha256="aa")
    look_up(conn, "mx.test")
    look_up(conn, "gone.test", service=MailService.DOMAIN_NOT_FOUND)
    look_up(conn, "slow.test", service=MailService.DNS_TIMEOUT)
    take(conn, *(f"second@{domain}" for domain in ("mx.test", "gone.test", "slow.test")), sha256="bb")
    rows = conn.execute(
        "select address, next_attempt_at, answered_at from ledger.addresses join ledger.due using (address_id) "
        "where address like 'second@%' order by 1"
    ).fetchall()
    assert rows == [
        ("second@gone.test", None, NOON),
        ("second@mx.test", NOON, None),
        ("second@slow.test", NOON + 7 * DAY, None),
    ]
    judged = {row.address for row in unjudged_evidence(conn, "v1", 100)}
    assert {"second@gone.test", "second@slow.test"} <= judged
    assert "second@mx.test" not in judged


def test_a_newer_normalization_replaces_what_an_older_one_said(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    rows = evidence_of(conn, ["ann@x.test", "bob@x.test"])
    keep_verdicts(conn, [verdict(row) for row in rows], rows)
    newer = pull_rows("ann@x.test", "bob@x.test").with_columns(
        syntax_reason=pl.Series(["unsupported_character", None]), is_role=pl.Series([False, True])
    )
    take_up(conn, new_pull(conn), AUDIENCE, newer, NOON)
    assert addresses_due(conn) == ["bob@x.test"]
    ann, bob = sorted(unjudged_evidence(conn, "v1", 10))
    assert (ann.syntax_reason, ann.domain) == ("unsupported_character", None)
    assert (bob.syntax_reason, bob.is_role) == (None, True)


def test_a_pull_of_another_audience_is_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(LookupError, match="customers"):
        take_up(conn, new_pull(conn), "customers", pull_rows("ann@x.test"), NOON)


def test_pulls_taken_up_side_by_side_share_addresses_without_deadlock(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    names = [f"user{number}@d{number % 50}.test" for number in range(2000)]
    pulls = [new_pull(conn, sha256) for sha256 in ("aa", "bb", "cc")]
    orders = [names, names[::-1], names[1000:] + names[:1000]]
    failures: list[BaseException] = []

    def run(pull_id: int, order: list[str]) -> None:
        try:
            with connect(ledger_url) as mine:
                for start in range(0, len(order), 500):
                    frame = pull_rows(*order[start : start + 500]).with_columns(pl.col("row_number") + start)
                    take_up(mine, pull_id, AUDIENCE, frame, NOON)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(pulls, orders, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    counts = [
        conn.execute(f"select count(*) from ledger.{table}").fetchone() for table in ("addresses", "due", "domains")
    ]
    assert counts == [(2000,), (2000,), (50,)]
    for pull_id in pulls:
        assert sum(frame.height for frame in verified_rows(conn, pull_id)) == 2000
    assert unjudged_backlog(conn).count == 0


def _everything(conn: psycopg.Connection) -> list[list[tuple]]:
    tables = ("pulls", "addresses", "holders", "due", "domains", "unjudged")
    return [conn.execute(f"select * from ledger.{table} order by 1, 2").fetchall() for table in tables]
