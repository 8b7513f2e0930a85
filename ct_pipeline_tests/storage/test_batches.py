"""Batches: written, read back, held, approved and withdrawn; a push that takes one at the same time."""

import threading
from datetime import UTC, datetime

import psycopg
import pytest

from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.storage.batches import add_batch, approve, batch, batches, hold, withdraw
from ct_pipeline.storage.changes import open_changes, take_batch
from ct_pipeline.storage.database import connect
from ct_pipeline.to_clevertap.changes import Change
from ct_pipeline.vocabulary import BatchState, ChangeKind, IdentifierKind, Outcome, Subscription, SubscriptionSource

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
P = "TEST-1"


def unsubscribe(email: str, address_id: int = 1) -> Change:
    return Change(
        0, 0, ChangeKind.UNSUBSCRIBE, address_id, email, None, None, {}, {}, Subscription.SUBSCRIBED,
        SubscriptionSource.EVENT, "invalid", "mailbox_not_found", "rule", "v1", "a.test", NOON,
    )  # fmt: skip


def append(profile_id: int, **properties: str) -> Change:
    return Change(
        0, 0, ChangeKind.SET_PROPERTIES, 1, None, profile_id, Identifier(IdentifierKind.OBJECT_ID, "x"),
        {"EV Status": "valid\0", **properties}, {"EV Status": "invalid"}, Subscription.UNKNOWN,
        SubscriptionSource.NONE, "valid", "accepted", "rule", "v1", "a.test", None,
    )  # fmt: skip


def new_batch(conn: psycopg.Connection, *emails: str, project: str = P, **changes: object) -> int:
    fields = {"kind": ChangeKind.UNSUBSCRIBE, "planned_at": NOON, **changes}
    rows = [unsubscribe(email) for email in emails or ("a@a.test",)]
    return add_batch(conn, project=project, changes=rows, **fields)


def test_a_batch_and_its_changes_come_back_as_they_were(conn: psycopg.Connection) -> None:
    batch_id = new_batch(conn, "Ann@a.test", "tab\t\\back@a.test", state=BatchState.HELD, held_because="Too many")
    known = batch(conn, batch_id)
    assert known is not None
    assert (known.project, known.kind, known.state, known.change_count) == (
        P, ChangeKind.UNSUBSCRIBE, BatchState.HELD, 2,
    )  # fmt: skip
    assert (known.held_because, known.planned_at, known.outcomes) == ("Too many", NOON, {})
    first, second = open_changes(conn, batch_id)
    assert (first.raw_email, second.raw_email) == ("Ann@a.test", "tab\t\\back@a.test")
    assert (first.prior_subscription, first.prior_source) == (Subscription.SUBSCRIBED, SubscriptionSource.EVENT)
    assert (first.status, first.reason, first.verified_at, first.batch_id) == (
        "invalid", "mailbox_not_found", NOON, batch_id,
    )  # fmt: skip


def test_properties_come_back_as_they_were_but_for_nul(conn: psycopg.Connection) -> None:
    batch_id = new_batch_of_properties(conn)
    (change,) = open_changes(conn, batch_id)
    assert change.properties == {"EV Status": "valid\ufffd", "EV Reason": "ünicode"}
    assert change.prior_properties == {"EV Status": "invalid"}
    assert change.identifier == Identifier(IdentifierKind.OBJECT_ID, "x")


def new_batch_of_properties(conn: psycopg.Connection) -> int:
    changes = [append(7, **{"EV Reason": "ünicode"})]
    return add_batch(conn, project=P, kind=ChangeKind.SET_PROPERTIES, changes=changes, planned_at=NOON)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_fits_into_one_call(conn: psycopg.Connection, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        add_batch(
            conn, project=P, kind=ChangeKind.UNSUBSCRIBE, changes=[unsubscribe("a@a.test")] * count, planned_at=NOON
        )


def test_a_batch_is_of_one_kind(conn: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="another kind"):
        add_batch(conn, project=P, kind=ChangeKind.RESUBSCRIBE, changes=[unsubscribe("a@a.test")], planned_at=NOON)
    assert batches(conn, P) == []


def test_batches_are_listed_by_state_oldest_first(conn: psycopg.Connection) -> None:
    first, second = new_batch(conn), new_batch(conn, state=BatchState.HELD)
    new_batch(conn, project="OTHER")
    third = new_batch(conn)
    assert [known.batch_id for known in batches(conn, P)] == [first, second, third]
    assert [known.batch_id for known in batches(conn, P, limit=2)] == [second, third]
    assert [known.batch_id for known in batches(conn, P, [BatchState.HELD])] == [second]
    assert batch(conn, 999) is None


def test_only_held_batches_of_the_project_are_approved(conn: psycopg.Connection) -> None:
    planned, held = new_batch(conn), new_batch(conn, state=BatchState.HELD, held_because="why")
    assert approve(conn, "OTHER", [held], "Ann", "why", NOON) == set()
    assert approve(conn, P, [planned, held], "Ann", "looked", NOON) == {held}
    known = batch(conn, held)
    assert known is not None
    assert (known.state, known.approved_by, known.approved_because, known.approved_at, known.held_because) == (
        BatchState.APPROVED, "Ann", "looked", NOON, "why",
    )  # fmt: skip


def test_holding_reaches_what_waits_unbraked_and_no_undo(conn: psycopg.Connection) -> None:
    planned, sending = new_batch(conn), new_batch(conn, state=BatchState.SENDING)
    approved = new_batch(conn, state=BatchState.APPROVED)
    undo = new_batch(conn, undoes_batch_id=sending)
    properties = new_batch_of_properties(conn)
    assert hold(conn, P, ChangeKind.UNSUBSCRIBE, "why") == 1
    assert [known.batch_id for known in batches(conn, P, [BatchState.HELD])] == [planned]
    assert {known.batch_id for known in batches(conn, P)} == {planned, sending, approved, undo, properties}


def test_withdrawn_changes_have_a_receipt_that_says_why(conn: psycopg.Connection) -> None:
    batch_id = new_batch(conn, "a@a.test", "b@a.test")
    first, second = open_changes(conn, batch_id)
    assert withdraw(conn, [(first.change_id, "changed its mind")], NOON) == {first.change_id}
    assert withdraw(conn, [(first.change_id, "again")], NOON) == set()
    known = batch(conn, batch_id)
    assert known is not None
    assert (known.state, known.outcomes) == (BatchState.PLANNED, {Outcome.WITHDRAWN: 1})
    assert withdraw(conn, [(second.change_id, "too"), (999, "unknown")], NOON) == {second.change_id}
    known = batch(conn, batch_id)
    assert known is not None
    assert (known.state, known.done_at, known.outcomes) == (BatchState.DONE, NOON, {Outcome.WITHDRAWN: 2})
    assert conn.execute("select text from ledger.receipts order by change_id").fetchall() == [
        ("changed its mind",),
        ("too",),
    ]


def test_what_is_being_sent_or_undone_is_not_withdrawn(conn: psycopg.Connection) -> None:
    sending = new_batch(conn, state=BatchState.SENDING)
    undo = new_batch(conn, undoes_batch_id=sending)
    grounds = [(change.change_id, "why") for batch_id in (sending, undo) for change in open_changes(conn, batch_id)]
    assert withdraw(conn, grounds, NOON) == set()


def test_a_push_that_takes_a_batch_meanwhile_sends_nothing_that_was_withdrawn(
    conn: psycopg.Connection, ledger_url: str
) -> None:
    batch_id = new_batch(conn, "a@a.test", "b@a.test")
    (first, second) = open_changes(conn, batch_id)
    seen: list[int] = []

    def push() -> None:
        with connect(ledger_url) as other:
            assert take_batch(other, batch_id, NOON)
            seen.extend(change.change_id for change in open_changes(other, batch_id))

    with conn.transaction():
        withdraw(conn, [(first.change_id, "why")], NOON)
        pusher = threading.Thread(target=push)
        pusher.start()
        with connect(conn.info.dsn) as watcher:
            blocked = "select count(*) from pg_locks where not granted"
            while watcher.execute(blocked).fetchone() == (0,):
                assert pusher.is_alive()
    pusher.join()
    assert seen == [second.change_id]
