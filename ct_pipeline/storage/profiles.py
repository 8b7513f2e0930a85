"""Profiles: each as it was last read, under the identifier that writes use; and who of a pull's holders is which."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import psycopg

from ct_pipeline.storage.copy_in import analyze, copy_frame, drop_stages, make_stage

# What CleverTap shows of a property may be older than what we wrote; after this it is believed.
TRUSTED_AFTER = "1 hour"


@dataclass(frozen=True, slots=True)
class ProfilesTakenUp:
    """What one call brought: profiles that the ledger did not know, and those that were read anew.

    ``replaced_count``: profiles known by an objectId that turned out to be one with an identity, or one another.
    """

    new_count: int
    renewed_count: int
    replaced_count: int


def take_up_profiles(
    conn: psycopg.Connection,
    pull_id: int,
    project: str,
    frame: pl.DataFrame,
    property_names: Iterable[str],
    now: datetime,
) -> ProfilesTakenUp:
    """Merge a pull's profiles, any number of batches, any number of times; and who of them holds which address.

    The newest read of a profile wins: a batch that was read before what the ledger knows changes nothing. Profiles
    without an identifier are holders of their address, and no more.

    ``frame``: ``PROFILE_SCHEMA``, and ``address``: the normalized one, which has been taken up; null without an email.
    Of the properties only those in ``property_names`` are kept; CleverTap does not promise to keep their capitals.
    """
    with conn.transaction():
        _stage(conn, frame, tuple(property_names))
        lock_profiles(conn, project)
        parameters: dict[str, object] = {"pull_id": pull_id, "project": project, "now": now}
        by_object_id = _merge(conn, parameters | {"kind": "objectId"})
        replaced_count = _replace(conn, parameters)
        by_identity = _merge(conn, parameters | {"kind": "identity"})
        conn.execute(_HOLDERS, parameters)
        drop_stages(conn, ["pull_profiles", "pull_objects", "replaced_profiles"])
    new_count = by_object_id[0] + by_identity[0]
    return ProfilesTakenUp(new_count, by_object_id[1] + by_identity[1], replaced_count)


def lock_profiles(conn: psycopg.Connection, project: str) -> None:
    """To be taken by whoever changes many profiles, to the end of the transaction: each has an order of its own."""
    conn.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))", (json.dumps(["ct_pipeline profiles", project]),)
    )


_STAGE = """
row_number bigint, identifier_kind text, identifier text collate "C", raw_email text collate "C",
address text collate "C",
unsubscribe_event_count integer, unsubscribe_event_at timestamptz, properties jsonb, fetched_at timestamptz
"""


def _stage(conn: psycopg.Connection, frame: pl.DataFrame, property_names: Sequence[str]) -> None:
    ours = _properties_in(frame["properties"], property_names)
    make_stage(conn, "pull_profiles", _STAGE)
    wanted = [name.split()[0] for name in _STAGE.split(",")]
    copy_frame(conn, "pull_profiles", frame.with_columns(ours.alias("properties")).select(wanted))
    # the other names that the ledger may know a profile by
    others = frame.select("row_number", "identifier_kind", "identifier", object_id="object_ids").explode("object_id")
    is_other = (pl.col("identifier_kind") != "objectId") | (pl.col("identifier") != pl.col("object_id"))
    make_stage(conn, "pull_objects", 'row_number bigint, object_id text collate "C"')
    copy_frame(conn, "pull_objects", others.drop_nulls().filter(is_other).select("row_number", "object_id"))
    for table in ("pull_profiles", "pull_objects"):
        analyze(conn, table)


def _properties_in(properties: pl.Series, names: Sequence[str]) -> pl.Series:
    """Of each JSON object its members called one of ``names``, spelled as in there, as a JSON object again."""
    if not names:
        return pl.repeat("{}", len(properties), dtype=pl.String, eager=True).alias("properties")
    spellings = {name.casefold(): name for name in names}
    # Most profiles have none, and what is not parsed costs nothing. Capitals outside ASCII do not vary.
    quoted = [json.dumps(name, ensure_ascii=False) for name in names]
    has_some = properties.str.contains_any(quoted, ascii_case_insensitive=True)
    kept = ["{}"] * len(properties)
    for row in has_some.fill_null(value=False).arg_true():
        kept[row] = _members(json.loads(properties[row]), spellings)
    return pl.Series("properties", kept, dtype=pl.String)


def _members(properties: Mapping[str, object], spellings: Mapping[str, str]) -> str:
    found = {spellings[name.casefold()]: value for name, value in properties.items() if name.casefold() in spellings}
    return json.dumps(found, ensure_ascii=False)


_MERGE = f"""
with merged as (
insert into ledger.profiles as known (
    project, identifier_kind, identifier, address_id, raw_email, unsubscribe_event_count, unsubscribe_event_at,
    properties, properties_at, seen_at, pull_id)
select distinct on (identifier)
       %(project)s, identifier_kind, identifier, address_id, case when address_id is not null then raw_email end,
       unsubscribe_event_count, unsubscribe_event_at, properties, fetched_at, least(fetched_at, %(now)s), %(pull_id)s
from pull_profiles left join ledger.addresses using (address)
where identifier_kind = %(kind)s
order by identifier, fetched_at desc
on conflict (project, identifier_kind, identifier) do update
set address_id = excluded.address_id, raw_email = excluded.raw_email,
    unsubscribe_event_count = excluded.unsubscribe_event_count, unsubscribe_event_at = excluded.unsubscribe_event_at,
    properties = case when excluded.properties_at < known.properties_at + interval '{TRUSTED_AFTER}'
                      then known.properties else excluded.properties end,
    properties_at = case when excluded.properties_at < known.properties_at + interval '{TRUSTED_AFTER}'
                         then known.properties_at else excluded.properties_at end,
    seen_at = excluded.seen_at, pull_id = excluded.pull_id
where excluded.seen_at > known.seen_at
returning xmax = 0 as is_new
)
select count(*) filter (where is_new), count(*) filter (where not is_new) from merged
"""  # noqa: S608 - the interval above


def _merge(conn: psycopg.Connection, parameters: dict[str, object]) -> tuple[int, int]:
    """How many are new, and how many were known. (Postgres leaves xmax of a fresh row 0.)"""
    row = conn.execute(_MERGE, parameters).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return row[0], row[1]


# Rows known by an objectId of a profile that has been read since under another identifier. Of two that were read at the
# same time and claim each other, one stays.
_REPLACED = """
create temporary table replaced_profiles on commit drop as
select distinct on (old.profile_id)
       old.profile_id as old_id, old.identifier as object_id, s.identifier_kind, s.identifier,
       known.profile_id as kept_id
from pull_objects o
join pull_profiles s using (row_number)
join ledger.profiles old
     on old.project = %(project)s and old.identifier_kind = 'objectId' and old.identifier = o.object_id
left join ledger.profiles known
     on known.project = %(project)s and known.identifier_kind = s.identifier_kind and known.identifier = s.identifier
where (old.seen_at < s.fetched_at
       or (old.seen_at = s.fetched_at and (s.identifier_kind = 'identity' or s.identifier < old.identifier)))
      and (known.seen_at is null or known.seen_at <= s.fetched_at)
order by old.profile_id, s.fetched_at desc, s.identifier
"""


def _replace(conn: psycopg.Connection, parameters: dict[str, object]) -> int:
    conn.execute(_REPLACED, parameters)
    analyze(conn, "replaced_profiles")
    row = conn.execute("select count(*) from replaced_profiles").fetchone()
    if row is None or not row[0]:
        return 0
    for statement in _FOLD_TOGETHER:
        conn.execute(statement, parameters)
    return row[0]


# The profile keeps its row where only its name has changed: holders and changes stay with it. Where the ledger knows
# both, they move to the row that stays, with the properties that are known best. A row that changes its name counts as
# never read until the merge that follows.
_FOLD_TOGETHER = (
    """
    update replaced_profiles r set kept_id = first_id
    from (select identifier_kind, identifier, min(old_id) as first_id from replaced_profiles group by 1, 2) as firsts
    where kept_id is null and (r.identifier_kind, r.identifier) = (firsts.identifier_kind, firsts.identifier)
    """,
    """
    update ledger.profiles p set identifier_kind = r.identifier_kind, identifier = r.identifier, seen_at = '-infinity'
    from replaced_profiles r where r.old_id = r.kept_id and p.profile_id = r.kept_id
    """,
    """
    update ledger.profiles p set properties = best.properties, properties_at = best.properties_at
    from (
        select distinct on (kept_id) kept_id, properties, properties_at
        from replaced_profiles join ledger.profiles on profile_id = old_id where old_id <> kept_id
        order by kept_id, properties_at desc nulls last
    ) as best
    where p.profile_id = best.kept_id and best.properties_at > coalesce(p.properties_at, '-infinity')
    """,
    """
    update ledger.holders h set profile_id = kept_id
    from replaced_profiles r where old_id <> kept_id and h.profile_id = old_id
    """,
    """
    update ledger.changes c set profile_id = kept_id
    from replaced_profiles r where old_id <> kept_id and c.profile_id = old_id and c.kind = 'set_properties'
    """,
    "delete from ledger.profiles p using replaced_profiles r where old_id <> kept_id and p.profile_id = old_id",
)

_HOLDERS = """
insert into ledger.holders as known (pull_id, row_number, address_id, raw_email, profile_id)
select %(pull_id)s, s.row_number, a.address_id, nullif(s.raw_email, a.address), coalesce(p.profile_id, r.kept_id)
from pull_profiles s
join ledger.addresses a using (address)
left join ledger.profiles p
     on p.project = %(project)s and p.identifier_kind = s.identifier_kind and p.identifier = s.identifier
left join replaced_profiles r on s.identifier_kind = 'objectId' and r.object_id = s.identifier
order by s.row_number
on conflict (pull_id, row_number) do update set profile_id = excluded.profile_id
where known.profile_id is distinct from excluded.profile_id
"""
