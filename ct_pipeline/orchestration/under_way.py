"""What the runs of a job do, so that a sensor asks neither twice for the same work nor forever for failing work."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from ct_pipeline.orchestration.jobs import ASSETS_OF_JOB
from ct_pipeline.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG, lanes

PARTITION_TAG = "dagster/partition"
FIRST_REST = timedelta(minutes=5)
LONGEST_REST = timedelta(hours=4)
_RUNS_LOOKED_AT = 8  # 5 minutes doubled seven times is longer than the longest rest
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def is_under_way(instance: dg.DagsterInstance, *assets: str) -> bool:
    """Whether a queued or running run materializes one of ``assets``."""
    return bool(_unfinished_runs(instance, *assets))


def is_job_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of ``job`` is queued or running."""
    return bool(instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=_UNFINISHED), limit=1))


def partitions_under_way(instance: dg.DagsterInstance, asset: str) -> set[str]:
    """Partitions of ``asset`` that queued or running runs, of one partition each, materialize."""
    return {run.tags[PARTITION_TAG] for run in _unfinished_runs(instance, asset) if PARTITION_TAG in run.tags}


def lanes_under_way(instance: dg.DagsterInstance) -> set[str]:
    """Lanes that queued or running verifier runs have still to finish."""
    unfinished: set[str] = set()
    for run in _unfinished_runs(instance, "mailbox_probes"):
        unfinished |= _lanes_of(run) - _finished_lanes(instance, run.run_id)
    return unfinished


def resting_until(instance: dg.DagsterInstance, job: str) -> datetime | None:
    """When to ask for ``job`` again after its last runs failed, each rest twice the last; None: it did not fail."""
    records = instance.get_run_records(
        filters=dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]),
        limit=_RUNS_LOOKED_AT,
    )
    failed = 0
    for record in records:
        if record.dagster_run.status is not dg.DagsterRunStatus.FAILURE:
            break
        failed += 1
    if not failed:
        return None
    ended_at = datetime.fromtimestamp(records[0].end_time or records[0].create_timestamp.timestamp(), UTC)
    return ended_at + min(FIRST_REST * 2 ** (failed - 1), LONGEST_REST)


def rests(instance: dg.DagsterInstance, job: str, now: datetime) -> bool:
    """Whether ``job`` has failed a short time ago: what fails for a reason of its own would fail at every tick."""
    until = resting_until(instance, job)
    return until is not None and now < until


def _unfinished_runs(instance: dg.DagsterInstance, *assets: str) -> list[dg.DagsterRun]:
    keys = {dg.AssetKey(asset) for asset in assets}
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return [run for run in runs if keys & _assets_of(run)]


def _assets_of(run: dg.DagsterRun) -> frozenset[dg.AssetKey]:
    if run.asset_selection:
        return frozenset(run.asset_selection)
    # A named job launched whole carries no selection of its own.
    return frozenset(dg.AssetKey(name) for name in ASSETS_OF_JOB.get(run.job_name, ()))


def _lanes_of(run: dg.DagsterRun) -> set[str]:
    if (lane := run.tags.get(PARTITION_TAG)) is not None:
        return {lane}
    keys = lanes.get_partition_keys()
    first, last = run.tags.get(RANGE_START_TAG), run.tags.get(RANGE_END_TAG)
    if first in keys and last in keys:
        return set(keys[keys.index(first) : keys.index(last) + 1])
    return set(keys)


def _finished_lanes(instance: dg.DagsterInstance, run_id: str) -> set[str]:
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {
        event.dagster_event.partition
        for event in events
        if event.dagster_event is not None and event.dagster_event.partition is not None
    }
