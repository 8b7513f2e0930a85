"""What Dagster shows, and what it costs to look at it."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import yaml

from ct_pipeline.definitions import defs
from ct_pipeline.orchestration.partitions import days_of
from ct_pipeline.settings import load_settings

WAY_OF_THE_DATA = [
    "raw_profiles",
    "audience_profiles",
    "contact_files",
    "normalized_emails",
    "domain_facts",
    "mailbox_probes",
    "catch_all_facts",
    "email_verdicts",
    "verified_list_files",
    "export_batches",
    "clevertap_unsubscribes",
    "clevertap_properties",
]


def test_everything_loads() -> None:
    dg.Definitions.validate_loadable(defs)


def test_groups_are_numbered_in_the_order_of_the_data() -> None:
    graph = defs.resolve_asset_graph()
    groups = [graph.get(dg.AssetKey(name)).group_name for name in WAY_OF_THE_DATA]
    assert groups == sorted(groups)
    assert len(graph.get_all_asset_keys()) == len(WAY_OF_THE_DATA)


def test_no_asset_precedes_what_it_depends_on() -> None:
    graph = defs.resolve_asset_graph()
    for name in WAY_OF_THE_DATA:
        for parent in graph.get(dg.AssetKey(name)).parent_keys:
            assert WAY_OF_THE_DATA.index(parent.to_user_string()) < WAY_OF_THE_DATA.index(name)


def test_every_asset_job_schedule_and_sensor_says_what_it_does() -> None:
    graph = defs.resolve_asset_graph()
    assert all(graph.get(dg.AssetKey(name)).description for name in WAY_OF_THE_DATA)
    assert all(sensor.description for sensor in defs.sensors or ())
    assert [schedule.description for schedule in defs.schedules or () if isinstance(schedule, dg.ScheduleDefinition)]
    names = {job.name for job in defs.jobs or ()}
    assert {"intake", "pull_day", "pull_audience", "verify", "judge", "plan", "push", "undo_batch"} <= names
    assert all(defs.resolve_job_def(name).description for name in names)


def test_wrong_settings_leave_the_ui_open_and_are_told_there() -> None:
    code = """
import dagster as dg
from ct_pipeline.definitions import defs
dg.Definitions.validate_loadable(defs)
print(defs.resolve_asset_graph().get(dg.AssetKey("raw_profiles")).description)
"""
    wrong = os.environ | {"CT_TIMEZONE": "Mars/Olympus", "CT_FIRST_DAY": "soon"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=wrong)
    assert "CT_TIMEZONE is 'Mars/Olympus'" in found.stdout
    assert "CT_FIRST_DAY is 'soon'" in found.stdout


def test_days_are_those_of_the_project() -> None:
    settings = load_settings(timezone="Pacific/Auckland", first_day="2026-09-25")
    days = days_of(settings)
    assert days.get_first_partition_key() == "2026-09-25"
    window = days.time_window_for_partition_key("2026-09-27")  # the clocks go forward
    assert window.end.timestamp() - window.start.timestamp() == 23 * 3600


def test_workspace_names_the_definitions() -> None:
    workspace = yaml.safe_load((Path(__file__).parents[2] / "workspace.yaml").read_text())
    (location,) = workspace["load_from"]
    assert location["python_module"] == {"module_name": "ct_pipeline.definitions", "location_name": "ct_pipeline"}


def test_help_does_not_wait_for_dagster() -> None:
    code = "import sys, ct_pipeline.cli; print(sorted({'dagster', 'polars', 'psycopg'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
