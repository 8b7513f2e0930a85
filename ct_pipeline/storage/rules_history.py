"""Which rules were in force, and what came out differently when they changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.types.json import Jsonb

SAMPLES = 5  # addresses kept of each kind of change


class VerdictChange(NamedTuple):
    """Addresses whose verdict changed in the same way, when judged anew by other rules."""

    old_status: str
    old_reason: str
    old_safe_to_send: str
    status: str
    reason: str
    safe_to_send: str
    address_count: int
    samples: tuple[str, ...]  # a few of the addresses


@dataclass(frozen=True, slots=True)
class Rejudgement:
    """The re-judging of all verdicts of other rules. ``changes``: the most frequent first.

    ``changed_parts`` maps a part of the rules to its version before and now, None where it was not there; empty where
    the rules before are not known.
    """

    rules_version: str
    began_at: datetime
    ended_at: datetime | None  # None: under way, or stopped halfway
    judged_count: int
    changed_parts: Mapping[str, tuple[str | None, str | None]]
    changes: list[VerdictChange]

    @property
    def changed_count(self) -> int:
        return sum(change.address_count for change in self.changes)


def note_rules(conn: psycopg.Connection, rules_version: str, parts: Mapping[str, str], now: datetime) -> None:
    """Keep what ``rules_version`` consists of, and that it is in force from ``now`` if another one was."""
    conn.execute(
        """
        insert into ledger.rules_versions (rules_version, parts, in_force_at) values (%(version)s, %(parts)s, %(now)s)
        on conflict (rules_version) do update set parts = excluded.parts, in_force_at = excluded.in_force_at
        where rules_versions.rules_version <> (
            select rules_version from ledger.rules_versions order by in_force_at desc limit 1)
        """,
        {"version": rules_version, "parts": Jsonb(dict(parts)), "now": now},
    )


def begin_rejudgement(conn: psycopg.Connection, rules_version: str, now: datetime) -> int:
    """The id of the re-judging by ``rules_version``: a new one, or the last if that was by the same rules."""
    with conn.transaction():
        conn.execute("lock table ledger.rejudgements in share row exclusive mode")
        row = conn.execute(
            """
            with latest as (select * from ledger.rejudgements order by rejudgement_id desc limit 1),
            created as (
                insert into ledger.rejudgements (rules_version, previous_version, began_at)
                select %(version)s, (
                    select rules_version from ledger.rules_versions where rules_version <> %(version)s
                    order by in_force_at desc limit 1), %(now)s
                where not exists (select from latest where rules_version = %(version)s)
                returning rejudgement_id
            )
            select rejudgement_id from created
            union all
            select rejudgement_id from latest where rules_version = %(version)s
            """,
            {"version": rules_version, "now": now},
        ).fetchone()
    assert row is not None, "one of the two"
    return row[0]


def end_rejudgement(conn: psycopg.Connection, rejudgement_id: int, now: datetime) -> None:
    """Nothing of other rules is left."""
    conn.execute("update ledger.rejudgements set ended_at = %s where rejudgement_id = %s", (now, rejudgement_id))


def note_changes(conn: psycopg.Connection, rejudgement_id: int) -> None:
    """Count what the stage table ``new_verdicts`` changes of verdicts whose evidence is the same.

    Inside the transaction that merges the stage, before it does.
    """
    conn.execute(_COUNT_CHANGES, {"id": rejudgement_id, "samples": SAMPLES})


def last_rejudgement(conn: psycopg.Connection) -> Rejudgement | None:
    """The latest one, with what it has changed so far; None where no rules have changed yet."""
    row = conn.execute(
        """
        select rejudgement_id, r.rules_version, began_at, ended_at, judged_count, before.parts, after.parts
        from ledger.rejudgements r
        left join ledger.rules_versions before on before.rules_version = r.previous_version
        left join ledger.rules_versions after on after.rules_version = r.rules_version
        order by rejudgement_id desc limit 1
        """
    ).fetchone()
    if row is None:
        return None
    rejudgement_id, rules_version, began_at, ended_at, judged_count, before, after = row
    return Rejudgement(
        rules_version, began_at, ended_at, judged_count, _differences(before, after), _changes(conn, rejudgement_id)
    )


def _changes(conn: psycopg.Connection, rejudgement_id: int) -> list[VerdictChange]:
    rows = conn.execute(
        """
        select old_status, old_reason, old_safe_to_send, status, reason, safe_to_send, address_count,
               array(select address from ledger.addresses where address_id = any(sample_address_ids) order by address)
        from ledger.rejudgement_changes where rejudgement_id = %s
        order by address_count desc, old_status, old_reason, status, reason
        """,
        (rejudgement_id,),
    ).fetchall()
    return [VerdictChange._make((*row[:-1], tuple(row[-1]))) for row in rows]


def _differences(
    before: Mapping[str, str] | None, after: Mapping[str, str] | None
) -> dict[str, tuple[str | None, str | None]]:
    if before is None or after is None:
        return {}
    names = [*after, *(name for name in before if name not in after)]
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


_COUNT_CHANGES = """
with found as materialized (
    select v.status as old_status, v.reason as old_reason, v.safe_to_send as old_safe_to_send,
           n.status, n.reason, n.safe_to_send, count(*) as address_count,
           (array_agg(n.address_id order by n.address_id))[:%(samples)s] as sample_address_ids
    from new_verdicts n join ledger.verdicts v using (address_id)
    where n.seen_revision is null and v.rules_version <> n.rules_version
    group by 1, 2, 3, 4, 5, 6
),
counted as (
    update ledger.rejudgements
    set ended_at = null, judged_count = judged_count + coalesce((select sum(address_count) from found), 0)
    where rejudgement_id = %(id)s
)
insert into ledger.rejudgement_changes
select %(id)s, old_status, old_reason, old_safe_to_send, status, reason, safe_to_send, address_count, sample_address_ids
from found
where (old_status, old_reason, old_safe_to_send) is distinct from (status, reason, safe_to_send)
order by 2, 3, 4, 5, 6, 7
on conflict (rejudgement_id, old_status, old_reason, old_safe_to_send, status, reason, safe_to_send) do update
set address_count = rejudgement_changes.address_count + excluded.address_count,
    sample_address_ids = (rejudgement_changes.sample_address_ids || excluded.sample_address_ids)[:%(samples)s]
"""
