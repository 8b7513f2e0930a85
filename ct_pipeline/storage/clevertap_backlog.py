"""What waits at both ends of CleverTap: days to pull, news to plan for, batches to send. Sensors ask, so cheaply."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import psycopg

from ct_pipeline.storage.changes import SENDABLE
from ct_pipeline.storage.pulls import ledger_audience


@dataclass(frozen=True, slots=True)
class WaitingBatches:
    """Batches that a push would send. ``fingerprint`` changes with every batch that comes, starts or ends."""

    count: int
    fingerprint: str


def days_pulled(conn: psycopg.Connection, project: str, audience: str, days: Sequence[date]) -> set[date]:
    """Those of ``days`` that were pulled for the project, as parts of ``audience``."""
    names = [day.isoformat() for day in days]
    rows = conn.execute(
        """
        select source_name from ledger.pulls join ledger.audiences using (audience_id)
        where project = %s and name = %s and source_name = any(%s)
        """,
        (project, ledger_audience(project, audience), names),
    ).fetchall()
    return {date.fromisoformat(name) for (name,) in rows}


def has_pulls_to_take_up(conn: psycopg.Connection) -> bool:
    """Whether a pull is complete and its addresses are not in the ledger yet."""
    row = conn.execute("select exists (select from ledger.pulls where taken_up_at is null)").fetchone()
    return row is not None and row[0]


def has_profiles(conn: psycopg.Connection, project: str) -> bool:
    """Whether any profile of the project was taken up."""
    row = conn.execute("select exists (select from ledger.profiles where project = %s)", (project,)).fetchone()
    return row is not None and row[0]


def has_verdicts(conn: psycopg.Connection) -> bool:
    """Whether any address was judged."""
    row = conn.execute("select exists (select from ledger.verdicts)").fetchone()
    return row is not None and row[0]


def has_news_since(conn: psycopg.Connection, project: str, since: datetime) -> bool:
    """Whether an address was judged, or profiles of the project were taken up, after ``since``."""
    row = conn.execute(
        """
        select exists (select from ledger.verdicts where judged_at > %(since)s)
               or exists (select from ledger.pulls where project = %(project)s and taken_up_at > %(since)s)
        """,
        {"project": project, "since": since},
    ).fetchone()
    return row is not None and row[0]


def batches_to_send(conn: psycopg.Connection, project: str) -> WaitingBatches:
    """What a push of the project would take."""
    row = conn.execute(
        """
        select count(*), coalesce(max(batch_id), 0), coalesce(max(extract(epoch from sending_at)), 0)
        from ledger.batches where project = %s and state = any(%s)
        """,
        (project, [str(state) for state in SENDABLE]),
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return WaitingBatches(row[0], "/".join(str(value) for value in row))
