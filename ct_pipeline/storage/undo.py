"""Undoing a batch, as the ledger sees it: what can be undone, and the batch that undoes it."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

import psycopg

from ct_pipeline.storage.batches import add_batch
from ct_pipeline.storage.changes import changes_of
from ct_pipeline.storage.copy_in import storable
from ct_pipeline.to_clevertap.changes import Batch, Change, Undoable
from ct_pipeline.vocabulary import BatchState, ChangeKind, Outcome


def undoables(conn: psycopg.Connection, batch: Batch) -> list[Undoable]:
    """Every change of the batch, with what became of it and what has happened since."""
    changes = changes_of(conn, batch.batch_id)
    query = _PROPERTIES if batch.kind is ChangeKind.SET_PROPERTIES else _SUBSCRIPTIONS
    facts = {row[0]: row[1:] for row in conn.execute(query, {"batch_id": batch.batch_id})}
    found: list[Undoable] = []
    for change in changes:
        outcome, is_undone, later_batch_id, held = facts[change.change_id]
        found.append(Undoable(change, Outcome(outcome) if outcome else None, is_undone, later_batch_id, held))
    return found


def withdraw_unsent(conn: psycopg.Connection, batch_id: int, why: str, now: datetime) -> int:
    """Take out of the batch what was never sent, so that no push sends it any more; how many there were.

    To be called under the project's push lock. A batch of which nothing is left is done.
    """
    with conn.transaction():
        conn.execute("select from ledger.batches where batch_id = %s for update", (batch_id,))
        withdrawn = conn.execute(
            """
            insert into ledger.receipts (change_id, outcome, text, answered_at)
            select change_id, %s, %s, %s from ledger.changes left join ledger.receipts r using (change_id)
            where batch_id = %s and attempt_count = 0 and r.change_id is null
            on conflict do nothing
            """,
            (Outcome.WITHDRAWN, storable(why), now, batch_id),
        ).rowcount
        conn.execute(
            """
            update ledger.batches b set state = %s, done_at = %s
            where batch_id = %s and state <> 'done' and not exists (
                select from ledger.changes c left join ledger.receipts r using (change_id)
                where c.batch_id = b.batch_id and r.change_id is null)
            """,
            (BatchState.DONE, now, batch_id),
        )
    return withdrawn


def add_undo_batch(conn: psycopg.Connection, undone: Batch, changes: Sequence[Change], by: str, now: datetime) -> int:
    """A batch that undoes another one: approved by whoever asked for it. Returns its id."""
    with conn.transaction():
        batch_id = add_batch(
            conn,
            project=undone.project,
            kind=changes[0].kind,
            changes=changes,
            planned_at=now,
            state=BatchState.APPROVED,
            undoes_batch_id=undone.batch_id,
        )
        conn.execute(
            """
            update ledger.batches set approved_by = %s, approved_because = %s, approved_at = %s where batch_id = %s
            """,
            (storable(by), f"undo of batch {undone.batch_id}", now, batch_id),
        )
    return batch_id


def open_undo_batches(conn: psycopg.Connection, batch_id: int) -> list[int]:
    """Batches that undo this one and are not done."""
    rows = conn.execute(
        "select batch_id from ledger.batches where undoes_batch_id = %s and state <> 'done' order by batch_id",
        (batch_id,),
    ).fetchall()
    return [undo_id for (undo_id,) in rows]


def subscription_event_count(conn: psycopg.Connection, project: str, since: datetime) -> int:
    """How many Channel Unsubscribed events that happened since then are known."""
    row = conn.execute(
        "select count(*) from ledger.subscription_events where project = %s and happened_at >= %s", (project, since)
    ).fetchone()
    return row[0] if row else 0


_SUBSCRIPTIONS: LiteralString = """
select c.change_id, r.outcome,
       exists (select from ledger.changes u join ledger.batches ub using (batch_id)
               left join ledger.receipts ur on ur.change_id = u.change_id
               where u.project = c.project and u.raw_email = c.raw_email and u.kind = 'resubscribe'
                 and ub.undoes_batch_id = c.batch_id and coalesce(ur.outcome, 'processed') = 'processed'),
       (select min(o.batch_id) from ledger.changes o left join ledger.receipts later on later.change_id = o.change_id
        where o.project = c.project and o.raw_email = c.raw_email and o.kind = 'unsubscribe'
          and o.change_id > c.change_id and o.attempt_count > 0
          and coalesce(later.outcome, 'processed') = 'processed'),
       null::jsonb
from ledger.changes c left join ledger.receipts r on r.change_id = c.change_id
where c.batch_id = %(batch_id)s
"""

_PROPERTIES: LiteralString = """
select c.change_id, r.outcome,
       exists (select from ledger.changes u join ledger.batches ub using (batch_id)
               left join ledger.receipts ur on ur.change_id = u.change_id
               where u.profile_id = c.profile_id and u.kind = 'set_properties'
                 and ub.undoes_batch_id = c.batch_id and coalesce(ur.outcome, 'processed') = 'processed'),
       null::bigint, p.properties
from ledger.changes c
left join ledger.receipts r on r.change_id = c.change_id
left join ledger.profiles p on p.profile_id = c.profile_id
     and (p.identifier_kind, p.identifier) = (c.identifier_kind, c.identifier)
where c.batch_id = %(batch_id)s
"""
