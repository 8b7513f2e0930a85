"""One process at a time looks up everything that needs it: two would ask the name servers about the same domains."""

import contextlib
import time
from collections.abc import Iterator

import psycopg

KEY = 0x6374_646E_73  # "ctdns"
ASK_AGAIN_SECONDS = 0.5


@contextlib.contextmanager
def look_up_turn(conn: psycopg.Connection) -> Iterator[None]:
    """The block runs when nobody else's does; until then it waits, and can be interrupted.

    The turn is lost with the connection, without a word: what that costs is some questions asked twice.
    """
    while not _take(conn):
        time.sleep(ASK_AGAIN_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(psycopg.OperationalError):  # the connection is gone, and the turn with it
            conn.execute("select pg_advisory_unlock(%s)", (KEY,))


def _take(conn: psycopg.Connection) -> bool:
    row = conn.execute("select pg_try_advisory_lock(%s)", (KEY,)).fetchone()
    return row is not None and row[0]
