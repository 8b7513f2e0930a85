"""Where everything stands, as far as no neighbouring file answers it: the last pulls, what is begun, what is left."""

from datetime import datetime
from typing import NamedTuple

import psycopg

from ct_pipeline.vocabulary import ChangeKind, Outcome


class LastPull(NamedTuple):
    """The newest pull of an audience, or of a list of contacts."""

    audience: str
    source_name: str
    row_count: int
    pulled_at: datetime
    is_taken_up: bool
    is_profiles: bool  # of the CleverTap project; else a contact file or single addresses


class BegunPull(NamedTuple):
    """A pull that goes on, or was interrupted."""

    audience: str
    source_name: str
    record_count: int
    updated_at: datetime


class ReceiptCount(NamedTuple):
    """Receipts of one kind and outcome, and when the last of them was written."""

    kind: ChangeKind
    outcome: Outcome
    receipt_count: int
    last_at: datetime


def last_pulls(conn: psycopg.Connection, project: str, limit: int) -> list[LastPull]:
    """The newest pull of each audience of this project and of each contact list, the newest first."""
    rows = conn.execute(
        """
        select * from (
            select distinct on (p.audience_id) a.name, p.source_name, p.row_count, p.pulled_at,
                   p.taken_up_at is not null, p.project <> ''
            from ledger.pulls p join ledger.audiences a using (audience_id)
            where p.project in (%s, '')
            order by p.audience_id, p.pulled_at desc, p.pull_id desc) as newest
        order by pulled_at desc limit %s
        """,
        (project, limit),
    ).fetchall()
    return [LastPull(*row) for row in rows]


def begun_pulls(conn: psycopg.Connection, project: str) -> list[BegunPull]:
    """Pulls of this project that are not complete, the newest first."""
    rows = conn.execute(
        """
        select audience, source_name, record_count, updated_at from ledger.open_pulls where project = %s
        order by updated_at desc
        """,
        (project,),
    ).fetchall()
    return [BegunPull(*row) for row in rows]


def profile_counts(conn: psycopg.Connection, project: str) -> tuple[int, int]:
    """(profiles, of them with an email) of the project."""
    row = conn.execute(
        "select count(*), count(address_id) from ledger.profiles where project = %s", (project,)
    ).fetchone()
    return row or (0, 0)


def judged_since(conn: psycopg.Connection, at: datetime) -> bool:
    """Whether any verdict is newer."""
    row = conn.execute("select exists (select from ledger.verdicts where judged_at > %s)", (at,)).fetchone()
    return row is not None and row[0]


def receipt_counts(conn: psycopg.Connection, project: str) -> list[ReceiptCount]:
    """Receipts by kind of change and outcome."""
    rows = conn.execute(
        """
        select kind, outcome, count(*), max(answered_at)
        from ledger.changes join ledger.receipts using (change_id) where project = %s
        group by kind, outcome order by kind, outcome
        """,
        (project,),
    ).fetchall()
    return [ReceiptCount(ChangeKind(kind), Outcome(outcome), count, at) for kind, outcome, count, at in rows]


def domains_never_looked_up(conn: psycopg.Connection) -> int:
    """Mail domains of which nothing is known yet."""
    row = conn.execute("select count(*) from ledger.domains where service is null").fetchone()
    return row[0] if row else 0
