"""What the verifier observed, merged into the ledger in one transaction: sessions, probes, turns, catch-all facts, and
what is remembered of sites.

Merging the same observations twice leaves the ledger as merging them once, so an unsure commit may be repeated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage, storable
from ct_pipeline.storage.site_memory import keep_site_memories
from ct_pipeline.storage.unjudged import add_to_unjudged
from ct_pipeline.verification.probe import CatchAllFact, Probe, Session, Turn
from ct_pipeline.verification.site_memory import SiteMemory

REPLY_TEXT_LIMIT = 1000  # characters, as Reply promises; a row must stay small whatever a host says


@dataclass(slots=True)
class Observations:
    """Rows of the five kinds; of an address's turns, a domain's facts and a site's memories, the last counts."""

    sessions: list[Session] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    catch_all_facts: list[CatchAllFact] = field(default_factory=list)
    site_memories: list[SiteMemory] = field(default_factory=list)

    def add(self, more: "Observations") -> None:
        self.sessions.extend(more.sessions)
        self.probes.extend(more.probes)
        self.turns.extend(more.turns)
        self.catch_all_facts.extend(more.catch_all_facts)
        self.site_memories.extend(more.site_memories)

    @property
    def row_count(self) -> int:
        kinds = (self.sessions, self.probes, self.turns, self.catch_all_facts, self.site_memories)
        return sum(map(len, kinds))


def merge_observations(conn: psycopg.Connection, observed: Observations, now: datetime) -> None:
    """Keep everything, or nothing. Rows are locked in the order of their keys, table by table."""
    with conn.transaction():
        _stage(conn, observed)
        conn.execute(_NEW_DOMAINS)
        conn.execute(_MERGE_SESSIONS)
        conn.execute(_MERGE_PROBES)
        conn.execute(_LOCK_DUE)
        conn.execute(_MERGE_TURNS, {"now": now})
        conn.execute(_CHANGED_FACTS)
        conn.execute(_MERGE_FACTS)
        keep_site_memories(conn, observed.site_memories)
        add_to_unjudged(conn, _AFFECTED, {}, now)
        drop_stages(conn, _STAGES)


_STAGES = {
    "new_sessions": """
        session_id bigint, lane text, site text, mx_host text, mx_address text, helo_name text, mail_from text,
        started_at timestamptz, ended_at timestamptz, command_count integer, rcpt_count integer, is_tls boolean,
        outcome text, egress text
        """,
    "new_probes": """
        probe_id bigint, session_id bigint, kind text, address_id bigint, domain text collate "C", stage text,
        code smallint, enhanced text, text text, reason text, rule text, asked_at timestamptz, elapsed_ms integer
        """,
    "new_turns": """
        address_id bigint, next_attempt_at timestamptz, attempt_count integer, probe_id bigint,
        definitive_probe_id bigint, is_retracted boolean, retracted_probe_id bigint,
        standing_probe_id bigint
        """,
    "new_facts": """
        domain text collate "C", is_catch_all boolean, tells_apart boolean, probe_id bigint, found_at timestamptz,
        expires_at timestamptz, doubted_at timestamptz
        """,
    "changed_domains": "domain_id integer",
}


def _stage(conn: psycopg.Connection, observed: Observations) -> None:
    for name, columns in _STAGES.items():
        make_stage(conn, name, columns)
    facts = {fact.domain: fact for fact in observed.catch_all_facts}
    _copy(conn, "new_sessions", map(_session_row, observed.sessions))
    _copy(conn, "new_probes", map(_probe_row, observed.probes))
    _copy(conn, "new_turns", _last_turns(observed.turns))
    _copy(
        conn,
        "new_facts",
        (
            (f.domain, f.is_catch_all, f.tells_apart, f.probe_id, f.found_at, f.expires_at, f.doubted_at)
            for f in facts.values()
        ),
    )


def _last_turns(turns: Iterable[Turn]) -> Iterable[tuple[object, ...]]:
    """One row an address: its last turn, the probe of its last definitive one, and which earlier such are void."""
    last: dict[int, Turn] = {}
    definitive: dict[int, int | None] = {}
    retracted: set[int] = set()
    retracted_probe: dict[int, tuple[int, int | None]] = {}  # and what stands in its place
    for turn in turns:
        last[turn.address_id] = turn
        if turn.retracted_probe_id is not None:
            retracted_probe[turn.address_id] = turn.retracted_probe_id, turn.standing_probe_id
            if definitive.get(turn.address_id) == turn.retracted_probe_id:
                del definitive[turn.address_id]
        if turn.is_retracted:
            definitive.pop(turn.address_id, None)
            retracted.add(turn.address_id)
        if turn.is_definitive:
            definitive[turn.address_id] = turn.probe_id
    return (
        (
            n, t.next_attempt_at, t.attempt_count, t.probe_id, definitive.get(n), n in retracted,
            *retracted_probe.get(n, (None, None)),
        )
        for n, t in last.items()
    )  # fmt: skip


def _copy(conn: psycopg.Connection, stage: str, rows: Iterable[Sequence[object]]) -> None:
    columns = [part.split()[0] for part in _STAGES[stage].split(",")]
    copy_rows(conn, stage, columns, rows)
    analyze(conn, stage)


def _session_row(s: Session) -> tuple[object, ...]:
    return (
        s.session_id, s.lane, storable(s.site), storable(s.mx_host), s.mx_address, s.helo_name, s.mail_from,
        s.started_at, s.ended_at, s.command_count, s.rcpt_count, s.is_tls, s.outcome, s.egress,
    )  # fmt: skip


def _probe_row(p: Probe) -> tuple[object, ...]:
    reply = p.reply
    return (
        p.probe_id, p.session_id, p.kind.value, p.address_id, p.domain, reply.stage.value, reply.code,
        storable(reply.enhanced), storable(reply.text[:REPLY_TEXT_LIMIT]), p.reason.value, p.rule, p.asked_at,
        p.elapsed_ms,
    )  # fmt: skip


_NEW_DOMAINS = """
insert into ledger.domains (domain)
select domain from (select domain from new_probes union select domain from new_facts) as named
where not exists (select from ledger.domains known where known.domain = named.domain)
order by domain
on conflict do nothing
"""

_MERGE_SESSIONS = "insert into ledger.sessions select * from new_sessions order by session_id on conflict do nothing"

_MERGE_PROBES = """
insert into ledger.probes (probe_id, session_id, kind, address_id, domain_id, stage, code, enhanced, text, reason, rule,
                           asked_at, elapsed_ms)
select probe_id, session_id, kind, address_id, domain_id, stage, code, enhanced, text, reason, rule,
       asked_at, elapsed_ms
from new_probes join ledger.domains using (domain)
order by probe_id
on conflict do nothing
"""

# An update takes its rows in whatever order the plan yields: they are locked beforehand, sorted.
_LOCK_DUE = """
select from ledger.due where address_id in (select address_id from new_turns) order by address_id for update
"""

# A turn without a probe (the domain answered for the address) leaves the last reply in place: it is still evidence. So
# is the last one that settled the mailbox, whatever is said later. One that does so only once it is repeated leaves the
# address without an answer, also where it had one.
_MERGE_TURNS = """
update ledger.due
set next_attempt_at = t.next_attempt_at, attempt_count = t.attempt_count, probe_id = coalesce(t.probe_id, due.probe_id),
    definitive_probe_id =
        coalesce(t.definitive_probe_id,
                 case when t.is_retracted then null
                      when due.definitive_probe_id = t.retracted_probe_id then t.standing_probe_id
                      else due.definitive_probe_id end),
    answered_at = case when t.next_attempt_at is null then %(now)s
                       when t.definitive_probe_id is null then answered_at end
from new_turns t where t.address_id = due.address_id
"""

_CHANGED_FACTS = """
insert into changed_domains
select domain_id
from new_facts f join ledger.domains using (domain) left join ledger.catch_all_facts known using (domain_id)
where (f.is_catch_all, f.tells_apart) is distinct from (known.is_catch_all, known.tells_apart)
"""

_MERGE_FACTS = """
insert into ledger.catch_all_facts (domain_id, is_catch_all, tells_apart, probe_id, found_at, expires_at, doubted_at)
select domain_id, is_catch_all, tells_apart, probe_id, found_at, new_facts.expires_at, doubted_at
from new_facts join ledger.domains using (domain)
order by domain_id
on conflict (domain_id) do update
set is_catch_all = excluded.is_catch_all, tells_apart = excluded.tells_apart, probe_id = excluded.probe_id,
    found_at = excluded.found_at, expires_at = excluded.expires_at, doubted_at = excluded.doubted_at
where excluded.found_at >= catch_all_facts.found_at
"""

# A fact found later may change the verdict of every neighbour that has one, or a reply to rest one on.
_AFFECTED = """
select address_id from new_turns
union
select a.address_id
from changed_domains join ledger.addresses a using (domain_id)
where exists (select from ledger.verdicts v where v.address_id = a.address_id)
      or exists (select from ledger.due where due.address_id = a.address_id and due.probe_id is not null)
"""
