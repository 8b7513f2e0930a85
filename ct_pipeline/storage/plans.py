"""Plans as the ledger keeps them, and the counts that brakes and previews need."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import psycopg

from ct_pipeline.storage.copy_in import copy_rows, drop_stages, make_stage, storable


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it was recorded."""

    plan_id: int
    project: str
    audience: str | None
    planned_at: datetime
    policy: Mapping[str, Any]
    summary: Mapping[str, Any]


class AudienceCounts(NamedTuple):
    """``by_status`` and ``address_count`` count addresses; one without a verdict is unknown."""

    profile_count: int
    address_count: int
    by_status: dict[str, int]
    soft_bounce_count: int  # of the invalid ones: they take mail again some day


class RateRow(NamedTuple):
    """The invalid rate that a provider's next one is compared with; see migration 0002."""

    provider: str
    rate_at: datetime
    judged_count: int | None
    invalid_count: int | None
    braked_judged_count: int | None
    braked_invalid_count: int | None
    braked_at: datetime | None


PLANNING_LOCK = 0x6374_706C  # "ctpl"; with the hash of the project, the key of an advisory lock


def lock_planning(conn: psycopg.Connection, project: str) -> None:
    """Wait until no other connection plans for this project; the lock lasts as long as the connection."""
    conn.execute("select pg_advisory_lock(%s, hashtext(%s))", (PLANNING_LOCK, project))


def record_plan(
    conn: psycopg.Connection, project: str, audience: str | None, policy: Mapping[str, Any], now: datetime
) -> int:
    """Begin a plan; its id. Its summary follows with :func:`keep_summary`."""
    row = conn.execute(
        """
        insert into ledger.plans (project, audience, planned_at, policy, summary)
        values (%s, %s, %s, %s::jsonb, '{}') returning plan_id
        """,
        (project, storable(audience), now, json.dumps(policy)),
    ).fetchone()
    assert row is not None, "an insert that returns always returns a row"
    return row[0]


def keep_summary(conn: psycopg.Connection, plan_id: int, summary: Mapping[str, Any]) -> None:
    """Replace the summary of a plan."""
    text = json.dumps(summary).replace("\\u0000", "\\ufffd")
    conn.execute("update ledger.plans set summary = %s::jsonb where plan_id = %s", (text, plan_id))


def plan(conn: psycopg.Connection, plan_id: int) -> Plan | None:
    """The plan with this id."""
    row = conn.execute(
        "select plan_id, project, audience, planned_at, policy, summary from ledger.plans where plan_id = %s",
        (plan_id,),
    ).fetchone()
    return Plan(*row) if row else None


def latest_plan(conn: psycopg.Connection, project: str) -> Plan | None:
    """The newest plan of the project that was about all of its profiles."""
    row = conn.execute(
        """
        select plan_id, project, audience, planned_at, policy, summary from ledger.plans
        where project = %s and audience is null order by plan_id desc limit 1
        """,
        (project,),
    ).fetchone()
    return Plan(*row) if row else None


def audience_counts(conn: psycopg.Connection) -> AudienceCounts:
    """Of ``plan_members``, which the caller has made with ``owed.make_members``."""
    row = conn.execute("select count(*) from plan_members").fetchone()
    by_status = conn.execute(
        """
        select coalesce(status, 'unknown'), count(*),
               count(*) filter (where status = 'invalid' and bounce_type is distinct from 'hard')
        from (select distinct address_id from plan_members where address_id is not null) as held
        left join ledger.verdicts using (address_id) group by 1 order by 2 desc, 1
        """
    ).fetchall()
    counts = {status: count for status, count, _ in by_status}
    soft_count = sum(soft for _, _, soft in by_status)
    return AudienceCounts(row[0] if row else 0, sum(counts.values()), counts, soft_count)


def provider_counts(conn: psycopg.Connection, project: str) -> list[tuple[str, int, int]]:
    """(provider, judged, invalid) of the whole project, in addresses. Judged: the answer is known, so not unknown."""
    return conn.execute(
        """
        select provider, count(*) filter (where status <> 'unknown') as judged_count,
               count(*) filter (where status = 'invalid' and bounce_type = 'hard')
        from (select distinct address_id from ledger.profiles
              where project = %s and address_id is not null) as held
        join ledger.verdicts using (address_id)
        group by provider having count(*) filter (where status <> 'unknown') > 0
        order by judged_count desc, provider
        """,
        (project,),
    ).fetchall()


def provider_rates(conn: psycopg.Connection, project: str) -> list[RateRow]:
    """The rates that were accepted, and those that hold batches."""
    rows = conn.execute(
        """
        select provider, rate_at, judged_count, invalid_count, braked_judged_count, braked_invalid_count, braked_at
        from ledger.provider_rates where project = %s
        """,
        (project,),
    ).fetchall()
    return [RateRow(*row) for row in rows]


def keep_provider_rates(conn: psycopg.Connection, project: str, rates: Iterable[RateRow]) -> None:
    """Replace the rates of these providers; those of others stay."""
    with conn.transaction():
        make_stage(conn, "new_rates", "like ledger.provider_rates")
        rows = ((project, *rate._replace(provider=storable(rate.provider) or "")) for rate in rates)
        copy_rows(conn, "new_rates", ("project", *RateRow._fields), rows)
        conn.execute(_KEEP_RATES)
        drop_stages(conn, ["new_rates"])


def approved_providers(conn: psycopg.Connection, project: str) -> dict[str, datetime]:
    """When the last batch that a provider's brake held was approved, of providers with no batch that is still held."""
    rows = conn.execute(
        """
        select held_provider, max(approved_at) from ledger.batches
        where project = %s and held_provider <> ''
        group by held_provider having max(approved_at) is not null and not bool_or(state = 'held')
        """,
        (project,),
    ).fetchall()
    return dict(rows)


def week_shares(
    conn: psycopg.Connection, project: str, window: timedelta, now: datetime
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(unsubscribes, addresses) of the project and of ``plan_members``, both in addresses, ``plan_owed`` included.

    An unsubscribe counts while it is open, whatever holds it, and for the length of ``window`` after it was sent.
    """
    row = conn.execute(_WEEK_SHARES, {"project": project, "since": now - window}).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return (row[0], row[1]), (row[2], row[3])


def held_back_counts(conn: psycopg.Connection) -> dict[str, int]:
    """Why invalid spellings of ``plan_owed`` are not planned → how many."""
    rows = conn.execute(
        "select why_not, count(*) from plan_owed where why_not is not null group by 1 order by 2 desc, 1"
    ).fetchall()
    return dict(rows)


def owed_counts(conn: psycopg.Connection) -> list[tuple[str, str, int]]:
    """(reason, provider, how many) of the spellings of ``plan_owed`` that are owed an unsubscribe."""
    return conn.execute(
        "select reason, provider, count(*) from plan_owed where why_not is null group by 1, 2 order by 3 desc, 1, 2"
    ).fetchall()


_KEEP_RATES: LiteralString = """
insert into ledger.provider_rates select * from new_rates order by project, provider
on conflict (project, provider) do update
set judged_count = excluded.judged_count, invalid_count = excluded.invalid_count, rate_at = excluded.rate_at,
    braked_judged_count = excluded.braked_judged_count, braked_invalid_count = excluded.braked_invalid_count,
    braked_at = excluded.braked_at
"""

_WEEK_SHARES: LiteralString = """
with counted as (
    select distinct address_id from (
        select address_id from plan_owed where why_not is null
        union all
        select address_id from plan_history
        where kind = 'unsubscribe' and (outcome is null or outcome = 'processed' and answered_at > %(since)s)
    ) as unsubscribes
)
select (select count(*) from counted),
       (select count(distinct address_id) from ledger.profiles where project = %(project)s),
       (select count(*) from counted where address_id in (select address_id from plan_members)),
       (select count(distinct address_id) from plan_members)
"""
