"""A pull under way is found again as it stood, and only one process works on it."""

from dataclasses import replace

import psycopg
import pytest

from ct_pipeline.errors import PullHeldError
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.open_pulls import (
    OpenPull,
    Reading,
    ReadingKind,
    alone,
    begin_pull,
    forget_open_pull,
    open_pull,
    save_progress,
)
from ct_pipeline_tests.storage.records import HOUR, NOON

WHOSE = ("TEST-1", "daily", "2026-11-01")
READINGS = (
    Reading(ReadingKind.PROFILES, {"event_name": "App Launched", "from": 20261101, "to": 20261101}),
    Reading(ReadingKind.EVENTS, {"event_name": "Channel Unsubscribed", "from": 20261101, "to": 20261101}),
)


def begun(conn: psycopg.Connection, key: str = "a-key") -> OpenPull:
    return begin_pull(conn, *WHOSE, key, READINGS, NOON)


def test_a_pull_goes_on_as_it_stood(conn: psycopg.Connection) -> None:
    assert open_pull(conn, *WHOSE) is None
    pull = begun(conn)
    assert open_pull(conn, *WHOSE) == pull
    further = replace(
        pull, query_number=1, cursor="a%2Fb%3D", page_count=3, record_count=12, query_record_count=4, set_aside_count=1,
        expected_count=9, is_repeat=True, restart_count=2, notes=("it was read again",),
    )  # fmt: skip
    save_progress(conn, further, NOON + HOUR)
    assert open_pull(conn, *WHOSE) == further
    assert not further.is_read
    assert replace(further, query_number=2).is_read


def test_a_complete_pull_is_forgotten_and_others_stay(conn: psycopg.Connection) -> None:
    pull = begun(conn)
    other = begin_pull(conn, "TEST-1", "daily", "2026-11-02", "another-key", READINGS, NOON)
    forget_open_pull(conn, pull)
    assert open_pull(conn, *WHOSE) is None
    assert open_pull(conn, "TEST-1", "daily", "2026-11-02") == other


def test_a_new_beginning_takes_the_place_of_the_interrupted_pull(conn: psycopg.Connection) -> None:
    save_progress(conn, replace(begun(conn), page_count=5), NOON)
    again = begun(conn, "another-key")
    assert open_pull(conn, *WHOSE) == again
    assert again.page_count == 0


def test_the_cursor_is_not_shown(conn: psycopg.Connection) -> None:
    assert "a%2Fb" not in repr(replace(begun(conn), cursor="a%2Fb"))


def test_only_one_process_makes_a_pull(conn: psycopg.Connection, ledger_url: str) -> None:
    with connect(ledger_url) as other:
        with alone(conn, *WHOSE):
            with pytest.raises(PullHeldError, match="daily 2026-11-01"), alone(other, *WHOSE):
                pass
            with alone(other, "TEST-1", "daily", "2026-11-02"):
                pass
        with alone(other, *WHOSE):
            pass


def test_a_process_that_dies_gives_its_pull_free(conn: psycopg.Connection, ledger_url: str) -> None:
    other = connect(ledger_url)
    held = alone(other, *WHOSE)
    held.__enter__()
    other.close()
    with alone(conn, *WHOSE):
        pass
    held.__exit__(None, None, None)
