"""The trail that leads to a verdict: every question about an address and about its domain, and what comes next.

Read for a handful of addresses at a time, when someone asks why.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import LiteralString, NamedTuple

import psycopg

from ct_pipeline.storage.addresses import TAKES_MAIL
from ct_pipeline.storage.unjudged import DOMAINS_LOCK
from ct_pipeline.verification.probe import CatchAllFact, Probe, ProbeKind, Reply, Session, Stage
from ct_pipeline.verification.site_memory import BreakerNote
from ct_pipeline.vocabulary import Reason, Status


class RecordedProbe(NamedTuple):
    """A question with its reply, and the session in which it was asked (None: the ledger does not hold it)."""

    probe: Probe
    session: Session | None


class Known(NamedTuple):
    """What the ledger holds of one address beside its verdict: its turn, and how it stood when it was judged last."""

    address_id: int
    address: str
    domain: str | None  # None: the string is no address
    attempt_count: int
    next_attempt_at: datetime | None  # None: answered, or never to be asked
    answered_at: datetime | None
    probe_id: int | None  # the last reply about it, or about us while asking for it
    judged: "Judged | None"  # None: never


class Judged(NamedTuple):
    """The verdict as it was stored."""

    status: Status
    reason: Reason
    rule: str
    rules_version: str
    judged_at: datetime


class Holding(NamedTuple):
    """A list or pull that an address came with."""

    audience: str
    source_name: str
    pulled_at: datetime


def known_addresses(conn: psycopg.Connection, addresses: Collection[str]) -> dict[str, Known]:
    """Those of the ``addresses`` (normalized) that the ledger has ever met."""
    rows = conn.execute(
        """
        select a.address_id, address, domain, coalesce(due.attempt_count, 0), next_attempt_at, answered_at, probe_id,
               status, reason, rule, rules_version, judged_at
        from ledger.addresses a
        left join ledger.domains d using (domain_id)
        left join ledger.due on due.address_id = a.address_id
        left join ledger.verdicts v on v.address_id = a.address_id
        where address = any(%s)
        """,
        (list(addresses),),
    ).fetchall()
    return {row[1]: Known(*row[:7], judged=_judged(*row[7:])) for row in rows}


def held_by(conn: psycopg.Connection, address_ids: Collection[int], limit: int) -> dict[int, list[Holding]]:
    """The last ``limit`` lists and pulls that brought each address, the newest first; questions of `check` left out."""
    rows = conn.execute(
        """
        select chosen.address_id, name, source_name, pulled_at
        from unnest(%(ids)s::bigint[]) as chosen (address_id)
        cross join lateral (
            select distinct pull_id, name, source_name, pulled_at
            from ledger.holders join ledger.pulls using (pull_id) join ledger.audiences using (audience_id)
            where holders.address_id = chosen.address_id and pulls.kind <> 'check'
            order by pulled_at desc, pull_id desc limit %(limit)s
        ) as held
        order by pulled_at desc, pull_id desc
        """,
        {"ids": list(address_ids), "limit": limit},
    ).fetchall()
    found: dict[int, list[Holding]] = defaultdict(list)
    for address_id, *rest in rows:
        found[address_id].append(Holding(*rest))
    return dict(found)


def probes_about(conn: psycopg.Connection, address_ids: Collection[int], limit: int) -> dict[int, list[RecordedProbe]]:
    """The last questions about each address, the newest first: at most ``limit`` of each, and beside them the reply
    that its verdict rests on, which may be one that the whole session got."""
    rows = conn.execute(
        f"""
        {_PROBES.replace("{key}", "chosen.address_id")}
        from unnest(%(ids)s::bigint[]) as chosen (address_id)
        cross join lateral (
            (select * from ledger.probes where probes.address_id = chosen.address_id
             order by asked_at desc, probe_id desc limit %(limit)s)
            union
            select probes.* from ledger.due join ledger.probes
                on probes.probe_id in (due.probe_id, due.definitive_probe_id)
            where due.address_id = chosen.address_id
        ) as p
        {_BESIDE_THEM}
        {_NEWEST_FIRST}
        """,  # noqa: S608 - the words below
        {"ids": list(address_ids), "limit": limit},
    ).fetchall()
    return _by_key(rows)


def probes_of_domains(conn: psycopg.Connection, domains: Collection[str], limit: int) -> dict[str, list[RecordedProbe]]:
    """The last questions to each domain that were not about an address of a list, the newest first, at most ``limit``
    of each kind: made-up names, postmaster, and sessions that ended before anything was asked."""
    rows = conn.execute(
        f"""
        {_PROBES.replace("{key}", "chosen.domain")}
        from ledger.domains chosen
        cross join unnest(%(kinds)s::text[]) as one (kind)
        cross join lateral (
            select * from ledger.probes
            where probes.domain_id = chosen.domain_id and address_id is null and probes.kind = one.kind
            order by asked_at desc limit %(limit)s
        ) as p
        {_BESIDE_THEM}
        where chosen.domain = any(%(domains)s)
        {_NEWEST_FIRST}
        """,  # noqa: S608 - the words below
        {
            "domains": list(domains),
            "limit": limit,
            "kinds": [kind.value for kind in ProbeKind if kind not in (ProbeKind.MAILBOX, ProbeKind.WITNESS)],
        },
    ).fetchall()
    return _by_key(rows)


def latest_catch_all_facts(conn: psycopg.Connection, domains: Collection[str]) -> dict[str, CatchAllFact]:
    """What was found out last of those ``domains``, expired facts too."""
    rows = conn.execute(
        """
        select domain, is_catch_all, tells_apart, probe_id, found_at, catch_all_facts.expires_at, doubted_at
        from ledger.domains join ledger.catch_all_facts using (domain_id) where domain = any(%s)
        """,
        (list(domains),),
    ).fetchall()
    return {row[0]: CatchAllFact(*row) for row in rows}


def breakers_of(conn: psycopg.Connection, sites: Collection[str]) -> dict[str, dict[str, BreakerNote]]:
    """Breakers of those ``sites``, by site and egress, those whose time is up too: the next session is a trial."""
    rows = conn.execute(
        """
        select site, egress, breaker_reason, breaker_text, breaker_opened_at, breaker_until_at, breaker_opened_count
        from ledger.site_memories where site = any(%s) and breaker_until_at is not null order by site, egress
        """,
        (list(sites),),
    ).fetchall()
    breakers: dict[str, dict[str, BreakerNote]] = defaultdict(dict)
    for site, egress, reason, *note in rows:
        breakers[site][egress] = BreakerNote(Reason(reason), *note)
    return dict(breakers)


def ask_again(conn: psycopg.Connection, addresses: Collection[str], now: datetime) -> set[str]:
    """Make ``addresses`` due at once that are put off or answered; those that were.

    What answers for them without a question of their own is asked anew too: facts of a domain that takes no mail, and
    the finding that a domain is a catch-all, expire. An answered address begins at its first attempt, like one that has
    gone stale; one that was put off goes on counting.
    """
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock_shared(%s)", (DOMAINS_LOCK,))
        chosen = conn.execute(
            """
            select address_id, due.domain_id, address from ledger.due join ledger.addresses using (address_id)
            where address = any(%(addresses)s) and (next_attempt_at is null or next_attempt_at > %(now)s)
            order by address_id for update of due
            """,
            {"addresses": list(addresses), "now": now},
        ).fetchall()
        domain_ids = sorted({domain_id for _, domain_id, _ in chosen})
        conn.execute(_EXPIRE_FACTS, {"domain_ids": domain_ids, "now": now, "takes_mail": TAKES_MAIL})
        conn.execute(_EXPIRE_CATCH_ALL, {"domain_ids": domain_ids, "now": now})
        conn.execute(_MAKE_DUE, {"address_ids": [address_id for address_id, _, _ in chosen], "now": now})
    return {address for _, _, address in chosen}


_EXPIRE_FACTS = """
update ledger.domains set expires_at = %(now)s
where domain_id in (
    select domain_id from ledger.domains
    where domain_id = any(%(domain_ids)s) and expires_at > %(now)s and not service = any(%(takes_mail)s)
    order by domain_id for update)
"""

_EXPIRE_CATCH_ALL = """
update ledger.catch_all_facts set expires_at = %(now)s
where domain_id in (
    select domain_id from ledger.catch_all_facts
    where domain_id = any(%(domain_ids)s) and expires_at > %(now)s and is_catch_all
    order by domain_id for update)
"""

_MAKE_DUE = """
update ledger.due
set attempt_count = case when next_attempt_at is null then 0 else attempt_count end, next_attempt_at = %(now)s
where address_id = any(%(address_ids)s)
"""

_PROBES: LiteralString = """
select {key}, p.probe_id, p.session_id, p.kind, p.address_id, asked.domain, p.stage, p.code, p.enhanced, p.text,
       p.reason, p.rule, p.asked_at, p.elapsed_ms,
       s.session_id, s.lane, s.site, s.mx_host, s.mx_address, s.helo_name, s.mail_from, s.started_at, s.ended_at,
       s.command_count, s.rcpt_count, s.is_tls, s.outcome, s.egress
"""
_BESIDE_THEM: LiteralString = """
join ledger.domains asked on asked.domain_id = p.domain_id
left join ledger.sessions s on s.session_id = p.session_id
"""
_NEWEST_FIRST: LiteralString = "order by p.asked_at desc, p.probe_id desc"


def _judged(status: str | None, reason: str, rule: str, rules_version: str, judged_at: datetime) -> Judged | None:
    return Judged(Status(status), Reason(reason), rule, rules_version, judged_at) if status else None


def _by_key(rows: list[tuple]) -> dict:
    found: dict = defaultdict(list)
    for key, *rest in rows:
        found[key].append(_recorded(rest))
    return dict(found)


def _recorded(row: list) -> RecordedProbe:
    probe_id, session_id, kind, address_id, domain, stage, code, enhanced, text, reason, rule, at, elapsed_ms = row[:13]
    reply = Reply(Stage(stage), code, enhanced, text)
    probe = Probe(
        probe_id, session_id, ProbeKind(kind), address_id, domain, reply, Reason(reason), rule, at, elapsed_ms
    )
    session = Session(*row[13:]) if row[13] is not None else None
    return RecordedProbe(probe, session)
