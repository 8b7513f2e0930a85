"""What the verifier observed: kept whole, kept once, and nothing lost but the last half second."""

import signal
import subprocess
import sys
import threading
import time
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage import outage, probes
from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.due import due_addresses
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.probes import ObservationWriter, catch_all_facts, next_ids
from ct_pipeline.storage.verdicts import evidence_of, keep_verdicts, unjudged_evidence
from ct_pipeline.verification.probe import ProbeKind, Turn
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.storage.records import (
    DAY,
    HOUR,
    LANE,
    NOON,
    answered,
    catch_all,
    look_up,
    probe,
    session,
    take,
    verdict,
)


def count(conn: psycopg.Connection, table: LiteralString) -> int:
    row = conn.execute(f"select count(*) from ledger.{table}").fetchone()
    assert row is not None
    return row[0]


def unjudged(conn: psycopg.Connection) -> set[str]:
    return {row.address for row in unjudged_evidence(conn, "v1", 1000)}


def test_ids_are_never_given_twice(conn: psycopg.Connection) -> None:
    given = next_ids(conn, "probe", 1) + next_ids(conn, "probe", 2500) + next_ids(conn, "probe", 1000)
    assert len(given) == len(set(given)) == 3501
    assert next_ids(conn, "session", 3) == [1, 2, 3]


def test_a_turn_and_its_probe_become_evidence(conn: psycopg.Connection, ledger_url: str) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    with ObservationWriter(ledger_url) as writer:
        writer.put(
            [session()],
            [probe(1, 1, "x.test"), probe(2, 2, "x.test", 550, "no such user")],
            [answered(1, 1), Turn(2, NOON + HOUR, 1, 2)],
            [],
        )
        writer.flush()
        ann, bob = sorted(unjudged_evidence(conn, "v1", 10))
    assert (ann.smtp_code, ann.smtp_text, ann.asked_at, ann.next_attempt_at) == (250, "ok", NOON, None)
    assert (bob.smtp_code, bob.smtp_text, bob.attempt_count) == (550, "no such user", 1)
    assert bob.next_attempt_at == NOON + HOUR
    waiting = [(one.lane, one.reason, one.next_at) for one in due_backlog(conn)]
    assert waiting == [(LANE, Reason.MAILBOX_NOT_FOUND, NOON + HOUR)]
    assert conn.execute("select address_id from ledger.due where answered_at is not null").fetchall() == [(1,)]


def test_the_same_observations_twice_are_kept_once(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    observed = Observations([session()], [probe(1, 1, "x.test")], [answered(1, 1)], [catch_all("x.test")])
    merge_observations(conn, observed, NOON)
    merge_observations(conn, observed, NOON)
    assert [count(conn, table) for table in ("sessions", "probes", "due", "catch_all_facts")] == [1, 1, 1, 1]


def test_of_several_turns_of_an_address_the_last_counts(conn: psycopg.Connection, ledger_url: str) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    with ObservationWriter(ledger_url) as writer:
        writer.put([], [], [Turn(1, NOON + HOUR, 1, None)], [])
        writer.put([], [], [Turn(1, NOON + DAY, 2, None)], [])
    assert conn.execute("select next_attempt_at, attempt_count from ledger.due").fetchall() == [(NOON + DAY, 2)]


def test_a_turn_without_a_probe_leaves_the_last_reply_in_place(conn: psycopg.Connection, ledger_url: str) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    with ObservationWriter(ledger_url) as writer:
        writer.put([session()], [probe(1, 1, "x.test")], [Turn(1, NOON, 1, 1)], [])
        writer.flush()
        writer.put([], [], [answered(1, None, 2)], [])
    (row,) = evidence_of(conn, ["ann@x.test"])
    assert (row.smtp_code, row.attempt_count, row.next_attempt_at) == (250, 2, None)


def test_the_last_definitive_reply_outlives_later_ones_that_leave_the_mailbox_open(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    take(conn, "ann@x.test", "bob@x.test", "cid@x.test")
    look_up(conn, "x.test")
    ann, bob, cid = (row.address_id for row in sorted(evidence_of(conn, ["ann@x.test", "bob@x.test", "cid@x.test"])))
    probes_ = [probe(1, ann, "x.test"), probe(2, ann, "x.test", 451), probe(3, bob, "x.test", 451)]
    first = [
        Turn(ann, NOON, 1, 1, is_definitive=True),
        Turn(ann, NOON + HOUR, 2, 2),  # in the same batch
        Turn(bob, NOON + HOUR, 1, 3),
    ]
    later = [Turn(ann, NOON + DAY, 3, 4), answered(cid, None), Turn(bob, None, 2, 5, is_definitive=True)]
    for turns, observed_probes in ((first, probes_), (first, probes_), (later, [probe(5, bob, "x.test", 550)])):
        merge_observations(conn, Observations([session()], observed_probes, turns), NOON)
    kept = conn.execute("select address_id, probe_id, definitive_probe_id from ledger.due order by 1").fetchall()
    assert kept == [(ann, 4, 1), (bob, 5, 5), (cid, None, None)]


def test_an_acceptance_that_is_taken_back_settles_nothing_any_more(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    accepted = [Turn(1, None, 1, 1, is_definitive=True), Turn(2, None, 1, 2, is_definitive=True)]
    taken_back = Turn(1, NOON + DAY, 1, 3, is_retracted=True)
    observed = [probe(1, 1, "x.test"), probe(2, 2, "x.test"), probe(3, None, "x.test", 0)]
    merge_observations(conn, Observations([session()], observed[:2], accepted), NOON)
    merge_observations(conn, Observations([], observed[2:], [taken_back]), NOON)
    in_one_batch = Observations([], [], [accepted[1], taken_back._replace(address_id=2)])
    merge_observations(conn, in_one_batch, NOON)
    assert conn.execute("select probe_id, definitive_probe_id from ledger.due").fetchall() == [(3, None), (3, None)]


@pytest.mark.parametrize(
    ("code", "asked_days_ago", "was_refused"), [(550, 1, True), (550, 100, False), (450, 1, False), (250, 1, False)]
)
def test_who_was_refused_before_is_handed_out_with_that(
    conn: psycopg.Connection, code: int, asked_days_ago: int, was_refused: bool
) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    said = probe(1, 1, "x.test", code)._replace(asked_at=NOON - asked_days_ago * DAY)
    turn = Turn(1, NOON, 1, 1, is_definitive=code != 450)
    merge_observations(conn, Observations([session()], [said], [turn]), NOON)
    (due,) = due_addresses(conn, LANE, NOON, 10)
    assert due.was_refused is was_refused


def test_a_refusal_that_is_not_believed_leaves_what_settled_the_mailbox_before(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@x.test")
    look_up(conn, "x.test")
    observed = [probe(number, 1 + number % 2, "x.test", code) for number, code in ((1, 250), (2, 550), (3, 550))]
    observed.append(probe(4, None, "x.test", 0))
    bob_accepted, bob_refused = Turn(2, None, 1, 1, is_definitive=True), Turn(2, None, 2, 3, is_definitive=True)
    ann_refused = Turn(1, None, 1, 2, is_definitive=True)
    merge_observations(conn, Observations([session()], observed, [bob_accepted, ann_refused]), NOON)
    not_believed = [Turn(1, NOON + DAY, 1, 4, retracted_probe_id=2), Turn(2, NOON + DAY, 2, 4, retracted_probe_id=3)]
    merge_observations(conn, Observations([], [], [bob_refused, *not_believed]), NOON)
    kept = conn.execute("select address_id, probe_id, definitive_probe_id from ledger.due order by 1").fetchall()
    assert kept == [(1, 4, None), (2, 4, 1)]
    for turns in ([bob_refused], [not_believed[1]._replace(standing_probe_id=1)] * 2):  # committed meanwhile
        merge_observations(conn, Observations([], [], turns), NOON)
    assert conn.execute("select definitive_probe_id from ledger.due where address_id = 2").fetchall() == [(1,)]
    conn.execute("update ledger.due set next_attempt_at = %s", (NOON,))
    assert [due.settled_probe_id for due in due_addresses(conn, LANE, NOON, 10)] == [None, 1]


@pytest.mark.parametrize(
    ("kind", "code", "reason", "is_definitive", "is_known"),
    [
        (ProbeKind.MAILBOX, 550, Reason.MAILBOX_NOT_FOUND, True, True),
        (ProbeKind.MAILBOX, 550, Reason.UNCLEAR_REPLY, False, False),
        (ProbeKind.MAILBOX, 552, Reason.MAILBOX_FULL, True, False),  # somebody is there
        (ProbeKind.MAILBOX, 550, Reason.RECIPIENT_RATE_LIMITED, True, False),
        (ProbeKind.MAILBOX, 250, Reason.ACCEPTED, True, False),
        (ProbeKind.SESSION, 550, Reason.DOMAIN_NOT_HOSTED, False, True),  # said to a neighbour
        (ProbeKind.SESSION, 550, Reason.PROBER_BLOCKED, False, False),
    ],
)
def test_when_it_was_last_refused_is_handed_out_with_an_address(
    conn: psycopg.Connection, kind: ProbeKind, code: int, reason: Reason, is_definitive: bool, is_known: bool
) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    said = probe(1, 1 if kind is ProbeKind.MAILBOX else None, "x.test", code)
    said = said._replace(kind=kind, reason=reason, asked_at=NOON - DAY)
    turn = Turn(1, NOON, 1, 1, is_definitive=is_definitive)
    merge_observations(conn, Observations([session()], [said], [turn]), NOON)
    (due,) = due_addresses(conn, LANE, NOON, 10)
    assert due.refused_at == (NOON - DAY if is_known else None)


def test_a_refusal_that_counts_once_it_is_repeated_is_known_until_it_was(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")

    def is_unrepeated_after(*turns: Turn) -> bool:
        merge_observations(conn, Observations([session()], [probe(1, 1, "x.test", 550)], list(turns)), NOON)
        conn.execute("update ledger.due set next_attempt_at = %s", (NOON,))  # a newer pull asks for it, or its day came
        (due,) = due_addresses(conn, LANE, NOON, 10)
        return due.is_unrepeated

    settled, opened = Turn(1, None, 1, 1, is_definitive=True), Turn(1, NOON + DAY, 1, 1, is_definitive=True)
    assert is_unrepeated_after(opened)
    assert not is_unrepeated_after(settled)
    assert is_unrepeated_after(opened), "it had been settled too soon"
    assert is_unrepeated_after(Turn(1, NOON + HOUR, 2, 1)), "greylisted meanwhile, say"
    assert not is_unrepeated_after(opened, settled)


@pytest.mark.parametrize("text", ["nul\0", "lone \udcff surrogate", "tab\t\\N\nline", "x" * 5000, "\\."])
def test_whatever_a_host_says_can_be_stored(conn: psycopg.Connection, ledger_url: str, text: str) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    with ObservationWriter(ledger_url) as writer:
        writer.put([session()], [probe(1, 1, "x.test", 550, text)], [answered(1, 1)], [])
    (row,) = evidence_of(conn, ["ann@x.test"])
    assert row.smtp_text == text[:1000].replace("\0", "\ufffd").replace("\udcff", "?")


def test_catch_all_facts_hold_until_they_expire(conn: psycopg.Connection, ledger_url: str) -> None:
    fact = catch_all("x.test")._replace(doubted_at=NOON)
    with ObservationWriter(ledger_url) as writer:
        writer.put([], [], [], [fact, catch_all("y.test", is_catch_all=False)])
    assert catch_all_facts(conn, ["x.test", "z.test"], NOON) == {"x.test": fact}
    assert catch_all_facts(conn, ["x.test"], fact.expires_at) == {}


def test_an_older_catch_all_fact_does_not_replace_a_newer(conn: psycopg.Connection) -> None:
    newer = catch_all("x.test", now=NOON + DAY)
    for fact in (newer, catch_all("x.test", is_catch_all=False)):
        merge_observations(conn, Observations(catch_all_facts=[fact]), NOON)
    assert catch_all_facts(conn, ["x.test"], NOON) == {"x.test": newer}


def test_a_new_catch_all_fact_calls_back_the_neighbours_that_were_asked_or_judged(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    take(conn, "judged@x.test", "asked@x.test", "waiting@x.test", "stranger@y.test")
    look_up(conn, "x.test", "y.test")
    rows = evidence_of(conn, ["judged@x.test", "stranger@y.test"])
    keep_verdicts(conn, [verdict(row) for row in rows], rows)
    with ObservationWriter(ledger_url) as writer:
        asked = evidence_of(conn, ["asked@x.test"])[0].address_id
        writer.put([session()], [probe(1, asked, "x.test")], [Turn(asked, NOON + HOUR, 1, 1)], [])
        writer.flush()
        conn.execute("delete from ledger.unjudged")
        writer.put([], [], [], [catch_all("x.test")])
        writer.flush()
        assert unjudged(conn) == {"judged@x.test", "asked@x.test"}
        conn.execute("delete from ledger.unjudged")
        writer.put([], [], [], [catch_all("x.test", now=NOON + DAY)])  # found again: nothing new about it
    assert unjudged(conn) == set()


def test_writers_of_several_processes_do_not_block_each_other_for_good(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    take(conn, *(f"user{number}@x.test" for number in range(400)))
    look_up(conn, "x.test")
    orders = [range(1, 401), range(400, 0, -1)]
    failures: list[BaseException] = []

    def run(order: range, first_probe: int) -> None:
        try:
            with ObservationWriter(ledger_url) as writer:
                for repeat in range(10):
                    facts = [catch_all("x.test", is_catch_all=bool(repeat % 2), now=NOON + repeat * HOUR)]
                    writer.put([], [], [answered(address_id, None, repeat) for address_id in order], facts)
                    writer.flush()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(order, 1)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert conn.execute("select distinct attempt_count from ledger.due").fetchall() == [(9,)]


# -- when something breaks ---


def test_a_refused_batch_is_heard_of_by_the_next_call_and_nothing_of_it_is_kept(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    writer = ObservationWriter(ledger_url)
    too_big_for_its_column = probe(1, 1, "x.test", code=10**6)
    writer.put([session()], [too_big_for_its_column], [answered(1, 1)], [])
    for call in (writer.flush, lambda: writer.put([session(2)], [], [], []), writer.close):
        with pytest.raises(LedgerUnavailableError, match="could not be written"):
            call()
    assert [count(conn, table) for table in ("sessions", "probes")] == [0, 0]
    assert conn.execute("select next_attempt_at from ledger.due").fetchall() == [(NOON,)]


def test_a_lost_connection_is_opened_again_and_nothing_is_lost(conn: psycopg.Connection, ledger_url: str) -> None:
    with ObservationWriter(ledger_url) as writer:
        writer.put([session(1)], [], [], [])
        writer.flush()
        conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
                     "and datname = current_database()")  # fmt: skip
        writer.put([session(2)], [], [], [])
        writer.flush()
    assert count(conn, "sessions") == 2


def test_a_database_that_stays_away_ends_the_writer_with_an_error(
    conn: psycopg.Connection, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.3)
    writer = ObservationWriter(ledger_url)
    name = conn.info.dbname
    conn.close()
    with psycopg.connect(ledger_url.replace(f"/{name}?", "/postgres?"), autocommit=True) as admin:
        admin.execute(sql.SQL("alter database {} with allow_connections false").format(sql.Identifier(name)))
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        writer.put([session()], [], [], [])
        with pytest.raises(LedgerUnavailableError):
            writer.flush()
        with pytest.raises(LedgerUnavailableError):
            writer.close()


def test_put_waits_while_too_much_is_waiting(
    conn: psycopg.Connection, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "WAITING_ROWS_LIMIT", 10)
    with ObservationWriter(ledger_url) as writer, conn.transaction():
        conn.execute("lock table ledger.sessions in access exclusive mode")  # the writer cannot commit
        writer.put([session(number) for number in range(20)], [], [], [])  # one batch is being written
        time.sleep(0.2)
        writer.put([session(number) for number in range(20, 40)], [], [], [])  # one batch waits
        third = threading.Thread(target=writer.put, args=([session(40)], [], [], []))
        third.start()
        third.join(timeout=0.5)
        assert third.is_alive()
        conn.execute("commit")
        third.join()
        writer.flush()
        assert count(conn, "sessions") == 41
        conn.execute("begin")


KILLED = """
import sys, time
from ct_pipeline.storage.probes import ObservationWriter
from ct_pipeline_tests.storage.records import answered, probe, session

writer = ObservationWriter(sys.argv[1])
for number in range(1, 1_000_000):
    writer.put([session(number)], [probe(number, number, "x.test")], [answered(number, number)], [])
    time.sleep(0.001)
"""


@pytest.mark.parametrize("kept_before", [1, 300, 900])
def test_a_killed_writer_keeps_what_it_committed_by_itself_and_leaves_no_half(
    conn: psycopg.Connection, ledger_url: str, kept_before: int
) -> None:
    take(conn, *(f"user{number}@x.test" for number in range(5000)))
    look_up(conn, "x.test")
    with subprocess.Popen([sys.executable, "-c", KILLED, ledger_url]) as process:
        # nobody flushes: rows appear because the writer commits by itself
        while process.poll() is None and count(conn, "sessions") < kept_before:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = _ids_after_all_others_have_gone(conn, "select session_id from ledger.sessions order by 1")
    assert len(kept) >= kept_before
    assert kept == list(range(1, len(kept) + 1))  # no gap: what came first was kept first
    # what was put together is there together
    assert _ids(conn, "select probe_id from ledger.probes order by 1") == kept
    assert _ids(conn, "select address_id from ledger.due where answered_at is not null order by 1") == kept
    assert _ids(conn, "select address_id from ledger.unjudged order by 1") == kept


def _ids_after_all_others_have_gone(conn: psycopg.Connection, query: LiteralString) -> list[int]:
    # the server may still be ending what the killed process had begun
    others = "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    while conn.execute(others).fetchone():
        time.sleep(0.05)
    return _ids(conn, query)


def _ids(conn: psycopg.Connection, query: LiteralString) -> list[int]:
    return [number for (number,) in conn.execute(query)]
