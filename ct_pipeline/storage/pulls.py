"""Pulls: each file or page of profiles that came in, once, and whether its addresses were taken up."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from ct_pipeline.storage.copy_in import storable

PROFILES = "profiles"  # kind of a pull from CleverTap; the kinds of others are CONTACT_FILE and ``check``
CONTACT_FILE = "contact_file"


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull. ``columns`` are the source's column names in order, or whatever JSON was recorded.

    ``audience`` is as the ledger names it: of a profile pull with the project before it, see
    :func:`ledger_audience`.
    """

    pull_id: int
    audience: str
    kind: str
    source_name: str
    sha256: str
    lake_path: str
    row_count: int
    set_aside_count: int
    email_column: str
    columns: Any
    pulled_at: datetime
    taken_up_at: datetime | None
    project: str = ""  # CleverTap's Project ID; empty: not from CleverTap


_SELECT = """
select pull_id, audiences.name as audience, kind, source_name, sha256, lake_path, row_count, set_aside_count,
       email_column, columns, pulled_at, taken_up_at, project
from ledger.pulls join ledger.audiences using (audience_id)
"""


def record_pull(
    conn: psycopg.Connection,
    audience: str,
    kind: str,
    source_name: str,
    sha256: str,
    lake_path: str,
    row_count: int,
    set_aside_count: int,
    email_column: str,
    columns: Sequence[str] | dict[str, Any] | str,
    now: datetime,
    project: str = "",
) -> int:
    """The pull's id. The same content for the same audience is the same pull; where it lies is brought up to date.

    ``columns`` may be anything that JSON can hold, or a string that is JSON already.
    """
    with conn.transaction():
        conn.execute(
            "insert into ledger.audiences (name, created_at) values (%s, %s) on conflict do nothing",
            (storable(audience), now),
        )
        row = conn.execute(
            """
            insert into ledger.pulls (audience_id, kind, source_name, sha256, lake_path, row_count, set_aside_count,
                                      email_column, columns, pulled_at, project)
            select audience_id, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s from ledger.audiences where name = %s
            on conflict (audience_id, sha256) do update
            set kind = excluded.kind, source_name = excluded.source_name, lake_path = excluded.lake_path,
                row_count = excluded.row_count, set_aside_count = excluded.set_aside_count,
                email_column = excluded.email_column, columns = excluded.columns, pulled_at = excluded.pulled_at,
                project = excluded.project
            returning pull_id
            """,
            (
                kind,
                storable(source_name),
                sha256,
                lake_path,
                row_count,
                set_aside_count,
                storable(email_column),
                _as_json(columns),
                now,
                project,
                storable(audience),
            ),
        ).fetchone()
    assert row is not None, "an insert that returns always returns a row"
    return row[0]


def ledger_audience(project: str, name: str) -> str:
    """The ledger's name for an audience of a CleverTap project: names are unique over all projects and files."""
    return f"{project}/{name}"


def find_pull(conn: psycopg.Connection, sha256: str, audience: str) -> Pull | None:
    """The pull of this content for this audience, if there is one."""
    return _one(conn, "where sha256 = %s and audiences.name = %s", (sha256, storable(audience)))


def pull(conn: psycopg.Connection, pull_id: int) -> Pull | None:
    """The pull with this id."""
    return _one(conn, "where pull_id = %s", (pull_id,))


def latest_pull(conn: psycopg.Connection, source_name: str) -> Pull | None:
    """The newest pull from a source that is not CleverTap, such as a file's name."""
    return _one(
        conn,
        "where source_name = %s and project = '' order by pulled_at desc, pull_id desc limit 1",
        (storable(source_name),),
    )


def pulls_not_taken_up(conn: psycopg.Connection) -> list[Pull]:
    """Pulls whose addresses are not all in the ledger yet, oldest first."""
    with conn.cursor(row_factory=class_row(Pull)) as cursor:
        return cursor.execute(f"{_SELECT} where taken_up_at is null order by pull_id").fetchall()


def mark_taken_up(conn: psycopg.Connection, pull_id: int, now: datetime) -> None:
    """All rows of the pull are in the ledger."""
    conn.execute("update ledger.pulls set taken_up_at = %s where pull_id = %s", (now, pull_id))


def _one(conn: psycopg.Connection, condition: str, parameters: tuple[object, ...]) -> Pull | None:
    with conn.cursor(row_factory=class_row(Pull)) as cursor:
        return cursor.execute(f"{_SELECT} {condition}", parameters).fetchone()  # pyright: ignore[reportArgumentType]


def _as_json(columns: object) -> str:
    # jsonb cannot hold NUL
    text = columns if isinstance(columns, str) else json.dumps(columns)
    return text.replace("\\u0000", "\\ufffd")
