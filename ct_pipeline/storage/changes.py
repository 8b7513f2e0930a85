"""Sending changes, as the ledger sees it: take a batch, intend, keep receipts, finish.

An intent is committed before a change is sent, its receipt after. What is intended and has no receipt may or may not
have reached CleverTap: it is sent again, which leads to the same state. Whoever writes here holds the project's
:func:`~ct_pipeline.storage.push_lock.push_lock` on the same connection.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg

from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage, storable
from ct_pipeline.storage.profiles import lock_profiles
from ct_pipeline.to_clevertap.changes import Change, Receipt
from ct_pipeline.vocabulary import BatchState, ChangeKind, IdentifierKind, Outcome, Subscription, SubscriptionSource

SENDABLE = (BatchState.PLANNED, BatchState.APPROVED, BatchState.SENDING)


@dataclass(frozen=True, slots=True)
class SendableBatch:
    """A batch that may be sent: neither held nor done."""

    batch_id: int
    kind: ChangeKind
    state: BatchState
    undoes_batch_id: int | None
    open_count: int  # changes without a receipt


def sendable_batches(
    conn: psycopg.Connection,
    project: str,
    kinds: Collection[ChangeKind],
    batch_ids: Collection[int] | None = None,
    *,
    is_undo: bool | None = None,
    but_for: Collection[int] = (),
    limit: int | None = None,
) -> list[SendableBatch]:
    """Batches of the project that may be sent, the oldest first.

    Args:
        batch_ids: only these; None: all.
        is_undo: only batches that undo another one, or only those that do not; None: both.
        but_for: batches to leave out, such as those under way.
    """
    rows = conn.execute(
        """
        select batch_id, kind, state, undoes_batch_id,
               (select count(*) from ledger.changes c left join ledger.receipts r using (change_id)
                where c.batch_id = b.batch_id and r.change_id is null)
        from ledger.batches b
        where project = %(project)s and state = any(%(states)s) and kind = any(%(kinds)s)
          and (%(batch_ids)s::bigint[] is null or batch_id = any(%(batch_ids)s))
          and (%(is_undo)s::boolean is null or (undoes_batch_id is not null) = %(is_undo)s)
          and batch_id <> all(%(but_for)s)
        order by batch_id limit %(limit)s
        """,
        {
            "project": project,
            "states": [str(state) for state in SENDABLE],
            "kinds": [str(kind) for kind in kinds],
            "batch_ids": None if batch_ids is None else list(batch_ids),
            "is_undo": is_undo,
            "but_for": list(but_for),
            "limit": limit,
        },
    ).fetchall()
    return [
        SendableBatch(batch_id, ChangeKind(kind), BatchState(state), undoes, count)
        for batch_id, kind, state, undoes, count in rows
    ]


def take_batch(conn: psycopg.Connection, batch_id: int, now: datetime) -> bool:
    """Begin, or go on with, sending a batch; False when it may not be sent: it is held, done or gone.

    From here on no plan withdraws its changes.
    """
    cursor = conn.execute(
        """
        update ledger.batches set state = %s, sending_at = coalesce(sending_at, %s)
        where batch_id = %s and state = any(%s)
        """,
        (BatchState.SENDING, now, batch_id, [str(state) for state in SENDABLE]),
    )
    return cursor.rowcount == 1


def changes_of(conn: psycopg.Connection, batch_id: int) -> list[Change]:
    """All changes of a batch, in their order."""
    return _changes(conn, "where batch_id = %(batch_id)s order by change_id", {"batch_id": batch_id})


def open_changes(conn: psycopg.Connection, batch_id: int) -> list[Change]:
    """The changes of a batch that have no receipt, in their order."""
    return _changes(
        conn,
        """
        left join ledger.receipts r using (change_id)
        where batch_id = %(batch_id)s and r.change_id is null order by change_id
        """,
        {"batch_id": batch_id},
    )


def processed_changes(conn: psycopg.Connection, batch_id: int) -> list[Change]:
    """The changes of a batch that CleverTap took, in their order."""
    return _changes(
        conn,
        """
        join ledger.receipts r using (change_id)
        where batch_id = %(batch_id)s and r.outcome = %(processed)s order by change_id
        """,
        {"batch_id": batch_id, "processed": Outcome.PROCESSED},
    )


def intend(conn: psycopg.Connection, batch_id: int, change_ids: Sequence[int], now: datetime) -> set[int]:
    """Write down that these changes are about to be sent; those that may be: of a batch being sent, without receipt.

    Nothing may be sent that is not among the returned.
    """
    rows = conn.execute(
        """
        update ledger.changes c
        set earlier_intended_at = case when intended_at is null then earlier_intended_at
                                       else earlier_intended_at || intended_at end,
            intended_at = %(now)s, attempt_count = attempt_count + 1
        from ledger.batches b
        where c.change_id = any(%(change_ids)s) and c.batch_id = %(batch_id)s
          and b.batch_id = c.batch_id and b.state = %(sending)s
          and not exists (select from ledger.receipts r where r.change_id = c.change_id)
        returning c.change_id
        """,
        {"now": now, "change_ids": list(change_ids), "batch_id": batch_id, "sending": BatchState.SENDING},
    ).fetchall()
    return {change_id for (change_id,) in rows}


def keep_receipts(conn: psycopg.Connection, receipts: Iterable[Receipt], refused: Sequence[int] = ()) -> None:
    """Keep what became of changes; properties that were processed are what CleverTap is believed to hold.

    A change has one receipt. Should two senders ever have raced, that it was processed outranks everything else:
    nothing that CleverTap took may be forgotten.

    Args:
        refused: changes that CleverTap has answered with a refusal and that will be sent again: that sending is known
            to have changed nothing.
    """
    rows = [(r.change_id, str(r.outcome), r.code, storable(r.text), r.answered_at) for r in receipts]
    with conn.transaction():
        make_stage(conn, "new_receipts", "like ledger.receipts")
        copy_rows(conn, "new_receipts", ("change_id", "outcome", "code", "text", "answered_at"), rows)
        analyze(conn, "new_receipts")
        conn.execute(_KEEP)
        for (project,) in conn.execute(_PROJECTS).fetchall():
            lock_profiles(conn, project)
        conn.execute(_BELIEVE)
        if refused:
            conn.execute("update ledger.changes set intended_at = null where change_id = any(%s)", (list(refused),))
        drop_stages(conn, ["new_receipts"])


def finish_batch(conn: psycopg.Connection, batch_id: int, now: datetime) -> bool:
    """Whether every change of the batch has its receipt; it is done then."""
    cursor = conn.execute(
        """
        update ledger.batches b set state = %s, done_at = %s
        where batch_id = %s and state = %s and not exists (
            select from ledger.changes c left join ledger.receipts r using (change_id)
            where c.batch_id = b.batch_id and r.change_id is null)
        """,
        (BatchState.DONE, now, batch_id, BatchState.SENDING),
    )
    return cursor.rowcount == 1


def note_clock(conn: psycopg.Connection, batch_id: int, difference: timedelta) -> None:
    """Keep how far CleverTap's clock is ahead of ours while the batch is sent."""
    conn.execute("update ledger.batches set clock_difference = %s where batch_id = %s", (difference, batch_id))


def note_read_back(conn: psycopg.Connection, batch_id: int, words: str, is_stored: bool) -> None:
    """Keep what reading a sample of the batch back has shown."""
    conn.execute(
        "update ledger.batches set read_back = %s, is_stored = %s where batch_id = %s",
        (storable(words), is_stored, batch_id),
    )


def doubtful_batch(conn: psycopg.Connection, project: str) -> int | None:
    """The last property batch that was read back, if what it had written was not there."""
    row = conn.execute(
        """
        select batch_id, is_stored from ledger.batches
        where project = %s and kind = %s and is_stored is not null order by sending_at desc, batch_id desc limit 1
        """,
        (project, ChangeKind.SET_PROPERTIES),
    ).fetchone()
    return row[0] if row is not None and not row[1] else None


def newest_of_their_profiles(conn: psycopg.Connection, batch_id: int, limit: int) -> list[Change]:
    """Property changes of a batch that CleverTap took and that no later one of the same profile has followed."""
    return _changes(
        conn,
        """
        join ledger.receipts r using (change_id)
        where batch_id = %(batch_id)s and r.outcome = %(processed)s and not exists (
            select from ledger.changes later
            where later.profile_id = c.profile_id and later.change_id > c.change_id and later.kind = c.kind
              and later.intended_at is not null)
        order by change_id limit %(limit)s
        """,
        {"batch_id": batch_id, "processed": Outcome.PROCESSED, "limit": limit},
    )


_FIELDS: LiteralString = """
change_id, batch_id, c.kind, address_id, raw_email, profile_id, identifier_kind, identifier, properties,
prior_properties, prior_subscription, prior_source, status, reason, rule, rules_version, provider, verified_at,
attempt_count
"""


def _changes(conn: psycopg.Connection, condition: LiteralString, parameters: dict[str, Any]) -> list[Change]:
    rows = conn.execute(f"select {_FIELDS} from ledger.changes c {condition}", parameters).fetchall()  # noqa: S608
    return [_change(row) for row in rows]


def _change(row: tuple[Any, ...]) -> Change:
    change_id, batch_id, kind, address_id, raw_email, profile_id, identifier_kind, identifier, *rest = row
    properties, prior_properties, prior_subscription, prior_source, *verdict = rest
    return Change(
        change_id,
        batch_id,
        ChangeKind(kind),
        address_id,
        raw_email,
        profile_id,
        Identifier(IdentifierKind(identifier_kind), identifier) if identifier_kind else None,
        properties or {},
        prior_properties or {},
        Subscription(prior_subscription or Subscription.UNKNOWN),
        SubscriptionSource(prior_source or SubscriptionSource.NONE),
        *verdict,
    )


_KEEP = """
insert into ledger.receipts (change_id, outcome, code, text, answered_at)
select change_id, outcome, code, text, answered_at from new_receipts order by change_id
on conflict (change_id) do update
set outcome = excluded.outcome, code = excluded.code, text = excluded.text, answered_at = excluded.answered_at
where excluded.outcome = 'processed' and receipts.outcome <> 'processed'
"""

_PROJECTS = "select distinct project from new_receipts join ledger.changes using (change_id) order by project"

# a property that was deleted has the value {"$delete": true}
_BELIEVE = """
update ledger.profiles p
set properties = (p.properties || w.written) - w.deleted, properties_at = w.answered_at
from (
    select c.profile_id, n.answered_at,
           coalesce((select jsonb_object_agg(key, value) from jsonb_each(c.properties) as each (key, value)
                     where not (jsonb_typeof(value) = 'object' and value ? '$delete')), '{}') as written,
           array(select key from jsonb_each(c.properties) as each (key, value)
                 where jsonb_typeof(value) = 'object' and value ? '$delete') as deleted
    from new_receipts n join ledger.changes c using (change_id)
    where n.outcome = 'processed' and c.kind = 'set_properties'
    order by c.profile_id
) as w
where p.profile_id = w.profile_id
"""
