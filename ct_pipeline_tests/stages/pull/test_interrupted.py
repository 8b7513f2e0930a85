"""An interrupted pull goes on from its last saved page, where that still makes sense."""

import re

import psycopg
import pytest

from ct_pipeline.errors import CursorExpiredError, PullHeldError
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings
from ct_pipeline.stages import pull as pull_stage
from ct_pipeline.stages.pull import pull_audience, pull_day
from ct_pipeline.stages.pull_reading import MOST_RESTARTS
from ct_pipeline.storage.open_pulls import alone
from ct_pipeline_tests.stages.pull.connected import (
    COUNT,
    GOLD,
    InterruptionError,
    interrupt_after,
    interrupted,
    interrupting,
    launched_lately,
    midday,
    opened,
    pages,
    write_query,
    yesterday,
)


@pytest.mark.parametrize("after_pages", [1, 4])
def test_an_interrupted_pull_goes_on_from_its_last_saved_page(
    settings: Settings, clevertap: CleverTapSimulator, after_pages: int
) -> None:
    interrupted(settings, after_pages)
    assert (opened(clevertap), pages(clevertap)) == (1, after_pages)
    summary = pull_audience(settings, "everyone")
    assert summary.resumed
    assert summary.profile_count == COUNT
    assert opened(clevertap) == 1
    assert pages(clevertap) == summary.page_count - 1  # the last page is of events
    assert not pull_audience(settings, "everyone").resumed


def test_a_pull_that_was_read_but_not_recorded_is_only_recorded(
    settings: Settings, clevertap: CleverTapSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(pull_stage, "record_pull", interrupting)
        with pytest.raises(InterruptionError):
            pull_audience(settings, "everyone")
    asked = len(clevertap.requests)
    summary = pull_audience(settings, "everyone")
    assert (summary.resumed, summary.profile_count) == (True, COUNT)
    assert len(clevertap.requests) == asked


def test_a_cursor_that_expired_meanwhile_opens_the_export_again(
    settings: Settings, clevertap: CleverTapSimulator
) -> None:
    interrupted(settings)
    clevertap.expire_cursors()
    summary = pull_audience(settings, "everyone")
    assert (summary.resumed, summary.restart_count, summary.profile_count) == (True, 1, COUNT)
    assert opened(clevertap) == 2
    (note,) = summary.notes
    assert re.fullmatch(r"The cursor of the export expired after \d+ records: it was opened again\.", note)


def test_a_cursor_that_expires_in_the_middle_opens_the_export_again(
    settings: Settings, clevertap: CleverTapSimulator
) -> None:
    clevertap.set_faults(stale_cursors=1)
    summary = pull_audience(settings, "everyone")
    assert (summary.restart_count, summary.profile_count) == (1, COUNT)


def test_a_cursor_that_always_expires_ends_the_run_and_not_the_pull(
    settings: Settings, clevertap: CleverTapSimulator
) -> None:
    clevertap.set_faults(stale_cursors=1000)
    with pytest.raises(CursorExpiredError):
        pull_audience(settings, "everyone")
    assert opened(clevertap) == 1 + MOST_RESTARTS
    clevertap.set_faults(stale_cursors=0)
    assert pull_audience(settings, "everyone").profile_count == COUNT


def test_a_pull_is_begun_anew_when_its_pages_are_gone(settings: Settings, clevertap: CleverTapSimulator) -> None:
    interrupted(settings)
    (folder,) = (settings.lake_dir / "open_pulls").iterdir()
    next(folder.glob("*.parquet")).unlink()
    summary = pull_audience(settings, "everyone")
    assert (summary.resumed, summary.profile_count) == (False, COUNT)
    assert opened(clevertap) == 2
    assert list((settings.lake_dir / "open_pulls").iterdir()) == []


def test_a_pull_is_begun_anew_when_it_was_interrupted_long_ago(
    settings: Settings, clevertap: CleverTapSimulator, conn: psycopg.Connection
) -> None:
    interrupted(settings)
    conn.execute("update ledger.open_pulls set started_at = started_at - interval '5 days'")
    assert not pull_audience(settings, "everyone").resumed
    assert opened(clevertap) == 2


def test_a_day_that_was_not_over_is_begun_anew(
    settings: Settings, clevertap: CleverTapSimulator, conn: psycopg.Connection
) -> None:
    day = yesterday(settings)
    with pytest.raises(InterruptionError):
        pull_day(settings, day, interrupt_after(1))
    conn.execute("update ledger.open_pulls set started_at = %s", (midday(day, settings),))
    assert not pull_day(settings, day).resumed


def test_a_pull_is_begun_anew_when_its_query_has_changed(settings: Settings, clevertap: CleverTapSimulator) -> None:
    write_query(settings, "all.json", launched_lately(settings))
    with pytest.raises(InterruptionError):
        pull_audience(settings, "all", interrupt_after(1))
    write_query(settings, "all.json", GOLD)
    summary = pull_audience(settings, "all")
    assert (summary.resumed, summary.profile_count) == (False, 0)


def test_pages_of_a_complete_pull_are_cleared_up_later(
    settings: Settings, clevertap: CleverTapSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(pull_stage.OpenPages, "remove", interrupting)
        with pytest.raises(InterruptionError):
            pull_audience(settings, "everyone")
    assert len(list((settings.lake_dir / "open_pulls").iterdir())) == 1
    with pytest.raises(InterruptionError):
        pull_day(settings, yesterday(settings), interrupt_after(1))
    (mine,) = (settings.lake_dir / "open_pulls").iterdir()
    assert "daily" in mine.name


def test_only_one_process_makes_a_pull(
    settings: Settings, clevertap: CleverTapSimulator, conn: psycopg.Connection
) -> None:
    with alone(conn, settings.project_id, "everyone", "everyone"):
        with pytest.raises(PullHeldError):
            pull_audience(settings, "everyone")
        assert clevertap.requests == []
        assert pull_day(settings, yesterday(settings)).profile_count == COUNT
