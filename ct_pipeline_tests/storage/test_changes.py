"""Sending, as the ledger sees it: who may send what, what was intended, what became of it."""

from collections.abc import Sequence

import psycopg
import pytest

from ct_pipeline.errors import PushHeldError
from ct_pipeline.storage.changes import (
    doubtful_batch,
    finish_batch,
    intend,
    keep_receipts,
    newest_of_their_profiles,
    note_read_back,
    open_changes,
    processed_changes,
    sendable_batches,
    take_batch,
)
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.push_lock import push_lock
from ct_pipeline.to_clevertap.changes import Receipt
from ct_pipeline.vocabulary import BatchState, ChangeKind, Outcome
from ct_pipeline_tests.storage.export_records import (
    PROJECT,
    add_batch,
    add_profile,
    add_property_changes,
    add_unsubscribes,
    outcomes,
    state_of,
)
from ct_pipeline_tests.storage.records import HOUR, NOON

EMAILS = ("ann@x.test", "Bob@x.test ", "cid@x.test")


@pytest.fixture
def batch_id(conn: psycopg.Connection) -> int:
    """Three unsubscribes, taken."""
    for number, email in enumerate(EMAILS):
        add_profile(conn, f"cust-{number}", email)
    batch_id = add_unsubscribes(conn, EMAILS)
    assert take_batch(conn, batch_id, NOON)
    return batch_id


def ids(conn: psycopg.Connection, batch_id: int) -> list[int]:
    return [change.change_id for change in open_changes(conn, batch_id)]


def receipts(
    change_ids: Sequence[int], outcome: Outcome = Outcome.PROCESSED, text: str = "", code: int | None = None
) -> list[Receipt]:
    return [Receipt(change_id, outcome, NOON, code, text) for change_id in change_ids]


@pytest.mark.parametrize(
    ("state", "may_be_sent"),
    [(state, state in (BatchState.PLANNED, BatchState.APPROVED, BatchState.SENDING)) for state in BatchState],
)
def test_only_what_is_neither_held_nor_done_is_sent(
    conn: psycopg.Connection, state: BatchState, may_be_sent: bool
) -> None:
    batch_id = add_batch(conn, ChangeKind.UNSUBSCRIBE, state=state)
    offered = [batch.batch_id for batch in sendable_batches(conn, PROJECT, ChangeKind)]
    assert offered == ([batch_id] if may_be_sent else [])
    assert take_batch(conn, batch_id, NOON) is may_be_sent
    assert state_of(conn, batch_id) == (BatchState.SENDING if may_be_sent else state)


def test_batches_are_offered_oldest_first_by_project_kind_and_name(conn: psycopg.Connection) -> None:
    first, second = (add_batch(conn, ChangeKind.UNSUBSCRIBE) for _ in range(2))
    add_batch(conn, ChangeKind.UNSUBSCRIBE, project="OTHER-1")
    third = add_batch(conn, ChangeKind.SET_PROPERTIES, undoes_batch_id=first)

    def offered(kinds: list[ChangeKind], batch_ids: list[int] | None = None, **more: object) -> list[int]:
        return [b.batch_id for b in sendable_batches(conn, PROJECT, kinds, batch_ids, **more)]  # pyright: ignore

    assert offered(list(ChangeKind)) == [first, second, third]
    assert offered([ChangeKind.UNSUBSCRIBE]) == [first, second]
    assert offered(list(ChangeKind), [second]) == [second]
    assert offered(list(ChangeKind), but_for=[first]) == [second, third]
    assert offered(list(ChangeKind), limit=1) == [first]
    assert offered(list(ChangeKind), is_undo=True) == [third]
    assert offered(list(ChangeKind), is_undo=False) == [first, second]


def test_spellings_are_kept_as_they_are(conn: psycopg.Connection, batch_id: int) -> None:
    assert [change.raw_email for change in open_changes(conn, batch_id)] == list(EMAILS)


def test_what_was_intended_and_never_answered_is_sent_again_and_both_sendings_are_known(
    conn: psycopg.Connection, batch_id: int
) -> None:
    changes = ids(conn, batch_id)
    assert intend(conn, batch_id, changes, NOON) == set(changes)
    assert ids(conn, batch_id) == changes
    assert intend(conn, batch_id, changes[:1], NOON + HOUR) == {changes[0]}
    rows = conn.execute(
        "select intended_at, earlier_intended_at, attempt_count from ledger.changes order by change_id"
    ).fetchall()
    assert rows == [(NOON + HOUR, [NOON], 2), (NOON, [], 1), (NOON, [], 1)]


def test_a_refused_sending_leaves_no_trace_to_explain_an_event_with(conn: psycopg.Connection, batch_id: int) -> None:
    first, *others = ids(conn, batch_id)
    intend(conn, batch_id, [first, *others], NOON)
    keep_receipts(conn, receipts(others), refused=[first])
    assert ids(conn, batch_id) == [first]
    intend(conn, batch_id, [first], NOON + HOUR)
    row = conn.execute(
        "select intended_at, earlier_intended_at, attempt_count from ledger.changes where change_id = %s", (first,)
    ).fetchone()
    assert row == (NOON + HOUR, [], 2)


def test_nothing_with_a_receipt_and_nothing_of_a_batch_not_being_sent_can_be_intended(
    conn: psycopg.Connection, batch_id: int
) -> None:
    first, *others = ids(conn, batch_id)
    keep_receipts(conn, receipts([first], Outcome.WITHDRAWN, "its grounds are gone"))
    assert intend(conn, batch_id, [first, *others], NOON) == set(others)
    waiting = add_unsubscribes(conn, EMAILS)
    assert intend(conn, waiting, ids(conn, waiting), NOON) == set()
    assert intend(conn, batch_id, ids(conn, waiting), NOON) == set(), "changes of another batch"


def test_a_batch_is_done_when_every_change_has_its_receipt(conn: psycopg.Connection, batch_id: int) -> None:
    first, *others = ids(conn, batch_id)
    keep_receipts(conn, receipts(others))
    assert not finish_batch(conn, batch_id, NOON)
    keep_receipts(conn, receipts([first], Outcome.REJECTED, "Email is not valid.\0", 515))
    assert finish_batch(conn, batch_id, NOON)
    assert state_of(conn, batch_id) == BatchState.DONE
    assert outcomes(conn, batch_id) == [("rejected", "Email is not valid.\ufffd"), ("processed", ""), ("processed", "")]
    assert not take_batch(conn, batch_id, NOON)
    assert [change.raw_email for change in processed_changes(conn, batch_id)] == list(EMAILS[1:])


def test_that_clevertap_took_a_change_is_never_forgotten(conn: psycopg.Connection, batch_id: int) -> None:
    first, second, third = ids(conn, batch_id)
    keep_receipts(conn, receipts([first], Outcome.WITHDRAWN) + receipts([second]) + receipts([third]))
    keep_receipts(conn, receipts([first]) + receipts([second], Outcome.REJECTED, "no", 555))
    assert [outcome for outcome, _ in outcomes(conn, batch_id)] == ["processed"] * 3


def test_what_was_written_is_what_clevertap_is_believed_to_hold(conn: psycopg.Connection) -> None:
    before = {"EV Status": "unknown", "EV Old": 1, "EV Odd": "$delete"}
    ann, bob = (add_profile(conn, name, f"{name}@x.test", properties=before) for name in ("ann", "bob"))
    new = {"EV Status": "invalid", "EV Old": {"$delete": True}, "EV Odd": "$delete", "EV New": False}
    batch_id = add_property_changes(conn, [(ann, new), (bob, new)])
    take_batch(conn, batch_id, NOON)
    first, second = ids(conn, batch_id)
    keep_receipts(conn, receipts([first]) + receipts([second], Outcome.REJECTED, "no", 555))
    rows = dict(conn.execute("select profile_id, (properties, properties_at)::text from ledger.profiles").fetchall())
    held = dict(conn.execute("select profile_id, properties from ledger.profiles").fetchall())
    assert held == {ann: {"EV Status": "invalid", "EV Odd": "$delete", "EV New": False}, bob: before}
    assert "2026-11-02" in rows[ann]
    assert [change.prior_properties for change in processed_changes(conn, batch_id)] == [before]


def test_a_batch_whose_sample_was_not_there_is_remembered_until_another_proves_that_writing_works(
    conn: psycopg.Connection,
) -> None:
    ann = add_profile(conn, "ann", "ann@x.test")
    first, second = (add_property_changes(conn, [(ann, {"EV Status": "invalid"})]) for _ in range(2))
    for number, batch_id in enumerate((first, second)):
        take_batch(conn, batch_id, NOON + number * HOUR)
    assert doubtful_batch(conn, PROJECT) is None
    note_read_back(conn, first, "EV Status is missing", False)
    assert doubtful_batch(conn, PROJECT) == first
    note_read_back(conn, second, "all there", True)
    assert doubtful_batch(conn, PROJECT) is None


def test_a_sample_leaves_out_profiles_that_were_written_again(conn: psycopg.Connection) -> None:
    ann, bob = (add_profile(conn, name, f"{name}@x.test") for name in ("ann", "bob"))
    first = add_property_changes(conn, [(ann, {"EV Status": "invalid"}), (bob, {"EV Status": "invalid"})])
    second = add_property_changes(conn, [(ann, {"EV Status": "valid"})])
    for batch_id in (first, second):
        take_batch(conn, batch_id, NOON)
        changes = ids(conn, batch_id)
        intend(conn, batch_id, changes, NOON)
        keep_receipts(conn, receipts(changes))
    assert [change.profile_id for change in newest_of_their_profiles(conn, first, 5)] == [bob]


def test_one_pusher_per_project(conn: psycopg.Connection, ledger_url: str) -> None:
    with connect(ledger_url) as other:
        with push_lock(conn, PROJECT):
            with pytest.raises(PushHeldError, match=PROJECT), push_lock(other, PROJECT):
                pass
            with push_lock(other, "OTHER-1"):
                pass
        with push_lock(other, PROJECT):
            pass


def test_the_lock_goes_with_its_connection(conn: psycopg.Connection, ledger_url: str) -> None:
    with connect(ledger_url) as pusher:
        lock = push_lock(pusher, PROJECT)
        lock.__enter__()
        conn.execute("select pg_terminate_backend(%s, 10000)", (pusher.info.backend_pid,))
        with push_lock(conn, PROJECT):
            pass
        with pytest.raises(psycopg.OperationalError):
            pusher.execute("select 1")
        lock.__exit__(None, None, None)
