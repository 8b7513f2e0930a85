"""Which days the nightly pull asks for."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from ct_pipeline.orchestration.resources import Deployment, resources_of
from ct_pipeline.orchestration.schedules import daily_pull
from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline_tests.orchestration.deciding import started

NIGHT = datetime(2026, 7, 12, 3, tzinfo=UTC)


def test_without_a_project_it_skips_and_says_what_to_set(settings: Settings, instance: dg.DagsterInstance) -> None:
    decision = _decide(instance)
    assert isinstance(decision, dg.SkipReason)
    assert "CT_PROJECT_ID is not set" in (decision.skip_message or "")


def test_the_first_night_pulls_the_day_that_has_ended(connected: Settings, instance: dg.DagsterInstance) -> None:
    assert _days(instance) == ["2026-07-11"]


def test_days_that_were_missed_since_the_first_pull_are_made_up_for(
    connected: Settings, instance: dg.DagsterInstance
) -> None:
    _pulled(connected, "2026-07-08", "2026-07-10")
    assert _days(instance) == ["2026-07-09", "2026-07-11"]
    _pulled(connected, "2026-07-09", "2026-07-11")
    assert _days(instance) == []


def test_a_gap_that_is_older_than_a_week_is_left_to_a_backfill(
    connected: Settings, instance: dg.DagsterInstance
) -> None:
    _pulled(connected, "2026-06-01")
    assert _days(instance) == ["2026-07-11"]


def test_days_of_another_project_do_not_count(connected: Settings, instance: dg.DagsterInstance) -> None:
    _pulled(connected.model_copy(update={"project_id": "ANOTHER"}), "2026-07-08", "2026-07-11")
    assert _days(instance) == ["2026-07-11"]


def test_a_day_that_is_being_pulled_is_not_asked_for_again(connected: Settings, instance: dg.DagsterInstance) -> None:
    started(instance, "pull_day", {"dagster/partition": "2026-07-11"})
    assert _days(instance) == []


def test_the_day_is_that_of_the_project(
    connected: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CT_TIMEZONE", "America/Los_Angeles")
    assert _days(instance) == ["2026-07-10"]  # it is still the evening of the 11th there
    monkeypatch.setenv("CT_TIMEZONE", "Asia/Kolkata")
    assert _days(instance) == ["2026-07-11"]


def test_nothing_is_pulled_from_before_the_first_day(
    connected: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CT_FIRST_DAY", "2026-07-12")
    assert _days(instance) == []


def test_a_database_that_does_not_answer_is_told_and_waited_for(
    connected: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CT_DATABASE_URL", "postgresql://ct@127.0.0.1:1/ct")
    decision = _decide(instance)
    assert isinstance(decision, dg.SkipReason)
    assert "127.0.0.1:1" in (decision.skip_message or "")


def _decide(instance: dg.DagsterInstance) -> list[dg.RunRequest] | dg.SkipReason:
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=NIGHT, resources=resources_of(Deployment())
    )
    decision = daily_pull(context)
    assert isinstance(decision, list | dg.SkipReason)
    return decision


def _days(instance: dg.DagsterInstance) -> list[str | None]:
    decision = _decide(instance)
    return [] if isinstance(decision, dg.SkipReason) else [request.partition_key for request in decision]


def _pulled(settings: Settings, *days: str) -> None:
    with open_ledger(settings) as ledger:
        for day in days:
            ledger.execute(
                """
                with audience as (
                    insert into ledger.audiences (name, created_at) values (%(project)s || '/daily', now())
                    on conflict (name) do update set created_at = now() returning audience_id
                )
                insert into ledger.pulls (audience_id, kind, source_name, sha256, lake_path, row_count, set_aside_count,
                                          email_column, columns, pulled_at, project)
                select audience_id, 'profiles', %(day)s, gen_random_uuid(), '', 1, 0, '', '[]', now(), %(project)s
                from audience
                """,
                {"project": settings.project_id, "day": day},
            )
