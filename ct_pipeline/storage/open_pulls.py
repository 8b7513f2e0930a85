"""Pulls from CleverTap that are under way: where an interrupted one goes on."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import psycopg

from ct_pipeline.errors import PullHeldError

PATIENCE = "3s"  # how long the database may need to notice that a killed process is gone


class ReadingKind(StrEnum):
    PROFILES = "profiles"
    EVENTS = "events"


class Reading(NamedTuple):
    """One export that belongs to a pull."""

    kind: ReadingKind
    query: dict[str, object]


@dataclass(frozen=True, slots=True)
class OpenPull:
    """A pull under way. What it has read so far are its pages, numbered from 0, in the lake."""

    open_pull_id: int
    project: str
    audience: str
    source_name: str
    pull_key: str
    readings: tuple[Reading, ...]
    started_at: datetime
    query_number: int = 0  # of the reading under way; all are done when it is their number
    cursor: str | None = field(default=None, repr=False)  # of the next page; None: the query is still to be opened
    page_count: int = 0
    record_count: int = 0  # profiles and events, also those that came twice
    query_record_count: int = 0  # of the reading under way, since it was opened last
    set_aside_count: int = 0
    expected_count: int | None = None  # the largest number that CleverTap counts for a query
    is_repeat: bool = False  # the reading under way is done again: its first export looked too small
    restart_count: int = 0
    notes: tuple[str, ...] = ()

    @property
    def is_read(self) -> bool:
        return self.query_number >= len(self.readings)


_PROGRESS = (
    "query_number", "cursor", "page_count", "record_count", "query_record_count", "set_aside_count", "expected_count",
    "is_repeat", "restart_count",
)  # fmt: skip


@contextmanager
def alone(conn: psycopg.Connection, project: str, audience: str, source_name: str) -> Iterator[None]:
    """Only one process at a time makes a pull. The lock lives and dies with ``conn``, which does all its writes.

    Raises:
        PullHeldError: another process, or another connection of this one, has it.
    """
    name = json.dumps(["ct_pipeline pull", project, audience, source_name])
    try:
        with conn.transaction():
            conn.execute(f"set local lock_timeout = '{PATIENCE}'")
            conn.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (name,))
    except psycopg.errors.LockNotAvailable:
        raise PullHeldError(
            f"Another run is pulling {audience} {source_name} at the moment. Wait for it, or stop it."
        ) from None
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (name,))


def open_pull(conn: psycopg.Connection, project: str, audience: str, source_name: str) -> OpenPull | None:
    """The interrupted pull, if there is one."""
    row = conn.execute(
        f"""
        select open_pull_id, pull_key, queries, notes, started_at, {", ".join(_PROGRESS)} from ledger.open_pulls
        where project = %s and audience = %s and source_name = %s
        """,  # noqa: S608 - the tuple above
        (project, audience, source_name),
    ).fetchone()
    if row is None:
        return None
    open_pull_id, pull_key, queries, notes, started_at, *progress = row
    readings = tuple(Reading(ReadingKind(each["kind"]), each["query"]) for each in queries)
    known = dict(zip(_PROGRESS, progress, strict=True))
    return OpenPull(
        open_pull_id, project, audience, source_name, pull_key, readings, started_at, notes=tuple(notes), **known
    )


def begin_pull(
    conn: psycopg.Connection,
    project: str,
    audience: str,
    source_name: str,
    pull_key: str,
    readings: Sequence[Reading],
    now: datetime,
) -> OpenPull:
    """A new pull under way, in place of an interrupted one of the same name."""
    with conn.transaction():
        conn.execute(
            "delete from ledger.open_pulls where project = %s and audience = %s and source_name = %s",
            (project, audience, source_name),
        )
        queries = json.dumps([{"kind": reading.kind, "query": reading.query} for reading in readings])
        row = conn.execute(
            """
            insert into ledger.open_pulls (project, audience, source_name, pull_key, queries, started_at, updated_at)
            values (%s, %s, %s, %s, %s, %s, %s) returning open_pull_id
            """,
            (project, audience, source_name, pull_key, queries, now, now),
        ).fetchone()
    assert row is not None, "an insert that returns always returns a row"
    return OpenPull(row[0], project, audience, source_name, pull_key, tuple(readings), now)


def save_progress(conn: psycopg.Connection, pull: OpenPull, now: datetime) -> None:
    """What is said of the pull is true from now on: the pages it counts are in the lake."""
    conn.execute(
        f"""
        update ledger.open_pulls set {", ".join(f"{name} = %s" for name in _PROGRESS)}, notes = %s, updated_at = %s
        where open_pull_id = %s
        """,  # noqa: S608 - the tuple above
        (*(getattr(pull, name) for name in _PROGRESS), json.dumps(pull.notes), now, pull.open_pull_id),
    )


def forget_open_pull(conn: psycopg.Connection, pull: OpenPull) -> None:
    """The pull is complete."""
    conn.execute("delete from ledger.open_pulls where open_pull_id = %s", (pull.open_pull_id,))


def open_pull_keys(conn: psycopg.Connection) -> set[str]:
    """Of every pull under way."""
    return {key for (key,) in conn.execute("select pull_key from ledger.open_pulls")}
