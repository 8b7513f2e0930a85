"""A database that goes away for a while is waited for: how long, and what is said about it.

The parts of a run that talk to the database share one :class:`Outage`, so that a restart is told once when it is
noticed and once when it is over, however many of them have to wait.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage.database import describe_url

PATIENCE_SECONDS = 300.0  # a restart takes seconds, a failover to another server some minutes
FIRST_PAUSES_SECONDS = (0.5, 1.0, 2.0)
PAUSE_SECONDS = 5.0
# Somebody wants the run to end: a database that is back by then still gets what is known.
HURRIED_PATIENCE_SECONDS = 2.0
HURRIED_PAUSE_SECONDS = 0.25

AWAY = (psycopg.OperationalError, LedgerUnavailableError)

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Outage:
    """What the parts of one run know of the database being away. Threads may share it."""

    def __init__(self, url: str) -> None:
        self._where = describe_url(url)
        self._mutex = threading.Lock()
        self._began_at: float | None = None
        self._hurried = threading.Event()
        self._hurried_at = 0.0

    @property
    def is_on(self) -> bool:
        return self._began_at is not None

    def hurry(self) -> None:
        """From now on nobody waits for longer than two seconds: the run is to end."""
        self._hurried_at = time.monotonic()
        self._hurried.set()

    def patience(self) -> "Patience":
        """For one call."""
        return Patience(self)

    def wait_out(self, call: Callable[[], T]) -> T:
        """What ``call`` returns, called again until the database answers. Blocks the thread; :meth:`hurry` wakes it.

        Raises:
            LedgerUnavailableError, psycopg.OperationalError: the database stays away.
        """
        patience = self.patience()
        while True:
            try:
                result = call()
            except AWAY as error:
                self._sleep(patience.pause_seconds(error))
            else:
                patience.end()
                return result

    def begins(self, error: Exception) -> None:
        with self._mutex:
            if self._began_at is not None:
                return
            self._began_at = time.monotonic()
        said = str(error).partition("\n")[0]
        _log.warning(
            "The database at %s is away (%s). Waiting up to %d minutes; what is known is kept in memory meanwhile.",
            self._where, said, PATIENCE_SECONDS // 60,
        )  # fmt: skip

    def ends(self) -> None:
        with self._mutex:
            if self._began_at is None:
                return
            seconds = time.monotonic() - self._began_at
            self._began_at = None
        _log.warning("The database at %s is back after %.0f s; the work goes on.", self._where, seconds)

    def deadline(self, since: float) -> float:
        """Until when a call that first failed at ``since`` (monotonic) tries again."""
        if self._hurried.is_set():
            return min(since + PATIENCE_SECONDS, self._hurried_at + HURRIED_PATIENCE_SECONDS)
        return since + PATIENCE_SECONDS

    def _sleep(self, seconds: float) -> None:
        if self._hurried.is_set():
            time.sleep(min(seconds, HURRIED_PAUSE_SECONDS))
        else:
            self._hurried.wait(seconds)


class Patience:
    """How often one call is tried again, and when that ends."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._since: float | None = None
        self._pauses = itertools.chain(FIRST_PAUSES_SECONDS, itertools.repeat(PAUSE_SECONDS))

    def pause_seconds(self, error: Exception) -> float:
        """How long to wait after this ``error``; raises it when the database has been away for long enough."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now >= self._outage.deadline(self._since):
            raise error
        self._outage.begins(error)
        return next(self._pauses)

    def end(self) -> None:
        """The call has succeeded."""
        self._outage.ends()
