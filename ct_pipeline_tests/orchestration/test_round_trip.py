"""Profiles in, unsubscribes and properties out, and back: the jobs against a simulated account."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from ct_pipeline.definitions import defs
from ct_pipeline.errors import ExportError, SettingsError
from ct_pipeline.orchestration.export_sensors import pushing
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.batches import batches
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.vocabulary import BatchState, ChangeKind
from ct_pipeline_tests.orchestration.clevertap_world import opted_out, properties, small_sandbox, write_count
from ct_pipeline_tests.orchestration.deciding import asked, why_not

SUBSCRIBE, UPLOAD = "/1/subscribe", "/1/upload"


@pytest.fixture
def sandbox(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with small_sandbox().run_in_thread() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CT_READ_BACK_SECONDS", "0")
        yield sandbox


@pytest.fixture
def judged(sandbox: Sandbox, instance: dg.DagsterInstance) -> JobRuns:
    """Everybody is pulled, asked and judged: two of four addresses are Invalid."""
    runs = JobRuns(instance)
    runs.pull_audience("everyone")
    runs.verify()
    runs.judge()
    return runs


@pytest.fixture
def unbraked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CT_UNSUBSCRIBE_SHARE_LIMIT", "1")


@pytest.mark.usefixtures("unbraked")
def test_the_round_trip_ends_where_it_began(judged: JobRuns, sandbox: Sandbox) -> None:
    planned = _told(judged.plan(), "export_batches")
    assert (planned["unsubscribe_count"], planned["property_change_count"]) == (2, 4)
    assert planned["unsubscribe_reasons"] == {"mailbox_not_found": 2}
    assert not write_count(sandbox, SUBSCRIBE)

    preview = judged.push()
    assert _told(preview, "clevertap_unsubscribes")["mode"].startswith("preview")
    assert _told(preview, "clevertap_unsubscribes")["would_send_count"] == 2
    assert _told(preview, "clevertap_properties")["would_send_count"] == 4
    assert write_count(sandbox, SUBSCRIBE) == write_count(sandbox, UPLOAD) == 0

    pushed = judged.push(apply=True)
    assert _told(pushed, "clevertap_unsubscribes")["processed_count"] == 2
    assert _told(pushed, "clevertap_properties")["processed_count"] == 4
    assert opted_out(sandbox) == {"bert@acme.test", "carl@acme.test"}
    assert properties(sandbox, "bert@acme.test")["EV Safe To Send"] == "no"
    assert properties(sandbox, "anna@acme.test")["Plan"] == "Gold"

    sandbox.clevertap.faults.clock_offset_seconds += 3
    sent = [batch.batch_id for batch in _batches(load_settings())]
    both = judged.undo(sent, apply=True, by="Ada")
    assert _undone(both) == sorted(sent, reverse=True)
    assert opted_out(sandbox) == {"carl@acme.test"}  # nothing is known of him: only with include_unknown
    assert all("EV Safe To Send" not in properties(sandbox, email) for email in ("anna@acme.test", "bert@acme.test"))
    (unsubscribes,) = _batches(load_settings(), ChangeKind.UNSUBSCRIBE)
    undone = _told(judged.undo([unsubscribes.batch_id], apply=True, include_unknown=True), "clevertap_unsubscribes")
    assert undone["restored_count"] == 1
    assert opted_out(sandbox) == set()


def test_a_day_is_pulled_and_pulled_again(sandbox: Sandbox, instance: dg.DagsterInstance) -> None:
    day = (datetime.now(load_settings().zone) - timedelta(days=2)).date()  # over, whatever the time zone
    runs = JobRuns(instance)
    for _ in range(2):
        result = runs.pull_day(day)
        (profiles,) = [event for event in result.get_asset_materialization_events() if event.partition]
        assert profiles.partition == day.isoformat()
        assert _told(result, "raw_profiles")["dagster/row_count"] >= 3


def test_a_held_batch_sends_nothing_however_it_is_launched(
    judged: JobRuns, sandbox: Sandbox, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = judged.plan()  # two of four addresses are more than the tenth that may go at once
    (held,) = _batches(load_settings(), ChangeKind.UNSUBSCRIBE)
    assert held.state is BatchState.HELD
    (check,) = planned.get_asset_check_evaluations()
    assert not check.passed
    assert f"batch {held.batch_id}" in (check.description or "")

    judged.push(apply=True)
    judged.push(apply=True, batch_ids=[held.batch_id])
    monkeypatch.setenv("CT_EXPORT_MODE", "apply")
    judged.push()
    _click(instance, "clevertap_unsubscribes")
    _click(instance, "clevertap_unsubscribes", {"apply": True, "batch_ids": [held.batch_id]})
    assert "No batch may be sent" in why_not(pushing, instance)
    assert write_count(sandbox, SUBSCRIBE) == 0
    assert opted_out(sandbox) == set()

    with pytest.raises(ExportError, match="name and a reason"):
        judged.approve([held.batch_id], by=" ", because="")
    approved = judged.approve([held.batch_id], by="Ada", because="a list of dead addresses, looked at")
    states = {row["batch"]: row["state"] for row in _told(approved, "export_batches")["batches"]}
    assert states[held.batch_id] == "approved"
    assert asked(pushing, instance).run_requests
    judged.push()
    assert opted_out(sandbox) == {"bert@acme.test", "carl@acme.test"}


@pytest.mark.usefixtures("unbraked")
def test_an_expired_passcode_makes_the_run_red_and_says_what_to_do(
    judged: JobRuns, sandbox: Sandbox, instance: dg.DagsterInstance
) -> None:
    judged.plan()
    sandbox.clevertap.faults.is_passcode_expired = True
    with pytest.raises(dg.Failure, match="CT_PASSCODE") as failure:
        judged.push(apply=True)
    assert failure.value.metadata["processed_count"].value == 0
    sandbox.clevertap.faults.is_passcode_expired = False
    judged.push(apply=True)
    assert opted_out(sandbox) == {"bert@acme.test", "carl@acme.test"}


@pytest.mark.usefixtures("unbraked")
def test_several_batches_are_undone_or_none_and_an_undo_that_stops_says_what_remains(
    judged: JobRuns, sandbox: Sandbox
) -> None:
    judged.plan()
    judged.push(apply=True)
    sent = sorted((batch.batch_id for batch in _batches(load_settings())), reverse=True)
    written = write_count(sandbox, SUBSCRIBE), write_count(sandbox, UPLOAD)
    with pytest.raises(ExportError, match="no batch 99"):
        judged.undo([*sent, 99], apply=True)
    with pytest.raises(ExportError, match="Name the batches"):
        judged.undo([], apply=True)
    assert (write_count(sandbox, SUBSCRIBE), write_count(sandbox, UPLOAD)) == written

    assert _undone(judged.undo(sent, apply=False)) == sent
    sandbox.clevertap.faults.is_passcode_expired = True
    with pytest.raises(dg.Failure, match=re.escape(f"Not done: {sent}")):
        judged.undo(sent, apply=True)


def test_without_a_project_every_asset_says_what_to_set(settings: Settings, instance: dg.DagsterInstance) -> None:
    runs = JobRuns(instance)
    launches = [
        lambda: runs.pull_audience("everyone"),
        lambda: runs.pull_day(datetime.now(UTC).date() - timedelta(days=2)),
        runs.plan,
        runs.push,
        lambda: runs.undo([1]),
        lambda: runs.approve([1], by="Ada", because="so"),
    ]
    for launch in launches:
        with pytest.raises(SettingsError, match="CT_PROJECT_ID is not set"):
            launch()


@pytest.mark.usefixtures("unbraked")
def test_neither_the_passcode_nor_an_address_is_in_what_dagster_keeps(
    judged: JobRuns, sandbox: Sandbox, instance: dg.DagsterInstance, settings: Settings, ledger_url: str
) -> None:
    """After a round trip with runs that failed, too."""
    account = sandbox.clevertap.account
    judged.plan()
    sandbox.clevertap.faults.is_passcode_expired = True
    for launch in (
        lambda: judged.pull_audience("everyone"),
        lambda: judged.push(apply=True),
        lambda: judged.undo([1], apply=True),
    ):
        with pytest.raises(Exception, match=r"\w"):
            launch()
    sandbox.clevertap.faults.is_passcode_expired = False
    judged.push(apply=True)
    judged.undo([batch.batch_id for batch in _batches(load_settings())], apply=True, include_unknown=True)
    kept = _everything_of_dagster(ledger_url)
    kept += "".join(path.read_text(errors="replace") for path in settings.dagster_home.rglob("*") if path.is_file())
    assert "RUN_FAILURE" in kept or "PIPELINE_FAILURE" in kept
    assert "clevertap_unsubscribes" in kept
    assert account.access.passcode not in kept
    assert not [person for person in ("anna@", "bert@", "carl@", "dora@", "@acme.test") if person in kept]


def _told(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """The metadata of ``asset``: count tables as dicts, other tables as lists of rows."""
    events = [
        event.event_specific_data
        for event in result.all_events
        if event.asset_key == dg.AssetKey(asset) and (event.is_step_materialization or event.is_asset_observation)
    ]
    told = events[-1]
    metadata = getattr(told, "materialization", None) or getattr(told, "asset_observation", None)
    assert metadata is not None
    return {name: _plain(value) for name, value in metadata.metadata.items()}


def _undone(result: dg.ExecuteInProcessResult) -> list[Any]:
    """The batches that a run has undone, or shown, in its order."""
    observations = [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]
    return [observation.metadata["undone_batch"].value for observation in observations]


def _plain(value: dg.MetadataValue) -> Any:
    if not isinstance(value, dg.TableMetadataValue):
        return value.value
    rows = [dict(record.data) for record in value.records]
    if value.schema.columns[-1].name == "count" and len(value.schema.columns) == 2:
        return {next(iter(row.values())): row["count"] for row in rows}
    return rows


def _batches(settings: Settings, *kinds: ChangeKind) -> list[Any]:
    with open_ledger(settings) as ledger:
        return [batch for batch in batches(ledger, settings.project_id) if not kinds or batch.kind in kinds]


def _click(instance: dg.DagsterInstance, asset: str, config: dict[str, Any] | None = None) -> None:
    """What a click on Materialize does."""
    defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(asset)],
        run_config={"ops": {asset: {"config": config}}} if config else None,
    )


def _everything_of_dagster(ledger_url: str) -> str:
    """Every row of every table of Dagster's: runs, events, ticks, partitions, snapshots."""
    with psycopg.connect(ledger_url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'dagster'").fetchall()
        assert {"runs", "event_logs"} <= {name for (name,) in tables}
        every_row = sql.SQL("select t::text from dagster.{} t")
        rows = [connection.execute(every_row.format(sql.Identifier(name))).fetchall() for (name,) in tables]
    return "".join(map(str, rows))
