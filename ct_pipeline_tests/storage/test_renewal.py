"""What a pull that was taken up before makes due again, and what of it is still to be asked."""

import psycopg

from ct_pipeline.storage.addresses import renew
from ct_pipeline.storage.due import DueAgain, ask_after_all, due_addresses, due_again
from ct_pipeline.storage.probes import ObservationWriter
from ct_pipeline.storage.verdicts import evidence_of, keep_verdicts, reason_counts, unjudged_backlog
from ct_pipeline.verification.probe import Turn
from ct_pipeline.vocabulary import MailService, Reason, Status
from ct_pipeline_tests.storage.records import (
    DAY,
    HOUR,
    LANE,
    NOON,
    answered,
    look_up,
    new_pull,
    probe,
    session,
    take,
    verdict,
)


def due_at_noon(conn: psycopg.Connection) -> list[str]:
    return [due.address for due in due_addresses(conn, LANE, NOON, 100)]


def answer_all(conn: psycopg.Connection, ledger_url: str, next_attempt: dict[str, Turn] | None = None) -> None:
    """Ann and Bob have answered at noon, unless ``next_attempt`` has another turn for one of them."""
    ids = {row.address: row.address_id for row in evidence_of(conn, ["ann@x.test", "bob@x.test"])}
    with ObservationWriter(ledger_url) as writer:
        writer.put([session()], [probe(1, ids["ann@x.test"], "x.test"), probe(2, ids["bob@x.test"], "x.test")], [], [])
        turns = [answered(ids["ann@x.test"], 1), answered(ids["bob@x.test"], 2)]
        for address, turn in (next_attempt or {}).items():
            turns = [turn._replace(address_id=ids[address]) if t.address_id == ids[address] else t for t in turns]
        writer.put([], [], turns, [])


def test_only_answers_that_are_no_longer_fresh_are_asked_again(conn: psycopg.Connection, ledger_url: str) -> None:
    take(conn, "ann@x.test", "bob@x.test", now=NOON)
    look_up(conn, "x.test")
    answer_all(conn, ledger_url)
    conn.execute("update ledger.due set answered_at = %s where probe_id = 2", (NOON - 40 * DAY,))
    conn.execute("update ledger.due set answered_at = %s where probe_id = 1", (NOON - 20 * DAY,))
    assert renew(conn, new_pull(conn), NOON, 30 * DAY) == 1
    assert due_at_noon(conn) == ["bob@x.test"]
    assert renew(conn, new_pull(conn), NOON, 30 * DAY) == 0


def test_renewal_leaves_other_pulls_alone(conn: psycopg.Connection, ledger_url: str) -> None:
    take(conn, "ann@x.test", sha256="aa")
    take(conn, "bob@x.test", sha256="bb")
    look_up(conn, "x.test")
    answer_all(conn, ledger_url)
    conn.execute("update ledger.due set answered_at = %s", (NOON - 40 * DAY,))
    assert renew(conn, new_pull(conn, "aa"), NOON, 30 * DAY) == 1
    assert due_at_noon(conn) == ["ann@x.test"]


def test_a_stale_address_of_a_domain_known_to_take_no_mail_is_judged_and_not_asked(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    answer_all(conn, ledger_url)
    conn.execute("update ledger.due set answered_at = %s", (NOON - 40 * DAY,))
    look_up(conn, "x.test", service=MailService.NULL_MX)
    conn.execute("delete from ledger.unjudged")
    renew(conn, new_pull(conn), NOON, 30 * DAY)
    assert due_at_noon(conn) == []
    assert unjudged_backlog(conn).count == 2


def test_addresses_left_out_by_their_providers_rules_are_asked_after_all(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    answer_all(conn, ledger_url)
    rows = evidence_of(conn, ["ann@x.test", "bob@x.test"])
    verdicts = [verdict(row) for row in rows]
    left_out = [
        v._replace(status=Status.UNKNOWN, reason=Reason.PROVIDER_FORBIDS_PROBING) if v.address == "bob@x.test" else v
        for v in verdicts
    ]
    keep_verdicts(conn, left_out, rows)
    assert reason_counts(conn, status=Status.UNKNOWN) == {Reason.PROVIDER_FORBIDS_PROBING: 1}
    assert ask_after_all(conn, NOON, pull_id=new_pull(conn, "cc")) == 0
    assert ask_after_all(conn, NOON, pull_id=new_pull(conn)) == 1
    assert due_at_noon(conn) == ["bob@x.test"]
    assert ask_after_all(conn, NOON) == 0


def test_what_is_still_to_be_asked(conn: psycopg.Connection, ledger_url: str) -> None:
    take(conn, "ann@x.test", "bob@x.test", "Ann@x.test")
    look_up(conn, "x.test")
    pull_id = new_pull(conn)
    assert due_again(conn, pull_id, NOON) == DueAgain(2, 2, NOON, NOON)
    later = {
        "ann@x.test": Turn(0, NOON + HOUR / 2, 1, 1),
        "bob@x.test": Turn(0, NOON + 2 * HOUR, 1, 2),
    }
    answer_all(conn, ledger_url, later)
    assert due_again(conn, pull_id, NOON) == DueAgain(2, 1, NOON + HOUR / 2, NOON + 2 * HOUR)
    assert due_again(conn, new_pull(conn, "cc"), NOON) == DueAgain(0, 0, None, None)
