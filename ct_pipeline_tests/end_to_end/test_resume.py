"""The database goes away in the middle of a run: what was answered is kept, and the work goes on or says why not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline_tests.end_to_end.pipeline import take_in, verdicts
from ct_pipeline_tests.end_to_end.small_world import SmallWorld, small_world
from ct_pipeline_tests.end_to_end.verifiers import Verifiers
from ct_pipeline_tests.end_to_end.waiting import wait_until

MIDWAY = 150  # of 600 addresses


def restart(settings: Settings) -> None:
    stop_embedded(settings)
    start_embedded(settings)


def cut_every_connection(settings: Settings) -> None:
    with connect(start_embedded(settings)) as admin:
        cut = admin.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
            "where backend_type = 'client backend' and pid <> pg_backend_pid()"
        ).fetchall()
    assert len(cut) >= 2, "the writer's and the locks'"


@pytest.mark.parametrize("mishap", [restart, cut_every_connection])
def test_the_run_goes_on_after(
    mishap: Callable[[Settings], None], state_folder: Path, verifiers: Verifiers, tmp_path: Path
) -> None:
    with small_world(tmp_path, site_count=2, mailbox_count=300, reply_seconds=0.02) as world:
        settings, pull_id = prepared(world, state_folder, tmp_path)
        verifiers.start("worker", settings)
        wait_until(midway(world), lambda: verifiers.is_running("worker"))
        mishap(load_settings(state_dir=state_folder, database_url=None))
        outcome = verifiers.outcome("worker")
        assert outcome.error == "", outcome.text
        assert [lane["due_count"] for lane in outcome.lanes] == [0] * len(outcome.lanes), outcome
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def test_a_database_that_stays_away_ends_the_run_with_the_reason(
    state_folder: Path, verifiers: Verifiers, tmp_path: Path
) -> None:
    embedded = load_settings(state_dir=state_folder, database_url=None)
    with small_world(tmp_path, site_count=2, mailbox_count=300, reply_seconds=0.05) as world:
        settings, pull_id = prepared(world, state_folder, tmp_path)
        verifiers.start("worker", settings, patience_seconds=2.0)
        wait_until(midway(world), lambda: verifiers.is_running("worker"))
        stop_embedded(embedded)
        outcome = verifiers.outcome("worker")
        assert outcome.error == "LedgerUnavailableError", outcome
        assert "does not answer" in outcome.text

        start_embedded(embedded)
        verifiers.start("worker", settings)
        assert verifiers.outcome("worker").error == ""
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def prepared(world: SmallWorld, state_folder: Path, tmp_path: Path) -> tuple[Settings, int]:
    """Settings by the URL of an embedded server that is ours to stop, and the pull."""
    url = start_embedded(load_settings(state_dir=state_folder, database_url=None))
    upgrade(url)
    settings = world.settings(load_settings(state_dir=state_folder, database_url=url), smtp_concurrency=4)
    return settings, take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))


def midway(world: SmallWorld) -> Callable[[], bool]:
    heard = world.news()
    return lambda: heard.count("RCPT") >= MIDWAY
