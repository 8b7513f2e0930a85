"""When it is planned and pushed by itself, on a real ledger and a real instance."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from ct_pipeline.definitions import defs
from ct_pipeline.orchestration.export_sensors import (
    OLDEST_PLAN,
    PLANS_WHILE_VERIFYING,
    SAME_BATCHES_REST,
    planning,
    pushing,
)
from ct_pipeline.orchestration.under_way import FIRST_REST
from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline_tests.orchestration.deciding import asked, started, why_not

NOW = datetime.now(UTC)
SOON = timedelta(minutes=1)
UNDO_ONE: dict[str, object] = {"ops": {"undo": {"config": {"batch_ids": [1]}}}}


@pytest.fixture
def sending(connected: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A connected project whose pushes send."""
    monkeypatch.setenv("CT_EXPORT_MODE", "apply")
    return connected


def test_without_a_project_both_skip_and_say_what_to_set(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CT_EXPORT_MODE", "apply")
    for sensor in (planning, pushing):
        reason = why_not(sensor, instance)
        assert all(f"{name} is not set" in reason for name in ("CT_PROJECT_ID", "CT_PASSCODE", "CT_REGION"))


def test_what_is_missing_is_named_alone(
    connected: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CT_PASSCODE")
    reason = why_not(planning, instance)
    assert "CT_PASSCODE is not set" in reason
    assert "CT_PROJECT_ID" not in reason


def test_a_plan_waits_for_profiles_and_verdicts(connected: Settings, instance: dg.DagsterInstance) -> None:
    assert "No profile" in why_not(planning, instance)
    _profile(connected)
    assert "No address has been judged" in why_not(planning, instance)
    _verdict(connected, NOW)
    assert len(asked(planning, instance).run_requests or ()) == 1


def test_a_newer_verdict_or_profile_is_planned_for(connected: Settings, instance: dg.DagsterInstance) -> None:
    _profile(connected)
    _verdict(connected, NOW - 3 * SOON)
    _plan(connected, NOW - 2 * SOON)
    assert "since the last plan" in why_not(planning, instance)
    _verdict(connected, NOW - SOON)
    assert asked(planning, instance).run_requests
    _plan(connected, NOW)
    assert "since the last plan" in why_not(planning, instance)
    _profile(connected, NOW + SOON)
    assert asked(planning, instance).run_requests


def test_a_plan_of_one_audience_is_no_plan_of_the_project(connected: Settings, instance: dg.DagsterInstance) -> None:
    _profile(connected)
    _verdict(connected, NOW)
    _plan(connected, NOW + SOON, audience="everyone")
    assert asked(planning, instance).run_requests


def test_an_old_plan_is_made_again_without_news(connected: Settings, instance: dg.DagsterInstance) -> None:
    _profile(connected, NOW - 2 * OLDEST_PLAN)
    _verdict(connected, NOW - 2 * OLDEST_PLAN)
    _plan(connected, NOW - OLDEST_PLAN)
    assert asked(planning, instance).run_requests


def test_a_plan_that_leaves_no_trace_is_not_asked_for_again(connected: Settings, instance: dg.DagsterInstance) -> None:
    _profile(connected)
    _verdict(connected, NOW)
    first = asked(planning, instance)
    assert "since the last plan" in why_not(planning, instance, first.cursor)


def test_a_failed_plan_is_asked_for_again_after_a_rest(connected: Settings, instance: dg.DagsterInstance) -> None:
    _profile(connected)
    _verdict(connected, NOW)
    first = asked(planning, instance)
    instance.report_run_failed(started(instance, "plan"))
    assert "has failed" in why_not(planning, instance, first.cursor)
    with _dagster_tables(connected) as connection:
        connection.execute(
            "update dagster.runs set end_time = end_time - %s", (FIRST_REST.total_seconds() + SOON.total_seconds(),)
        )
    assert asked(planning, instance, first.cursor).run_requests


def test_a_plan_waits_while_verdicts_keep_coming_but_not_for_days(
    connected: Settings, instance: dg.DagsterInstance
) -> None:
    _profile(connected)
    _verdict(connected, NOW)
    _plan(connected, NOW - SOON)
    judge = started(instance, "judge")
    assert "judging run" in why_not(planning, instance)
    instance.report_run_failed(judge)
    started(instance, "verify")
    assert "verifier is at work" in why_not(planning, instance)
    with open_ledger(connected) as ledger:
        ledger.execute("update ledger.plans set planned_at = %s", (NOW - PLANS_WHILE_VERIFYING - SOON,))
    assert asked(planning, instance).run_requests


@pytest.mark.parametrize("job", ["plan", "push", "undo_batch"])
def test_neither_is_asked_for_while_a_run_plans_pushes_or_undoes(
    sending: Settings, instance: dg.DagsterInstance, job: str
) -> None:
    _profile(sending)
    _verdict(sending, NOW)
    _batch(sending, "planned")
    started(instance, job, run_config=UNDO_ONE if job == "undo_batch" else None)
    assert "under way" in why_not(planning, instance)
    assert "under way" in why_not(pushing, instance)


def test_a_click_on_one_asset_counts_as_under_way(sending: Settings, instance: dg.DagsterInstance) -> None:
    _batch(sending, "planned")
    clicked = defs.resolve_implicit_global_asset_job_def()
    asset = frozenset({dg.AssetKey("clevertap_properties")})
    instance.create_run_for_job(clicked, status=dg.DagsterRunStatus.STARTED, asset_selection=asset)
    assert "under way" in why_not(pushing, instance)


def test_in_preview_nothing_is_pushed_by_itself(connected: Settings, instance: dg.DagsterInstance) -> None:
    _batch(connected, "approved")
    assert "CT_EXPORT_MODE is `preview`" in why_not(pushing, instance)


@pytest.mark.parametrize("state", ["planned", "approved", "sending"])
def test_what_may_be_sent_is_pushed(sending: Settings, instance: dg.DagsterInstance, state: str) -> None:
    _batch(sending, state)
    assert [request.run_config for request in asked(pushing, instance).run_requests or ()] == [{}]


@pytest.mark.parametrize("state", ["held", "done"])
def test_held_and_done_batches_start_nothing(sending: Settings, instance: dg.DagsterInstance, state: str) -> None:
    _batch(sending, state)
    assert "No batch may be sent" in why_not(pushing, instance)


def test_batches_of_another_project_start_nothing(sending: Settings, instance: dg.DagsterInstance) -> None:
    _batch(sending.model_copy(update={"project_id": "ANOTHER"}), "planned")
    assert "No batch may be sent" in why_not(pushing, instance)


def test_batches_that_a_push_has_left_are_not_pushed_at_every_tick(
    sending: Settings, instance: dg.DagsterInstance
) -> None:
    _batch(sending, "planned")
    first = asked(pushing, instance)
    assert "has left the same" in why_not(pushing, instance, first.cursor)
    _batch(sending, "planned")
    second = asked(pushing, instance, first.cursor)
    long_ago = str((NOW - SAME_BATCHES_REST).timestamp())
    later = (second.cursor or "").replace(str(_asked_at(second)), long_ago)
    assert asked(pushing, instance, later).run_requests


def test_a_failed_push_rests(sending: Settings, instance: dg.DagsterInstance) -> None:
    _batch(sending, "sending")
    instance.report_run_failed(started(instance, "push"))
    assert "has failed" in why_not(pushing, instance)


def test_a_database_that_does_not_answer_is_told_and_waited_for(
    sending: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CT_DATABASE_URL", "postgresql://ct@127.0.0.1:1/ct")
    for sensor in (planning, pushing):
        assert "127.0.0.1:1" in why_not(sensor, instance)


def _asked_at(result: dg.SensorResult) -> float:
    return json.loads(result.cursor or "")["asked_at"]


def _dagster_tables(settings: Settings) -> psycopg.Connection:
    assert settings.database_url is not None
    return psycopg.connect(settings.database_url.get_secret_value())


def _profile(settings: Settings, taken_up_at: datetime = NOW - timedelta(hours=1)) -> None:
    """A profile whose pull was taken up then."""
    with open_ledger(settings) as ledger:
        ledger.execute(
            """
            with audience as (
                insert into ledger.audiences (name, created_at) values ('P/everyone', now())
                on conflict (name) do update set created_at = now() returning audience_id
            ), pull as (
                insert into ledger.pulls (audience_id, kind, source_name, sha256, lake_path, row_count, set_aside_count,
                                          email_column, columns, pulled_at, taken_up_at, project)
                select audience_id, 'profiles', 'everyone', gen_random_uuid(), '', 1, 0, '', '[]', %(at)s, %(at)s,
                       %(project)s
                from audience returning pull_id
            )
            insert into ledger.profiles (project, identifier_kind, identifier, seen_at, pull_id)
            select %(project)s, 'identity', '1', %(at)s, pull_id from pull
            on conflict do nothing
            """,
            {"project": settings.project_id, "at": taken_up_at},
        )


def _verdict(settings: Settings, judged_at: datetime) -> None:
    with open_ledger(settings) as ledger:
        ledger.execute(
            """
            insert into ledger.verdicts (address_id, status, reason, safe_to_send, bounce_type, verdict_text,
                is_disposable, is_free, is_role, provider, attempt_count, rule, rules_version, judged_at)
            values (1, 'valid', 'accepted', 'yes', 'none', '', false, false, false, '', 1, '', '1', %(at)s)
            on conflict (address_id) do update set judged_at = excluded.judged_at
            """,
            {"at": judged_at},
        )


def _plan(settings: Settings, planned_at: datetime, audience: str | None = None) -> None:
    with open_ledger(settings) as ledger:
        ledger.execute(
            "insert into ledger.plans (project, audience, planned_at, policy, summary) values (%s, %s, %s, '{}', '{}')",
            (settings.project_id, audience, planned_at),
        )


def _batch(settings: Settings, state: str) -> None:
    with open_ledger(settings) as ledger:
        ledger.execute(
            """
            insert into ledger.batches (project, kind, state, change_count, planned_at)
            values (%s, 'unsubscribe', %s, 1, now())
            """,
            (settings.project_id, state),
        )
