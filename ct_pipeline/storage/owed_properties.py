"""What properties CleverTap is believed to hold of each profile, beside the verdict they should show."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import polars as pl
import psycopg

from ct_pipeline.storage.copy_in import analyze
from ct_pipeline.storage.verified_rows import VERIFIED_ROWS_SCHEMA


class PropertyRow(NamedTuple):
    """A profile, what it holds of ours, and what has become of earlier changes of it."""

    profile_id: int
    identifier_kind: str
    identifier: str
    address_id: int | None
    held: Mapping[str, Any]
    is_member: bool  # of the plan's audience; others are here because of their open change
    open_change_id: int | None
    open_properties: Mapping[str, Any] | None
    is_open_fixed: bool | None  # its batch is being sent, or is an undo: it cannot be withdrawn
    rejected_properties: Mapping[str, Any] | None
    undone_properties: Mapping[str, Any] | None
    undone_status: str | None
    undone_reason: str | None
    status: str | None  # of the verdict, as the next ones; None: it has none
    reason: str | None
    rule: str | None
    rules_version: str | None
    provider: str | None
    verified_at: datetime | None


def property_rows(
    conn: psycopg.Connection,
    project: str,
    fields: Sequence[str],
    *,
    of_audience: bool,
    includes_undone: bool,
    batch_rows: int = 20_000,
) -> Iterator[tuple[list[PropertyRow], pl.DataFrame]]:
    """Every profile of the project, or of ``plan_members`` and those with an open change, that has a verdict or holds
    properties of ours.

    Each list comes with a frame of the same height with the verdict's ``fields``, null where there is no verdict. All
    lists come from one snapshot. The connection is in the caller's transaction, and not to be used for anything else
    until the iterator is exhausted or closed.
    """
    unknown = [field for field in fields if field not in _FIELDS]
    assert not unknown, f"{unknown} are no fields of a verdict"
    for statement in (_OPEN, _REJECTED, _UNDONE):
        conn.execute(statement, {"project": project, "includes_undone": includes_undone})
    for table in ("plan_open", "plan_refused", "plan_undone_properties"):
        analyze(conn, table)
    schema = pl.Schema({field: VERIFIED_ROWS_SCHEMA[field] for field in fields})
    width = len(PropertyRow._fields)
    conn.execute("set local cursor_tuple_fraction = 1")  # this cursor is read to its end
    with conn.cursor("property_rows") as cursor:
        chosen = "".join(f", {_FIELDS[field]}" for field in fields)
        query = (_ROWS_OF_AUDIENCE if of_audience else _ROWS).replace("{fields}", chosen)
        cursor.execute(query, {"project": project})  # pyright: ignore[reportArgumentType]
        while rows := cursor.fetchmany(batch_rows):
            frame = pl.DataFrame([row[width:] for row in rows], schema=schema, orient="row")
            yield [PropertyRow(*row[:width]) for row in rows], frame


def open_property_changes(conn: psycopg.Connection, project: str) -> Iterator[list[int]]:
    """The open property changes that can be withdrawn, some thousands at a time."""
    rows = conn.execute(f"{_OPEN_CHANGES} and state in ('planned', 'held', 'approved')", {"project": project})
    while part := rows.fetchmany(50_000):
        yield [row[0] for row in part]


# Of a verdict that does not speak yet, nothing is shown: it is as good as none.
_FIELDS = {
    "address": "case when v.address_id is not null then a.address end",
    **{
        name: f"v.{name}"
        for name in VERIFIED_ROWS_SCHEMA.names()
        if name not in ("row_number", "address", "address_id", "judged_at", "rules_version")
    },
}

_OPEN_CHANGES: LiteralString = """
select c.change_id, c.profile_id, c.properties, b.state = 'sending' or b.undoes_batch_id is not null as is_fixed
from ledger.batches b join ledger.changes c using (batch_id) left join ledger.receipts r using (change_id)
where b.project = %(project)s and b.kind = 'set_properties' and b.state <> 'done' and b.undoes_batch_id is null
      and r.change_id is null
"""

_OPEN: LiteralString = """
create temporary table plan_open on commit drop as
select distinct on (c.profile_id) c.profile_id, c.change_id, c.properties,
       b.state = 'sending' or b.undoes_batch_id is not null as is_fixed
from ledger.batches b join ledger.changes c using (batch_id) left join ledger.receipts r using (change_id)
where b.project = %(project)s and b.kind = 'set_properties' and b.state <> 'done' and r.change_id is null
order by c.profile_id, is_fixed desc, c.change_id desc
"""

_REJECTED: LiteralString = """
create temporary table plan_refused on commit drop as
select distinct on (c.profile_id) c.profile_id, c.properties
from ledger.receipts r join ledger.changes c using (change_id)
where r.outcome = 'rejected' and c.project = %(project)s and c.kind = 'set_properties'
order by c.profile_id, c.change_id desc
"""

# What an undo took back, unless a later change of the profile was made since.
_UNDONE: LiteralString = """
create temporary table plan_undone_properties on commit drop as
select distinct on (c.profile_id) c.profile_id, c.properties, c.status, c.reason
from ledger.batches undo
join ledger.changes u on u.batch_id = undo.batch_id
join ledger.receipts ur on ur.change_id = u.change_id and ur.outcome = 'processed'
join ledger.changes c on c.batch_id = undo.undoes_batch_id and c.profile_id = u.profile_id
where undo.project = %(project)s and undo.kind = 'set_properties' and undo.undoes_batch_id is not null
      and not %(includes_undone)s
      and not exists (
          select from ledger.changes later join ledger.receipts lr using (change_id)
          where later.profile_id = u.profile_id and later.kind = 'set_properties' and later.change_id > u.change_id
                and lr.outcome = 'processed')
order by c.profile_id, u.change_id desc
"""

_ROWS = """
select p.profile_id, p.identifier_kind, p.identifier, p.address_id, p.properties, true,
       o.change_id, o.properties, o.is_fixed, x.properties, u.properties, u.status, u.reason,
       v.status, v.reason, v.rule, v.rules_version, v.provider, v.verified_at{fields}
from ledger.profiles p
left join plan_open o using (profile_id)
left join plan_refused x using (profile_id)
left join plan_undone_properties u using (profile_id)
left join ledger.verdicts v on v.address_id = p.address_id and v.reason <> 'not_asked_yet'
left join ledger.addresses a on a.address_id = v.address_id
where p.project = %(project)s
      and (v.address_id is not null or p.properties <> '{}' or o.change_id is not null)
"""

_ROWS_OF_AUDIENCE = (
    _ROWS.replace("p.properties, true,", "p.properties, m.profile_id is not null,").replace(
        "left join plan_open o", "left join plan_members m using (profile_id)\nleft join plan_open o"
    )
    + "      and (m.profile_id is not null or o.change_id is not null)\n"
)
