"""Evidence for the judge, and verdicts back: what is unjudged, what was judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg

from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage
from ct_pipeline.storage.rules_history import note_changes
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verification.probe import ProbeKind, Stage
from ct_pipeline.vocabulary import MailService, Reason, Status


class EvidenceRow(NamedTuple):
    """The fields of ``Evidence``, with the last reply as it came in place of its reading.

    The five ``smtp_`` fields, ``asked_at`` and ``elapsed_ms`` are None while nobody was asked; the ``settled_`` fields
    are those of the last definitive reply, and None where there is none or it is the last reply itself. ``revision``
    says which evidence this is: it is handed back to :func:`keep_verdicts`. None: nothing new is known (judged anew for
    other rules).
    """

    address_id: int
    address: str
    syntax_reason: Reason | None
    is_role: bool
    suggested_email: str | None
    domain: str | None  # None: the string is no address
    mail_service: MailService | None  # None: never looked up
    dns_detail: str
    provider: str
    mx_record: str | None
    is_disposable: bool
    is_free: bool
    domain_looked_up_at: datetime | None
    service_since_at: datetime | None
    smtp_kind: ProbeKind | None
    smtp_stage: Stage | None
    smtp_code: int | None
    smtp_enhanced: str | None
    smtp_text: str | None
    is_definitive: bool  # it settled the mailbox when it came
    probe_reason: Reason | None  # how the reply was read when it came
    asked_at: datetime | None
    elapsed_ms: int | None
    settled_stage: Stage | None
    settled_code: int | None
    settled_enhanced: str | None
    settled_text: str | None
    settled_asked_at: datetime | None
    settled_elapsed_ms: int | None
    attempt_count: int
    next_attempt_at: datetime | None
    is_catch_all: bool | None
    tells_apart: bool | None
    catch_all_found_at: datetime | None
    revision: int | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Evidence that waits for the judge; ``oldest_at`` is None when there is none."""

    count: int
    oldest_at: datetime | None


def unjudged_evidence(
    conn: psycopg.Connection, rules_version: str, limit: int, in_flight: Sequence[int] = ()
) -> list[EvidenceRow]:
    """Evidence of at most ``limit`` addresses with new evidence, or judged by other rules than ``rules_version``.

    Those ``in_flight``, whose verdicts are on their way into the ledger, are left out.
    """
    parameters = {
        "limit": limit,
        "rules_version": rules_version,
        "in_flight": list(in_flight),
        "enough": limit + len(in_flight),
    }
    rows = _evidence(
        conn,
        """
        (select address_id from ledger.unjudged order by address_id limit %(enough)s)
        except select unnest(%(in_flight)s::bigint[]) limit %(limit)s
        """,
        parameters,
    )
    if len(rows) < limit:
        # Two ranges of the index, each read from its end: nothing else finds the last few of 50 million. An address
        # with new evidence as well is among them again.
        known = {row.address_id for row in rows}
        outdated = _evidence(
            conn,
            """
            ((select address_id from ledger.verdicts where rules_version < %(rules_version)s
              order by rules_version limit %(enough)s)
             union all
             (select address_id from ledger.verdicts where rules_version > %(rules_version)s
              order by rules_version desc limit %(enough)s)
             limit %(enough)s)
            except select unnest(%(in_flight)s::bigint[]) limit %(limit)s
            """,
            parameters,
        )
        rows += [row for row in outdated if row.address_id not in known][: limit - len(rows)]
    return rows


def evidence_of(conn: psycopg.Connection, addresses: Sequence[str]) -> list[EvidenceRow]:
    """Evidence of the ``addresses`` that the ledger knows, in no particular order."""
    return _evidence(
        conn,
        "select address_id from ledger.addresses where address = any(%(addresses)s)",
        {"addresses": list(addresses)},
    )


def unjudged_backlog(conn: psycopg.Connection) -> Backlog:
    """How many addresses have evidence that no verdict rests on, and since when."""
    row = conn.execute("select count(*), min(since_at) from ledger.unjudged").fetchone()
    return Backlog(*row) if row else Backlog(0, None)


def keep_verdicts(
    conn: psycopg.Connection,
    verdicts: Sequence[Verdict],
    evidence: Sequence[EvidenceRow],
    rejudgement_id: int | None = None,
) -> int:
    """Keep verdicts and take their addresses off the list of unjudged ones; how many verdicts were kept.

    ``evidence`` are the rows that the verdicts were judged from. An address with evidence that came since stays on the
    list. A verdict from evidence that another judge has dealt with meanwhile is dropped. With ``rejudgement_id``, what
    the rules alone have changed is counted there.
    """
    revisions = {row.address_id: row.revision for row in evidence}
    latest = {verdict.address_id: verdict for verdict in verdicts}
    with conn.transaction():
        make_stage(conn, "new_verdicts", _STAGE)
        copy_rows(conn, "new_verdicts", _STAGE_COLUMNS, ((*v, revisions.get(v.address_id)) for v in latest.values()))
        analyze(conn, "new_verdicts", ["address_id", "seen_revision", "rules_version"])
        conn.execute(_LOCK_UNJUDGED)
        if rejudgement_id is not None:
            note_changes(conn, rejudgement_id)
        kept_count = conn.execute(_MERGE).rowcount  # pyright: ignore[reportArgumentType, reportCallIssue]
        conn.execute(_CLEAR)
        drop_stages(conn, ["new_verdicts"])
    return kept_count


def _evidence(conn: psycopg.Connection, address_ids: LiteralString, parameters: dict[str, Any]) -> list[EvidenceRow]:
    # One statement, hence one snapshot: the revision belongs to the evidence beside it.
    rows = conn.execute(_EVIDENCE.replace("{address_ids}", address_ids), parameters).fetchall()
    return [_evidence_row(row) for row in rows]


def _evidence_row(row: tuple[Any, ...]) -> EvidenceRow:
    values = list(row)
    for position, words in _WORDS:
        if (value := values[position]) is not None:
            values[position] = words[value]
    return EvidenceRow._make(values)


# Where a field is a word of a closed list: its position, and the words. A million rows pass through here.
_WORDS: list[tuple[int, dict[str, Any]]] = [
    (EvidenceRow._fields.index(field), {str(word): word for word in words})
    for field, words in {
        "syntax_reason": Reason,
        "mail_service": MailService,
        "smtp_kind": ProbeKind,
        "smtp_stage": Stage,
        "probe_reason": Reason,
        "settled_stage": Stage,
    }.items()
]


# That a domain is no catch-all, and tells names apart, speaks for replies of its time; a day more is for those of a run
# that began before. That it is one makes nobody valid: it holds until something else is found.
_EVIDENCE: LiteralString = """
select a.address_id, a.address, a.syntax_reason, a.is_role, a.suggested_email,
       d.domain, d.service, coalesce(d.detail, ''), coalesce(d.provider, ''), d.mx_record,
       coalesce(d.is_disposable, false), coalesce(d.is_free, false), d.looked_up_at, d.service_since_at,
       p.kind, p.stage, p.code, p.enhanced, p.text,
       coalesce(due.definitive_probe_id = due.probe_id, false), p.reason, p.asked_at, p.elapsed_ms,
       s.stage, s.code, s.enhanced, s.text, s.asked_at, s.elapsed_ms,
       coalesce(due.attempt_count, 0), due.next_attempt_at,
       case when c.is_catch_all or in_force then c.is_catch_all end, case when in_force then c.tells_apart end,
       c.found_at, u.revision
from ({address_ids}) as chosen
join ledger.addresses a using (address_id)
left join ledger.domains d using (domain_id)
left join ledger.due on due.address_id = a.address_id
left join ledger.probes p on p.probe_id = due.probe_id
left join ledger.probes s on s.probe_id = due.definitive_probe_id and s.probe_id <> due.probe_id
left join ledger.catch_all_facts c on c.domain_id = d.domain_id
cross join lateral (
    select coalesce(coalesce(s.asked_at, p.asked_at) <= c.expires_at + interval '1 day', true) as in_force
) as fact
left join ledger.unjudged u on u.address_id = a.address_id
"""

_VERDICT_COLUMNS = tuple(field for field in Verdict._fields if field != "address")
# A verdict as it is, and behind it the evidence it rests on. Its texts are the ledger's own, or ours: all storable.
_STAGE_COLUMNS = (*Verdict._fields, "seen_revision")
_STAGE = "like ledger.verdicts, address text, seen_revision bigint"


_LOCK_UNJUDGED = """
select from ledger.unjudged where address_id in (select address_id from new_verdicts) order by address_id for update
"""

_MERGE = f"""
insert into ledger.verdicts ({", ".join(_VERDICT_COLUMNS)})
select {", ".join(f"n.{name}" for name in _VERDICT_COLUMNS)}
from new_verdicts n left join ledger.unjudged u using (address_id)
where case when seen_revision is not null then u.revision is not null
           else not exists (
               select from ledger.verdicts v
               where v.address_id = n.address_id and v.judged_at > n.judged_at and v.rules_version = n.rules_version
           ) end
order by address_id
on conflict (address_id) do update
set {", ".join(f"{name} = excluded.{name}" for name in _VERDICT_COLUMNS[1:])}
"""  # noqa: S608 - the tuple above

_CLEAR = """
delete from ledger.unjudged u using new_verdicts n where n.address_id = u.address_id and n.seen_revision = u.revision
"""


# -- what a pull's people get to see ---


def verdict_words(conn: psycopg.Connection, addresses: Sequence[str]) -> dict[str, tuple[Status, Reason]]:
    """Status and reason of those ``addresses`` (normalized) that have a verdict."""
    rows = conn.execute(
        """
        select address, status, reason from ledger.addresses join ledger.verdicts using (address_id)
        where address = any(%s)
        """,
        (list(addresses),),
    ).fetchall()
    return {address: (Status(status), Reason(reason)) for address, status, reason in rows}


def verdict_counts(conn: psycopg.Connection, pull_id: int | None = None) -> dict[Status, int]:
    """Addresses by status, of one pull or of all; those without a verdict count as unknown. Every status is there."""
    counts = dict.fromkeys(Status, 0)
    for status, count in _counts(conn, "status", Status.UNKNOWN, pull_id):
        counts[Status(status)] = count
    return counts


def reason_counts(
    conn: psycopg.Connection, pull_id: int | None = None, status: Status | None = None
) -> dict[Reason, int]:
    """Addresses by reason, of one pull or of all, of one status or of every, the most frequent first."""
    rows = _counts(conn, "reason", Reason.NOT_ASKED_YET, pull_id, status)
    return {Reason(reason): count for reason, count in rows}


def has_verdicts_since(conn: psycopg.Connection, pull_id: int, since: datetime) -> bool:
    """Whether any address of the pull was judged after ``since``. Reads the whole pull when none was."""
    row = conn.execute(
        """
        select exists (
            select from ledger.holders join ledger.verdicts using (address_id)
            where pull_id = %s and judged_at > %s)
        """,
        (pull_id, since),
    ).fetchone()
    return row is not None and row[0]


def _counts(
    conn: psycopg.Connection, column: LiteralString, missing: str, pull_id: int | None, status: Status | None = None
) -> list[tuple[str, int]]:
    chosen = (
        "ledger.addresses"
        if pull_id is None
        else "(select distinct address_id from ledger.holders where pull_id = %(pull_id)s)"
    )
    return conn.execute(
        f"""
        select coalesce({column}, %(missing)s), count(*)
        from {chosen} as mine left join ledger.verdicts using (address_id)
        where %(status)s::text is null or coalesce(status, 'unknown') = %(status)s
        group by 1 order by 2 desc, 1
        """,  # noqa: S608 - two words of this file
        {"missing": str(missing), "pull_id": pull_id, "status": status.value if status else None},
    ).fetchall()
