"""Questions to the ledger over one connection that is kept, since opening one costs as much as a question."""

import contextlib
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger

P = ParamSpec("P")
T = TypeVar("T")


class LedgerReader:
    """Asks from any thread, one question at a time; a connection that was lost is opened anew, until it is closed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._exits = contextlib.ExitStack()
        self._connection: psycopg.Connection | None = None
        self._is_closed = False

    def ask(self, question: Callable[Concatenate[psycopg.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``question`` returns of the ledger.

        Raises:
            LedgerUnavailableError: the database does not answer.
            RuntimeError: it is closed.
        """
        with self._mutex:
            if self._is_closed:
                raise RuntimeError("this reader of the ledger is closed")
            if self._connection is None:
                self._connection = self._exits.enter_context(open_ledger(self._settings))
            try:
                return question(self._connection, *args, **kwargs)
            except psycopg.OperationalError as error:
                self._lose()
                raise LedgerUnavailableError(f"The database went away: {error}") from error

    def close(self) -> None:
        """Close the connection, for good.

        A thread cannot be cancelled: a question that was given up may reach it only now, and must not open another.
        """
        with self._mutex:
            self._is_closed = True
            self._connection = None
            self._exits.close()

    def _lose(self) -> None:
        self._connection = None
        with contextlib.suppress(psycopg.Error):
            self._exits.close()
