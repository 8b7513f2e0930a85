"""One process at a time pushes to a CleverTap project: an advisory lock, held by the connection that writes intents.

Because both are of one connection, the lock is a fence: whoever has lost it cannot write down another intent, and
without an intent nothing is sent. A transaction pooler between us and Postgres would break this, as it would the lanes.
"""

import contextlib
import hashlib
from collections.abc import Iterator

import psycopg

from ct_pipeline.errors import PushHeldError


@contextlib.contextmanager
def push_lock(conn: psycopg.Connection, project: str) -> Iterator[None]:
    """The right to push to ``project`` with ``conn``, for the length of the block.

    Raises:
        PushHeldError: another process, or another push of this one, has it.
    """
    key = _key_of(project)
    row = conn.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone()
    if row is None or not row[0]:
        raise PushHeldError(
            f"Another push to the CleverTap project {project} is under way. Wait until it has ended, then try again: "
            "`ct-pipeline status` shows what is left."
        )
    try:
        yield
    finally:
        with contextlib.suppress(psycopg.OperationalError):  # the connection is gone, and the lock with it
            conn.execute("select pg_advisory_unlock(%s)", (key,))


def is_pushing(conn: psycopg.Connection, project: str) -> bool:
    """Whether somebody pushes to ``project`` just now."""
    high, low = divmod(_key_of(project) % 2**64, 2**32)
    row = conn.execute(
        """
        select exists (select from pg_locks where locktype = 'advisory' and classid = %s and objid = %s and objsubid = 1
                       and granted and database = (select oid from pg_database where datname = current_database()))
        """,
        (high, low),
    ).fetchone()
    return row is not None and row[0]


def _key_of(project: str) -> int:
    digest = hashlib.blake2b(f"ct_pipeline push {project}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
