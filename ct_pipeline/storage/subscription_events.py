"""Channel Unsubscribed events, as evidence of who opted out of e-mail and back in."""

import polars as pl
import psycopg

from ct_pipeline.from_clevertap.profile_rows import SUBSCRIPTION_EVENT_SCHEMA
from ct_pipeline.storage.copy_in import analyze, copy_frame, drop_stages, make_stage

_STAGE = """
email text collate "C", happened_at timestamptz, identifier_kind text, identifier text collate "C",
is_resubscribe boolean, level text, type text, reason text
"""

# The reason may differ between two readings of one event; the first stays.
_MERGE = """
insert into ledger.subscription_events (project, email, happened_at, identifier_kind, identifier, is_resubscribe, level,
                                        type, reason, pull_id)
select %(project)s, email, happened_at, identifier_kind, identifier, is_resubscribe, level, type, reason, %(pull_id)s
from event_rows
order by email, happened_at, identifier_kind, identifier, is_resubscribe
on conflict do nothing
"""


def keep_subscription_events(conn: psycopg.Connection, project: str, pull_id: int | None, frame: pl.DataFrame) -> int:
    """Merge events (of ``SUBSCRIPTION_EVENT_SCHEMA``), any number of times; how many the ledger did not know.

    ``pull_id``: the pull that brought them, if one did.
    """
    texts = ("identifier_kind", "identifier", "level", "type", "reason")
    wanted = frame.select(SUBSCRIPTION_EVENT_SCHEMA.names()).with_columns(pl.col(texts).fill_null(""))
    with conn.transaction():
        make_stage(conn, "event_rows", _STAGE)
        copy_frame(conn, "event_rows", wanted)
        analyze(conn, "event_rows")
        new_count = conn.execute(_MERGE, {"project": project, "pull_id": pull_id}).rowcount
        drop_stages(conn, ["event_rows"])
    return new_count
