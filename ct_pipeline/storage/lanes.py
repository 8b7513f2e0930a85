"""One process at a time works on a lane: an advisory lock per lane, held by the connection that took it.

The lock is lost with its connection, and no fence: a worker confirms it every few seconds, and starts nothing new while
it cannot. All locks of a process share one connection, or a verifier with a hundred lanes would need a hundred. A
transaction pooler between us and Postgres would break this: ``CT_DATABASE_URL`` has to reach the server itself.
"""

import hashlib
import os
import threading

import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage.database import connect


class LaneLock:
    """The right to work on one lane.

    Objects of one process exclude each other as those of two processes do. Threads may share one: a confirmation that
    comes after the release does not take the lane again.
    """

    def __init__(self, url: str, lane: str) -> None:
        self.lane = lane
        self._key = _key_of(lane)
        self._url = url
        self._keeper: _LockConnection | None = None
        self._generation = 0
        self._mutex = threading.Lock()

    def acquire(self) -> bool:
        """Take the lane; False when someone else has it. Taking what is held already is True.

        Raises:
            LedgerUnavailableError: the database does not answer.
        """
        with self._mutex:
            if self._keeper is None:
                keeper = _connection_for(self._url)
                generation = keeper.take(self._key, self)
                if generation is None:
                    return False
                self._keeper, self._generation = keeper, generation
            return True

    def confirm(self) -> bool:
        """Whether the lane is still ours. After a lost connection it is taken again; False when another was faster.

        Raises:
            LedgerUnavailableError: the database does not answer; nobody knows whose the lane is.
        """
        with self._mutex:
            if self._keeper is None:
                return False
            generation = self._keeper.retake(self._key, self, self._generation)
            if generation is None:
                self._keeper = None
                return False
            self._generation = generation
            return True

    def release(self) -> None:
        """Give the lane back; nothing happens when it is not held, or the connection is gone."""
        with self._mutex:
            if self._keeper is not None:
                self._keeper.give_back(self._key, self)
                self._keeper = None


class _LockConnection:
    """The connection that holds this process's locks, opened with the first and closed with the last.

    Postgres grants a session the same lock twice, so who of this process holds what is kept here.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._mutex = threading.Lock()
        self._connection: psycopg.Connection | None = None
        self._generation = 0  # counts connections: locks of an earlier one are lost
        self._holders: dict[int, LaneLock] = {}

    def take(self, key: int, holder: LaneLock) -> int | None:
        with self._mutex:
            return self._take(key, holder)

    def retake(self, key: int, holder: LaneLock, generation: int) -> int | None:
        with self._mutex:
            self._open()
            if generation == self._generation and self._holders.get(key) is holder:
                return generation
            if self._holders.get(key) is holder:
                del self._holders[key]  # the lock of a lost connection
            return self._take(key, holder)

    def give_back(self, key: int, holder: LaneLock) -> None:
        with self._mutex:
            if self._holders.get(key) is not holder:
                return
            del self._holders[key]
            try:
                if self._connection is not None:
                    self._connection.execute("select pg_advisory_unlock(%s)", (key,))
            except psycopg.OperationalError:
                pass  # the connection is gone, and the lock with it
            self._close_if_idle()

    def _take(self, key: int, holder: LaneLock) -> int | None:
        if key in self._holders:
            return None
        connection = self._open()
        try:
            row = connection.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone()
        except psycopg.OperationalError as error:
            raise LedgerUnavailableError(f"The database went away: {error}") from error
        if row is None or not row[0]:
            self._close_if_idle()
            return None
        self._holders[key] = holder
        return self._generation

    def _open(self) -> psycopg.Connection:
        """The connection, alive as of now."""
        if self._connection is not None:
            try:
                self._connection.execute("select 1")
            except psycopg.OperationalError:
                self._connection.close()
                self._connection = None
        if self._connection is None:
            self._connection = connect(self._url)
            self._generation += 1
        return self._connection

    def _close_if_idle(self) -> None:
        if not self._holders and self._connection is not None:
            self._connection.close()
            self._connection = None


_connections: dict[tuple[int, str], _LockConnection] = {}
_connections_mutex = threading.Lock()


def _connection_for(url: str) -> _LockConnection:
    # by process as well: a fork must not speak over its parent's socket
    with _connections_mutex:
        return _connections.setdefault((os.getpid(), url), _LockConnection(url))


def _key_of(lane: str) -> int:
    digest = hashlib.blake2b(f"ct_pipeline lane {lane}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
