"""A lane belongs to one process at a time, and a lost lock is noticed."""

import subprocess
import sys

import psycopg
import pytest

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.lanes import LaneLock

HOLDER = """
import sys
from ct_pipeline.storage.lanes import LaneLock
lock = LaneLock(sys.argv[1], "google")
print(lock.acquire(), flush=True)
sys.stdin.readline()
"""


def break_connections(conn: psycopg.Connection) -> None:
    conn.execute(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )


def test_two_locks_of_one_process_exclude_each_other(ledger_url: str) -> None:
    first, second, other = LaneLock(ledger_url, "google"), LaneLock(ledger_url, "google"), LaneLock(ledger_url, "yahoo")
    assert first.acquire()
    assert first.acquire()  # held already
    assert not second.acquire()
    assert not second.confirm()
    assert other.acquire()
    first.release()
    assert not first.confirm()
    assert second.acquire()
    second.release()
    other.release()


def test_two_processes_exclude_each_other_until_one_is_killed(ledger_url: str) -> None:
    lock = LaneLock(ledger_url, "google")
    command = [sys.executable, "-c", HOLDER, ledger_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not lock.acquire()
        holder.kill()
    with connect(ledger_url) as conn:
        while conn.execute("select from pg_locks where locktype = 'advisory'").fetchone():
            pass  # until the server has noticed
    assert lock.acquire()
    assert lock.confirm()
    lock.release()


def test_a_lock_lost_with_its_connection_is_taken_again(conn: psycopg.Connection, ledger_url: str) -> None:
    google, yahoo = LaneLock(ledger_url, "google"), LaneLock(ledger_url, "yahoo")
    assert google.acquire()
    assert yahoo.acquire()
    break_connections(conn)
    assert google.confirm()
    assert yahoo.confirm()
    assert conn.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone() == (2,)
    google.release()
    yahoo.release()


def test_a_lane_that_another_took_meanwhile_is_lost(conn: psycopg.Connection, ledger_url: str) -> None:
    lock, bystander = LaneLock(ledger_url, "google"), LaneLock(ledger_url, "yahoo")
    assert lock.acquire()
    assert bystander.acquire()
    key = conn.execute("select objid, classid from pg_locks where locktype = 'advisory' and granted").fetchall()
    assert len(key) == 2
    break_connections(conn)
    command = [sys.executable, "-c", HOLDER, ledger_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not lock.confirm()
        assert not lock.confirm()
        assert bystander.confirm()
    lock.release()  # harmless
    bystander.release()


def test_many_lanes_need_one_connection_and_none_when_idle(conn: psycopg.Connection, ledger_url: str) -> None:
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    locks = [LaneLock(ledger_url, f"small-{number:02}") for number in range(64)]
    assert all(lock.acquire() for lock in locks)
    assert all(lock.confirm() for lock in locks)
    assert conn.execute(others).fetchone() == (1,)
    for lock in locks:
        lock.release()
    while conn.execute(others).fetchone() != (0,):
        pass  # until the server has noticed


def test_a_database_that_does_not_answer_is_an_error_and_not_an_answer() -> None:
    with pytest.raises(LedgerUnavailableError):
        LaneLock("postgresql://nobody@127.0.0.1:1/nothing", "google").acquire()
