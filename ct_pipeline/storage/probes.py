"""The verifier's side of the ledger: ids, catch-all facts, and a writer that commits a few times a second."""

import contextlib
import threading
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Literal, Self

import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage.database import connect, set_up
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.outage import Outage
from ct_pipeline.verification.probe import CatchAllFact, Probe, Session, Turn
from ct_pipeline.verification.site_memory import SiteMemory

COMMIT_EVERY_SECONDS = 0.3  # a merge takes some 10 ms; proof, hand-over and this stay well within one second
WAITING_ROWS_LIMIT = 50_000  # put() blocks above: a database that cannot follow slows the verifier, not fills memory
LOCK_TIMEOUT = "60s"
ID_BLOCK = 1000  # increment of the sequences


def next_ids(conn: psycopg.Connection, what: Literal["session", "probe"], n: int) -> list[int]:
    """``n`` ids that nobody else gets, ascending. Drawn in blocks of a thousand: what is left of the last is lost."""
    sequence = {"session": "ledger.session_ids", "probe": "ledger.probe_ids"}[what]
    rows = conn.execute(
        "select nextval(%s::regclass) from generate_series(1, %s)", (sequence, -(-n // ID_BLOCK))
    ).fetchall()
    return [first + offset for (first,) in rows for offset in range(ID_BLOCK)][:n]


def catch_all_facts(conn: psycopg.Connection, domains: Collection[str], now: datetime) -> dict[str, CatchAllFact]:
    """What is known, and still in force, of those ``domains``."""
    rows = conn.execute(
        """
        select domain, is_catch_all, tells_apart, probe_id, found_at, catch_all_facts.expires_at, doubted_at
        from ledger.domains join ledger.catch_all_facts using (domain_id)
        where domain = any(%s) and catch_all_facts.expires_at > %s
        """,
        (list(domains), now),
    ).fetchall()
    return {row[0]: CatchAllFact(*row) for row in rows}


class ObservationWriter:
    """Commits observations from a thread and over a connection of its own, a few times a second.

    A process that is killed loses what it put within that time, never part of a batch. A database that goes away is
    waited for, as long as ``outage`` says, and gets the batch again. When it stays away, or refuses a batch, the error
    is raised by every later call: the verifier has to stop, since what it learns could not be kept.
    """

    def __init__(self, url: str, outage: Outage | None = None) -> None:
        self._url = url
        self._outage = outage or Outage(url)
        self._waiting = Observations()
        self._put_count = 0  # rows ever put
        self._kept_count = 0  # of these, committed
        self._error: Exception | None = None
        self._is_closing = False
        self._is_urgent = False
        self._changed = threading.Condition()
        self._connection = self._connect()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def put(
        self,
        sessions: Iterable[Session] = (),
        probes: Iterable[Probe] = (),
        turns: Iterable[Turn] = (),
        catch_all_facts: Iterable[CatchAllFact] = (),
        site_memories: Iterable[SiteMemory] = (),
    ) -> None:
        """Hand over observations, from any thread; what is put in one call is committed in one transaction.

        Blocks while 50,000 rows wait.

        Raises:
            LedgerUnavailableError: an earlier batch could not be written.
        """
        observed = Observations(list(sessions), list(probes), list(turns), list(catch_all_facts), list(site_memories))
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._waiting.row_count < WAITING_ROWS_LIMIT)
            self._raise_error()
            self._waiting.add(observed)
            self._put_count += observed.row_count
            self._changed.notify_all()

    def flush(self) -> None:
        """Return when everything put so far is committed.

        Raises:
            LedgerUnavailableError: it could not be.
        """
        with self._changed:
            goal = self._put_count
            self._is_urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error or self._kept_count >= goal)
            self._raise_error()

    def close(self) -> None:
        """Commit what waits and end the thread. A second call does nothing.

        Raises:
            LedgerUnavailableError: something could not be written.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()
        self._connection.close()
        with self._changed:
            self._raise_error()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_class: object, *_: object) -> None:
        if error_class:
            self._outage.hurry()
        # the error that brought us here says more than that of the writer
        with contextlib.suppress(LedgerUnavailableError) if error_class else contextlib.nullcontext():
            self.close()

    # -- the thread ---

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._write(batch)
                with self._changed:
                    self._kept_count += batch.row_count
                    self._changed.notify_all()
        except Exception as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next_batch(self) -> Observations | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting.row_count or self._is_closing)
            # The rows of this while make one transaction, unless somebody waits for them.
            self._changed.wait_for(
                lambda: self._is_closing or self._is_urgent or self._waiting.row_count >= WAITING_ROWS_LIMIT,
                timeout=COMMIT_EVERY_SECONDS,
            )
            self._is_urgent = False
            batch, self._waiting = self._waiting, Observations()
            self._changed.notify_all()
            return batch if batch.row_count else None

    def _write(self, batch: Observations) -> None:
        def merge() -> None:
            try:
                if self._connection.closed:
                    self._connection = self._connect()
                merge_observations(self._connection, batch, datetime.now(UTC))
            except psycopg.OperationalError:
                self._connection.close()
                raise

        self._outage.wait_out(merge)

    def _connect(self) -> psycopg.Connection:
        connection = connect(self._url)
        set_up(connection, "select set_config('lock_timeout', %s, false)", (LOCK_TIMEOUT,))
        return connection

    def _raise_error(self) -> None:
        if self._error is not None:
            raise LedgerUnavailableError(
                f"Observations could not be written, and who gave them is asked again by the next run: {self._error}"
            ) from self._error
