"""Batches of changes: written by a plan or an undo, held by a brake, approved by a person, withdrawn by a later plan.

Who sends them and keeps receipts is in ``changes``.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage, storable
from ct_pipeline.to_clevertap.changes import MAX_BATCH_CHANGES, Batch, Change
from ct_pipeline.vocabulary import BatchState, ChangeKind, Outcome

WITHDRAWABLE = (BatchState.PLANNED, BatchState.HELD, BatchState.APPROVED)


def batches(
    conn: psycopg.Connection,
    project: str,
    states: Collection[BatchState] | None = None,
    limit: int | None = None,
    *,
    kinds: Collection[ChangeKind] | None = None,
    plan_id: int | None = None,
) -> list[Batch]:
    """The newest ``limit`` batches of the project in these states and of these kinds, of one plan or of all; oldest
    first. None: all of them, in each case."""
    rows = conn.execute(
        f"""
        {_BATCHES}
        where project = %(project)s
          and (%(states)s::text[] is null or state = any(%(states)s))
          and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
          and (%(plan_id)s::bigint is null or plan_id = %(plan_id)s)
        order by batch_id desc limit %(limit)s
        """,
        {
            "project": project,
            "states": None if states is None else [str(state) for state in states],
            "kinds": None if kinds is None else [str(kind) for kind in kinds],
            "plan_id": plan_id,
            "limit": limit,
        },
    ).fetchall()
    return [_batch(row) for row in reversed(rows)]


def batch(conn: psycopg.Connection, batch_id: int) -> Batch | None:
    """The batch with this id, of whichever project."""
    row = conn.execute(f"{_BATCHES} where batch_id = %s", (batch_id,)).fetchone()
    return _batch(row) if row else None


def add_batch(
    conn: psycopg.Connection,
    *,
    project: str,
    kind: ChangeKind,
    changes: Sequence[Change],
    planned_at: datetime,
    state: BatchState = BatchState.PLANNED,
    held_because: str = "",
    held_provider: str = "",
    plan_id: int | None = None,
    undoes_batch_id: int | None = None,
) -> int:
    """Write a batch and its changes; the batch's id. Change ids and batch ids in ``changes`` are given anew.

    Args:
        held_provider: the provider whose brake holds the batch, if it is that brake.

    Raises:
        ValueError: no change, more than a call can carry, or one of another kind.
    """
    if not 0 < len(changes) <= MAX_BATCH_CHANGES:
        raise ValueError(f"a batch holds 1 to {MAX_BATCH_CHANGES} changes, not {len(changes)}")
    if any(change.kind is not kind for change in changes):
        raise ValueError(f"a batch of kind {kind} cannot hold changes of another kind")
    with conn.transaction():
        row = conn.execute(
            """
            insert into ledger.batches (plan_id, project, kind, state, change_count, held_because, held_provider,
                                        undoes_batch_id, planned_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning batch_id
            """,
            (
                plan_id,
                project,
                str(kind),
                str(state),
                len(changes),
                storable(held_because),
                storable(held_provider),
                undoes_batch_id,
                planned_at,
            ),
        ).fetchone()
        assert row is not None, "an insert that returns always returns a row"
        copy_rows(conn, "ledger.changes", _CHANGE_COLUMNS, (_change_row(row[0], project, c) for c in changes))
    return row[0]


def hold(conn: psycopg.Connection, project: str, kind: ChangeKind, because: str) -> int:
    """Hold every batch of this kind that waits unbraked and is no undo; how many there were."""
    return conn.execute(
        """
        update ledger.batches set state = %s, held_because = %s
        where project = %s and kind = %s and state = %s and undoes_batch_id is null
        """,
        (str(BatchState.HELD), storable(because), project, str(kind), str(BatchState.PLANNED)),
    ).rowcount


def approve(
    conn: psycopg.Connection, project: str, batch_ids: Collection[int], by: str, because: str, now: datetime
) -> set[int]:
    """Let these held batches go; the ids of those that were held until now. ``by`` and ``because`` stay with them."""
    rows = conn.execute(
        """
        update ledger.batches
        set state = %s, approved_by = %s, approved_because = %s, approved_at = %s
        where batch_id = any(%s) and project = %s and state = %s
        returning batch_id
        """,
        (
            str(BatchState.APPROVED),
            storable(by),
            storable(because),
            now,
            list(batch_ids),
            project,
            str(BatchState.HELD),
        ),
    ).fetchall()
    return {batch_id for (batch_id,) in rows}


def withdraw(conn: psycopg.Connection, grounds: Iterable[tuple[int, str]], now: datetime) -> set[int]:
    """Take changes, (change_id, why) each, out of their batches; those that were still to be taken out.

    A change stays when its batch is being sent, when it has a receipt, or when it belongs to an undo. A batch of which
    nothing is left is done.
    """
    with conn.transaction():
        make_stage(conn, "doomed", "change_id bigint primary key, why text not null")
        copy_rows(conn, "doomed", ("change_id", "why"), dict(grounds).items())
        analyze(conn, "doomed")
        make_stage(conn, "doomed_batches", "batch_id bigint primary key")
        # Locked before a receipt is written: a push that takes the batch waits, and then reads what is left of it.
        conn.execute(_LOCK_BATCHES, {"states": [str(state) for state in WITHDRAWABLE]})
        rows = conn.execute(_WITHDRAW, {"withdrawn": str(Outcome.WITHDRAWN), "now": now}).fetchall()
        conn.execute(_CLOSE_EMPTY, {"done": str(BatchState.DONE), "now": now})
        drop_stages(conn, ["doomed", "doomed_batches"])
    return {change_id for (change_id,) in rows}


_CHANGE_COLUMNS = (
    "batch_id", "project", "kind", "address_id", "raw_email", "profile_id", "identifier_kind", "identifier",
    "properties", "prior_properties", "prior_subscription", "prior_source", "status", "reason", "rule",
    "rules_version", "provider", "verified_at",
)  # fmt: skip


def _change_row(batch_id: int, project: str, change: Change) -> tuple[object, ...]:
    is_property_change = change.kind is ChangeKind.SET_PROPERTIES
    return (
        batch_id,
        project,
        str(change.kind),
        change.address_id,
        change.raw_email,
        change.profile_id,
        str(change.identifier.kind) if change.identifier else None,
        change.identifier.value if change.identifier else None,
        _json(change.properties) if is_property_change else None,
        _json(change.prior_properties) if is_property_change else None,
        None if is_property_change else str(change.prior_subscription),
        None if is_property_change else str(change.prior_source),
        change.status,
        change.reason,
        change.rule,
        change.rules_version,
        storable(change.provider),
        change.verified_at,
    )


def _json(values: object) -> Jsonb:
    return Jsonb(values, dumps=_dumps)


def _dumps(values: object) -> str:
    return json.dumps(values, separators=(",", ":")).replace("\\u0000", "\\ufffd")  # jsonb cannot hold NUL


_BATCHES: LiteralString = """
select batch_id, project, kind, state, change_count, held_because, approved_by, approved_because, approved_at,
       undoes_batch_id, plan_id, planned_at, sending_at, done_at, read_back,
       (select jsonb_object_agg(outcome, n) from (
            select outcome, count(*) as n from ledger.changes c join ledger.receipts r using (change_id)
            where c.batch_id = batches.batch_id group by outcome) as counted)
from ledger.batches
"""


def _batch(row: tuple[Any, ...]) -> Batch:
    batch_id, project, kind, state, *fields, outcomes = row
    counts = {Outcome(outcome): count for outcome, count in (outcomes or {}).items()}
    return Batch(batch_id, project, ChangeKind(kind), BatchState(state), *fields, outcomes=counts)


_LOCK_BATCHES = """
insert into doomed_batches
select batch_id from ledger.batches
where state = any(%(states)s) and undoes_batch_id is null
      and batch_id in (select c.batch_id from doomed join ledger.changes c using (change_id))
order by batch_id for update
"""

_WITHDRAW = """
insert into ledger.receipts (change_id, outcome, text, answered_at)
select change_id, %(withdrawn)s, why, %(now)s
from doomed join ledger.changes using (change_id) join doomed_batches using (batch_id)
order by change_id
on conflict do nothing
returning change_id
"""

_CLOSE_EMPTY = """
update ledger.batches b set state = %(done)s, done_at = %(now)s
from doomed_batches d
where d.batch_id = b.batch_id and not exists (
    select from ledger.changes c left join ledger.receipts r using (change_id)
    where c.batch_id = b.batch_id and r.change_id is null)
"""
