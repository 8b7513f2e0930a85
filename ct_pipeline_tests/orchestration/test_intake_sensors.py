"""What is taken in by itself: contact files, audiences, and pulls that wait."""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ct_pipeline.orchestration.intake_sensors import audience_names, contact_file_inbox, taking_up
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.settings import Settings
from ct_pipeline.stages.intake import take_in_contact_file
from ct_pipeline_tests.orchestration.deciding import asked, decide, started, why_not


def test_a_new_file_is_taken_in_once(settings: Settings, instance: dg.DagsterInstance) -> None:
    _put(settings, "people.csv")
    decision = asked(contact_file_inbox, instance)
    assert [request.partition_key for request in decision.run_requests or ()] == ["people.csv"]
    assert [added.partition_keys for added in decision.dynamic_partitions_requests or ()] == [["people.csv"]]
    assert isinstance(decide(contact_file_inbox, instance, decision.cursor), dg.SkipReason)


def test_a_changed_file_is_taken_in_again_under_another_run_key(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    _put(settings, "people.csv")
    first = asked(contact_file_inbox, instance)
    _put(settings, "people.csv", rows=2)
    second = asked(contact_file_inbox, instance, first.cursor)
    assert (first.run_requests or [])[0].run_key != (second.run_requests or [])[0].run_key


def test_a_file_that_is_still_being_copied_waits(settings: Settings, instance: dg.DagsterInstance) -> None:
    path = _put(settings, "people.csv")
    os.utime(path)
    assert isinstance(decide(contact_file_inbox, instance), dg.SkipReason)


@pytest.mark.parametrize("name", ["notes.txt", ".people.csv", "people.csv.part", "two...dots.csv", "line\nbreak.csv"])
def test_other_files_are_left_alone(settings: Settings, instance: dg.DagsterInstance, name: str) -> None:
    _put(settings, name)
    assert isinstance(decide(contact_file_inbox, instance), dg.SkipReason)


def test_a_file_that_waits_for_the_next_tick_is_not_forgotten(settings: Settings, instance: dg.DagsterInstance) -> None:
    names = {f"people-{number}.csv" for number in range(30)}
    for name in names:
        _put(settings, name)
    first = asked(contact_file_inbox, instance)
    second = asked(contact_file_inbox, instance, first.cursor)
    keys = [request.partition_key for request in [*(first.run_requests or ()), *(second.run_requests or ())]]
    assert sorted(str(key) for key in keys) == sorted(names)


def test_without_a_project_no_audience_is_offered(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert "CT_PROJECT_ID is not set" in why_not(audience_names, instance)


def test_everyone_becomes_a_partition_without_typing(connected: Settings, instance: dg.DagsterInstance) -> None:
    assert _added(asked(audience_names, instance)) == ["everyone"]
    instance.add_dynamic_partitions("audiences", ["everyone"])
    assert "everyone" in why_not(audience_names, instance)


def test_a_query_in_the_folder_becomes_an_audience(
    connected: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = '{"event_name": "Charged", "from": 20260101, "to": 20260131}'
    connected.audiences_dir.mkdir()
    (connected.audiences_dir / "buyers.json").write_text(query)
    own = connected.state_dir / "travellers.json"
    own.write_text(query)
    monkeypatch.setenv("CT_AUDIENCE", str(own))
    assert _added(asked(audience_names, instance)) == ["buyers", "everyone", "travellers"]


def test_a_pull_that_nobody_took_up_is_normalized(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert isinstance(decide(taking_up, instance), dg.SkipReason)
    take_in_contact_file(settings, _put(settings, "people.csv"))
    assert isinstance(decide(taking_up, instance), dg.RunRequest)
    JobRuns(instance).normalize()
    assert isinstance(decide(taking_up, instance), dg.SkipReason)


def test_a_run_that_will_take_it_up_is_not_helped(settings: Settings, instance: dg.DagsterInstance) -> None:
    take_in_contact_file(settings, _put(settings, "people.csv"))
    run = started(instance, "pull_audience", {"dagster/partition": "everyone"})
    assert "under way" in why_not(taking_up, instance)
    instance.report_run_failed(run)
    assert isinstance(decide(taking_up, instance), dg.RunRequest)
    instance.report_run_failed(started(instance, "normalize"))
    assert "has failed" in why_not(taking_up, instance)


def _added(result: dg.SensorResult) -> list[str]:
    return sorted(key for request in result.dynamic_partitions_requests or () for key in request.partition_keys)


def _put(settings: Settings, name: str, rows: int = 1) -> Path:
    """A contact file in the inbox that was written a minute ago."""
    path = settings.inbox_dir / name
    path.write_text("email\n" + "anna@acme.test\n" * rows)
    minute_ago = datetime.now(UTC).timestamp() - 60
    os.utime(path, (minute_ago, minute_ago))
    return path
