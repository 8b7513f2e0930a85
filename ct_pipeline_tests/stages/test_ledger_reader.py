"""Questions over a connection that is kept: lost, opened anew, and closed for good."""

import psycopg
import pytest

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.ledger_reader import LedgerReader


def pid_of(conn: psycopg.Connection) -> int:
    return conn.info.backend_pid


def test_one_connection_is_kept_until_it_is_lost(settings_for_tests: Settings) -> None:
    reader = LedgerReader(settings_for_tests)
    first = reader.ask(pid_of)
    assert reader.ask(pid_of) == first
    with pytest.raises(LedgerUnavailableError, match="went away"):
        reader.ask(lambda conn: conn.execute("select pg_terminate_backend(pg_backend_pid())"))
    assert reader.ask(pid_of) != first
    reader.close()


def test_a_question_that_comes_after_the_end_opens_no_connection(settings_for_tests: Settings) -> None:
    """As one does that a thread was to ask when the run ended."""
    reader = LedgerReader(settings_for_tests)
    conn = reader.ask(lambda conn: conn)
    reader.close()
    assert conn.closed
    with pytest.raises(RuntimeError, match="closed"):
        reader.ask(lambda conn: pytest.fail("it was asked"))
