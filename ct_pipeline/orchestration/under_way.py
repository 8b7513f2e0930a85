"""What the runs in progress are working on, so that a sensor does not ask for it again."""

import dagster as dg

from ct_pipeline.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG, lanes

PARTITION_TAG = "dagster/partition"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def is_under_way(instance: dg.DagsterInstance, asset: str) -> bool:
    """Whether a queued or running run materializes ``asset``."""
    return bool(_unfinished_runs(instance, asset))


def lanes_under_way(instance: dg.DagsterInstance) -> set[str]:
    """Lanes that queued or running verifier runs have still to finish."""
    unfinished: set[str] = set()
    for run in _unfinished_runs(instance, "mailbox_probes"):
        unfinished |= _lanes_of(run) - _finished_lanes(instance, run.run_id)
    return unfinished


def _unfinished_runs(instance: dg.DagsterInstance, asset: str) -> list[dg.DagsterRun]:
    key = dg.AssetKey(asset)
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return [run for run in runs if key in _assets_of(run)]


def _assets_of(run: dg.DagsterRun) -> frozenset[dg.AssetKey]:
    if run.asset_selection:
        return frozenset(run.asset_selection)
    # A named job launched whole carries no selection of its own.
    return frozenset(dg.AssetKey(name) for name in _ASSETS_OF_JOB.get(run.job_name, ()))


_ASSETS_OF_JOB = {
    "intake": ("contact_files", "normalized_emails", "domain_facts"),
    "domains": ("domain_facts",),
    "verify": ("mailbox_probes", "catch_all_facts"),
    "judge": ("email_verdicts",),
    "lists": ("verified_list_files",),
}


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
