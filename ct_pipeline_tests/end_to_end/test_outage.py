"""The database is away for a while in the middle of a run: the run waits, goes on, and asks nobody twice."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline_tests.end_to_end.pipeline import statuses, take_in, verdicts
from ct_pipeline_tests.end_to_end.small_world import sessions_without_quit, small_world
from ct_pipeline_tests.end_to_end.test_interrupt import ENDS_WITHIN_SECONDS, verifying
from ct_pipeline_tests.end_to_end.verifiers import Verifiers
from ct_pipeline_tests.end_to_end.waiting import wait_until

MIDWAY = 150


def kill_server(embedded: Settings) -> None:
    """As if the machine had lost its power; the server's children end by themselves when they notice."""
    pid = int((embedded.postgres_dir / "postmaster.pid").read_text().split()[0])
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


@pytest.mark.parametrize(
    ("end_server", "away_seconds", "mailbox_count"),
    [
        # long enough for the lane to be in doubt, so that the hosts hear nothing more until it is over
        pytest.param(kill_server, 13, 500, id="killed for 13 s"),
        pytest.param(stop_embedded, 2, 250, id="stopped for 2 s"),
    ],
)
def test_the_run_waits_and_asks_nobody_twice(
    end_server: Callable[[Settings], None],
    away_seconds: float,
    mailbox_count: int,
    state_folder: Path,
    verifiers: Verifiers,
    tmp_path: Path,
) -> None:
    embedded = load_settings(state_dir=state_folder, database_url=None)
    url = start_embedded(embedded)
    upgrade(url)
    with small_world(tmp_path, site_count=2, mailbox_count=mailbox_count, reply_seconds=0.05) as world:
        settings = world.settings(load_settings(state_dir=state_folder, database_url=url), smtp_concurrency=4)
        pull_id = take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        heard = world.news()
        verifiers.start("worker", settings)
        wait_until(lambda: heard.count("RCPT") >= MIDWAY, lambda: verifiers.is_running("worker"))
        end_server(embedded)
        time.sleep(away_seconds)
        assert verifiers.is_running("worker")
        assert len(world.answers()) < len(world.truth), "it is away in the middle of the work"
        start_embedded(embedded)
        outcome = verifiers.outcome("worker")
        assert outcome.error == "", outcome.text
        assert [lane["due_count"] for lane in outcome.lanes] == [0] * len(outcome.lanes), outcome
        assert {address for address, answers in world.answers().items() if len(answers) > 1} == set()
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def test_a_run_that_waits_for_the_database_can_be_ended(state_folder: Path, tmp_path: Path) -> None:
    embedded = load_settings(state_dir=state_folder, database_url=None)
    contacts, out, said = (tmp_path / name for name in ("contacts.csv", "out.csv", "said.txt"))
    with small_world(tmp_path, site_count=2, mailbox_count=300, reply_seconds=0.05) as world:
        world.write_contacts(contacts)
        with verifying(contacts, out, world, state_folder, said) as process:
            heard = world.news()
            wait_until(lambda: heard.count("RCPT") >= MIDWAY, lambda: process.poll() is None)
            stop_embedded(embedded)
            wait_until(lambda: "is away" in said.read_text(), lambda: process.poll() is None)
            process.send_signal(signal.SIGTERM)
            assert process.wait(ENDS_WITHIN_SECONDS) == 1
        told = said.read_text()
        assert "asked again by the next run" in told, told
        assert "Traceback" not in told
        assert told.count("is away") == 1
        wait_until(lambda: not sessions_without_quit(world.commands()))

        with verifying(contacts, out, world, state_folder, said) as process:
            assert process.wait(ENDS_WITHIN_SECONDS) == 0, said.read_text()
        assert statuses(out) == world.truth
