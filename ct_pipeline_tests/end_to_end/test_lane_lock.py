"""A lane belongs to one verifier at a time, also when the database loses its lock."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages import lane_tenure
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.database import connect
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline_tests.end_to_end.pipeline import take_in, verdicts
from ct_pipeline_tests.end_to_end.small_world import SmallWorld, sessions_without_quit, small_world
from ct_pipeline_tests.end_to_end.verifiers import Verifiers
from ct_pipeline_tests.end_to_end.waiting import wait_until

LOCKS = """from pg_locks where locktype = 'advisory'
           and database = (select oid from pg_database where datname = current_database())"""
FOR_EVER = 3600.0


def test_two_processes_at_once_ask_nobody_twice(
    settings_for_tests: Settings, verifiers: Verifiers, tmp_path: Path
) -> None:
    with small_world(tmp_path, site_count=1, mailbox_count=300, reply_seconds=0.02) as world:
        settings = world.settings(settings_for_tests, smtp_concurrency=2)
        pull_id = take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        for name in ("one", "other"):
            verifiers.start(name, settings)
        worker, onlooker = sorted(
            (verifiers.outcome(name) for name in ("one", "other")), key=lambda outcome: -outcome.asked_count
        )
        assert (worker.error, worker.asked_count) == ("", len(world.truth))
        assert [lane["stopped_because"] for lane in onlooker.lanes] == [["another run works on this lane"]]
        assert onlooker.asked_count == 0
        assert {address for address, answers in world.answers().items() if len(answers) > 1} == set()
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def test_a_lane_that_another_took_is_given_up(
    settings_for_tests: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_tenure, "CONFIRM_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(lane_tenure, "TRUSTED_SECONDS", FOR_EVER)  # only the knowledge that it is lost ends the work
    with small_world(tmp_path, site_count=1, mailbox_count=400, reply_seconds=0.02) as world:
        settings = world.settings(settings_for_tests, smtp_concurrency=2)
        pull_id = take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        with at_work(settings) as working, connect(url_of(settings)) as admin:
            wait_until(world.answers, working.running)
            with rival_takes_the_lane_over(settings, admin):
                (summary,) = working.result()
                assert summary.stopped_because == ["another run has taken this lane over"]
                assert summary.due_count > 0
                asked = len(world.commands())
                assert verify(settings)[0].stopped_because == ["another run works on this lane"]
                assert len(world.commands()) == asked, "nobody is asked while the lane is another's"
        wait_until(lambda: not sessions_without_quit(world.commands()))
        assert verify(settings)[0].due_count == 0
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def test_while_nobody_knows_whose_the_lane_is_nobody_new_is_asked(
    settings_for_tests: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_tenure, "CONFIRM_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(lane_tenure, "TRUSTED_SECONDS", 0.5)
    with small_world(tmp_path, site_count=1, mailbox_count=400, reply_seconds=0.02) as world:
        settings = world.settings(settings_for_tests, smtp_concurrency=2)
        pull_id = take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        with at_work(settings) as working, connect(url_of(settings)) as admin:
            wait_until(world.answers, working.running)
            with no_new_connections(settings):
                cut_the_holder_of_the_lock(admin)
                wait_until(lambda: stands_still(world), working.running)
                wait_until(lambda: not sessions_without_quit(world.commands()))
                assert len(world.answers()) < len(world.truth)
            (summary,) = working.result()
        assert (summary.due_count, summary.stopped_because) == (0, []), "the lock is taken again, and the work goes on"
        assert {address for address, answers in world.answers().items() if len(answers) > 1} == set()
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def test_while_the_database_hangs_nobody_new_is_asked(
    settings_for_tests: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not gone: nobody says so, and the question whose the lane is gets no answer."""
    assert lane_tenure.CONFIRM_EVERY_SECONDS < lane_tenure.TRUSTED_SECONDS <= 10, "what is promised"
    monkeypatch.setattr(lane_tenure, "CONFIRM_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(lane_tenure, "TRUSTED_SECONDS", 0.5)
    with small_world(tmp_path, site_count=1, mailbox_count=400, reply_seconds=0.02) as world:
        settings = world.settings(settings_for_tests, smtp_concurrency=2)
        pull_id = take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        with at_work(settings) as working, connect(url_of(settings)) as admin:
            wait_until(world.answers, working.running)
            with standing_still(holder_of_the_lock(admin)[0]):
                wait_until(lambda: stands_still(world), working.running)
                wait_until(lambda: not sessions_without_quit(world.commands()))
                assert len(world.answers()) < len(world.truth)
            (summary,) = working.result()
        if summary.due_count:  # it had nothing left that it might ask, and ended before it was sure again
            assert verify(settings)[0].due_count == 0
        assert {address for address, answers in world.answers().items() if len(answers) > 1} == set()
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def verify(settings: Settings) -> list[LaneSummary]:
    """The summaries of lanes with work."""
    summaries = verify_lanes(settings, lane_keys(load_providers()))
    return [s for s in summaries if s.asked_count or s.due_count or s.stopped_because]


@contextlib.contextmanager
def at_work(settings: Settings) -> Iterator["Future[list[LaneSummary]]"]:
    """A verifier in a thread of this process."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(verify, settings)


def stands_still(world: SmallWorld) -> bool:
    """Whether the hosts hear nothing for a second."""
    heard = world.news()
    time.sleep(1)
    return not heard.count("RCPT")


@contextlib.contextmanager
def rival_takes_the_lane_over(settings: Settings, admin: psycopg.Connection) -> Iterator[None]:
    """Somebody waits for the lane's lock, and the connection that holds it is cut: he has it before it can return."""
    holder, high, low = holder_of_the_lock(admin)
    key = int.from_bytes(high.to_bytes(4, "big") + low.to_bytes(4, "big"), "big", signed=True)
    with connect(url_of(settings)) as rival:
        waiting = threading.Thread(target=rival.execute, args=("select pg_advisory_lock(%s)", (key,)))
        waiting.start()
        wait_until(lambda: admin.execute(f"select pid {LOCKS} and not granted").fetchone())
        admin.execute("select pg_terminate_backend(%s)", (holder,))
        waiting.join()
        yield


def cut_the_holder_of_the_lock(admin: psycopg.Connection) -> None:
    admin.execute("select pg_terminate_backend(%s, 10000)", (holder_of_the_lock(admin)[0],))


def holder_of_the_lock(admin: psycopg.Connection) -> tuple[int, int, int]:
    """The server process that holds the one lane's lock, and the two halves of the lock's key."""
    (holder,) = admin.execute(f"select pid, classid::bigint, objid::bigint {LOCKS} and granted").fetchall()
    return holder


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """A server process that does not run, and does not end either."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def no_new_connections(settings: Settings) -> Iterator[None]:
    """The database takes nobody in; those that are connected stay so."""
    name = str(conninfo_to_dict(url_of(settings))["dbname"])
    statement = sql.SQL("alter database {} with allow_connections {}")
    with psycopg.connect(url_of(settings).replace(f"/{name}?", "/postgres?"), autocommit=True) as server:
        server.execute(statement.format(sql.Identifier(name), sql.SQL("false")))
        try:
            yield
        finally:
            server.execute(statement.format(sql.Identifier(name), sql.SQL("true")))


def url_of(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()
