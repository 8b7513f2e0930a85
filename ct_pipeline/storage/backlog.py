"""How much evidence waits to be judged."""

from datetime import datetime
from typing import NamedTuple

import psycopg


class Backlog(NamedTuple):
    """Addresses with unjudged evidence, counted up to the limit, and the oldest of those counted."""

    count: int
    oldest_at: datetime | None  # None when nothing waits


def unjudged_backlog(conn: psycopg.Connection, limit: int) -> Backlog:
    """What waits, without counting beyond ``limit``: the answer is as cheap on a full table as on an empty one."""
    row = conn.execute(
        "select count(*), min(since_at) from (select since_at from ledger.unjudged limit %s) as waiting", (limit,)
    ).fetchone()
    return Backlog(*row) if row else Backlog(0, None)
