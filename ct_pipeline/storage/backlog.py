"""What waits to be asked, by lane and reason: the view ``ledger.due_backlog``."""

from typing import LiteralString

import psycopg

from ct_pipeline.verification.lane_summary import WaitingCount
from ct_pipeline.vocabulary import Reason


def due_backlog(conn: psycopg.Connection, lane: str | None = None) -> list[WaitingCount]:
    """Everything that waits as of now, in ``lane`` or everywhere: the most urgent first."""
    in_lane: LiteralString = "where lane = %(lane)s" if lane is not None else ""  # plain, so that an index serves it
    rows = conn.execute(
        f"""
        select lane, reason, due_now_count, within_hour_count, later_count, next_at, max_attempt_count,
               behind_breaker_count
        from ledger.due_backlog {in_lane}
        order by due_now_count desc, next_at, lane, reason
        """,  # noqa: S608 - the words above
        {"lane": lane},
    ).fetchall()
    return [WaitingCount(name, Reason(reason), *rest) for name, reason, *rest in rows]
