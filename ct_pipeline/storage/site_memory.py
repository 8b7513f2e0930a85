"""What is remembered of sites from run to run, and whose breakers are open."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg

from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage, storable
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import Reason

BREAKER_TEXT_LIMIT = 1000  # characters, as Reply promises


class OpenBreaker(NamedTuple):
    """A site that turned us away, and the addresses that wait for it."""

    lane: str
    site: str
    egress: str
    note: BreakerNote
    waiting_count: int


def site_memories(conn: psycopg.Connection, egress: str, sites: Collection[str]) -> dict[str, SiteMemory]:
    """What is remembered of those ``sites``, as seen from ``egress``; a site never met is left out."""
    rows = conn.execute(
        """
        select egress, site, lane, updated_at, share, ceiling, ceiling_at, pipelining_broken_at, prefers_other_sender,
               is_cautious, breaker_reason, breaker_text, breaker_opened_at, breaker_until_at, breaker_opened_count
        from ledger.site_memories where egress = %s and site = any(%s)
        """,
        (egress, list(sites)),
    ).fetchall()
    return {row[1]: _memory(row) for row in rows}


def keep_site_memories(conn: psycopg.Connection, memories: Iterable[SiteMemory]) -> None:
    """Replace what is remembered of these sites, unless the ledger holds something newer. Of one site the last counts.

    Runs within the caller's transaction, if there is one; rows are locked in the order of their keys.
    """
    latest = {(memory.egress, memory.site): memory for memory in memories}
    if not latest:
        return
    with conn.transaction():
        make_stage(conn, "new_memories", _STAGE)
        copy_rows(conn, "new_memories", _COLUMNS, map(_row, latest.values()))
        analyze(conn, "new_memories")
        conn.execute(_MERGE)
        drop_stages(conn, ["new_memories"])


def open_breakers(conn: psycopg.Connection, now: datetime, pull_id: int | None = None) -> list[OpenBreaker]:
    """Sites that nothing is asked at before a time to come, those that most addresses (of one pull, if given) wait for
    first."""
    rows = conn.execute(
        """
        select lane, site, egress, breaker_reason, breaker_text, breaker_opened_at, breaker_until_at,
               breaker_opened_count, (
                   select count(*) from ledger.domains d join ledger.due using (domain_id)
                   where d.lane = m.lane and d.site = m.site and next_attempt_at is not null
                         and (%(pull_id)s::bigint is null or exists (
                             select from ledger.holders h
                             where h.address_id = due.address_id and h.pull_id = %(pull_id)s))
               ) as waiting_count
        from ledger.site_memories m where breaker_until_at > %(now)s
        order by waiting_count desc, lane, site, egress
        """,
        {"now": now, "pull_id": pull_id},
    ).fetchall()
    return [
        OpenBreaker(lane, site, egress, BreakerNote(Reason(reason), *note), count)
        for lane, site, egress, reason, *note, count in rows
    ]


_STAGE = """
egress text collate "C", site text collate "C", lane text, share double precision, ceiling integer,
ceiling_at timestamptz, breaker_reason text, breaker_text text, breaker_opened_at timestamptz,
breaker_until_at timestamptz, breaker_opened_count integer, pipelining_broken_at timestamptz,
prefers_other_sender boolean, is_cautious boolean, updated_at timestamptz
"""
_COLUMNS = (
    "egress", "site", "lane", "share", "ceiling", "ceiling_at", "breaker_reason", "breaker_text", "breaker_opened_at",
    "breaker_until_at", "breaker_opened_count", "pipelining_broken_at", "prefers_other_sender", "is_cautious",
    "updated_at",
)  # fmt: skip

_MERGE = f"""
insert into ledger.site_memories ({", ".join(_COLUMNS)})
select {", ".join(_COLUMNS)} from new_memories order by egress, site
on conflict (egress, site) do update
set {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("egress", "site"))}
where excluded.updated_at >= site_memories.updated_at
"""  # noqa: S608 - the names above


def _row(memory: SiteMemory) -> tuple[object, ...]:
    note = memory.breaker
    breaker = (
        (note.reason.value, storable(note.text[:BREAKER_TEXT_LIMIT]), note.opened_at, note.until_at, note.opened_count)
        if note
        else (None,) * 5
    )
    return (
        memory.egress, storable(memory.site), memory.lane, memory.share, memory.ceiling, memory.ceiling_at, *breaker,
        memory.pipelining_broken_at, memory.prefers_other_sender, memory.is_cautious, memory.updated_at,
    )  # fmt: skip


def _memory(row: Sequence) -> SiteMemory:
    egress, site, lane, updated_at, share, ceiling, ceiling_at, pipelining, sender, cautious, reason, *note = row
    breaker = BreakerNote(Reason(reason), *note) if reason is not None else None
    return SiteMemory(egress, site, lane, updated_at, share, ceiling, ceiling_at, breaker, pipelining, sender, cautious)
