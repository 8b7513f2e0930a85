"""Pulls: one per content and audience."""

import psycopg

from ct_pipeline.storage.pulls import find_pull, latest_pull, mark_taken_up, pull, pulls_not_taken_up, record_pull
from ct_pipeline_tests.storage.records import AUDIENCE, DAY, NOON, new_pull


def test_a_pull_comes_back_as_it_was_recorded(conn: psycopg.Connection) -> None:
    pull_id = record_pull(
        conn, AUDIENCE, "contact_file", "list.csv", "00ff", "pulls/1", 12, 2, "Email", {"format": "csv"}, NOON
    )
    found = pull(conn, pull_id)
    assert found is not None
    assert (found.audience, found.kind, found.source_name) == (AUDIENCE, "contact_file", "list.csv")
    assert (found.row_count, found.set_aside_count, found.email_column) == (12, 2, "Email")
    assert (found.columns, found.pulled_at, found.taken_up_at) == ({"format": "csv"}, NOON, None)
    assert find_pull(conn, "00ff", AUDIENCE) == found
    assert find_pull(conn, "00ff", "another audience") is None


def test_the_same_content_is_the_same_pull_and_stays_taken_up(conn: psycopg.Connection) -> None:
    first = new_pull(conn, source_name="list.csv")
    mark_taken_up(conn, first, NOON)
    again = new_pull(conn, source_name="copy of list.csv", now=NOON + DAY)
    assert again == first
    found = pull(conn, again)
    assert found is not None
    assert (found.source_name, found.taken_up_at) == ("copy of list.csv", NOON)


def test_only_pulls_that_are_not_taken_up_wait_oldest_first(conn: psycopg.Connection) -> None:
    first, second, third = (new_pull(conn, sha256) for sha256 in ("aa", "bb", "cc"))
    mark_taken_up(conn, second, NOON)
    assert [waiting.pull_id for waiting in pulls_not_taken_up(conn)] == [first, third]


def test_the_latest_pull_of_a_source_is_the_newest(conn: psycopg.Connection) -> None:
    newest = new_pull(conn, "bb", now=NOON + DAY)
    new_pull(conn, "aa", now=NOON)
    new_pull(conn, "cc", source_name="other.csv", now=NOON + 2 * DAY)
    found = latest_pull(conn, "list.csv")
    assert found is not None
    assert found.pull_id == newest
    assert latest_pull(conn, "unheard-of.csv") is None


def test_a_name_that_postgres_cannot_hold_is_mended(conn: psycopg.Connection) -> None:
    pull_id = record_pull(conn, "a\0b", "contact_file", "x\udc80.csv", "00", "p", 1, 0, "E\0", ["E\0"], NOON)
    found = pull(conn, pull_id)
    assert found is not None
    assert (found.audience, found.source_name, found.columns) == ("a\ufffdb", "x?.csv", ["E\ufffd"])
