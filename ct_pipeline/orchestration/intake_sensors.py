"""What takes in by itself: new contact files, new audiences, and pulls that nobody has normalized.

They run from the start, because a list that was put in the inbox must not wait for a click; each can be switched off in
the UI.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.orchestration import jobs, partitions
from ct_pipeline.orchestration.resources import Deployment, Ledger, missing_connection
from ct_pipeline.orchestration.under_way import is_under_way, rests
from ct_pipeline.stages.pull import audience_names as names_of_audiences
from ct_pipeline.storage.clevertap_backlog import has_pulls_to_take_up

SETTLED_AFTER_SECONDS = 5  # a file that changed more recently may still be being copied
FILES_PER_TICK = 20
CONTACT_FILE_SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dg.sensor(
    job=jobs.intake,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes in each contact file that is put into the inbox, or changed there.",
)
def contact_file_inbox(context: dg.SensorEvaluationContext, deployment: Deployment) -> dg.SensorResult | dg.SkipReason:
    inbox = deployment.settings().inbox_dir
    known: dict[str, str] = json.loads(context.cursor or "{}")
    present = {path.name: path for path in _contact_files(inbox)}
    found = {name: _fingerprint(path) for name, path in present.items()}
    fresh = [name for name in sorted(found) if known.get(name) != found[name] and _is_settled(present[name])]
    taken = fresh[:FILES_PER_TICK]
    if not taken:
        return dg.SkipReason(f"No new .csv, .csv.gz or .parquet file in {inbox}.")
    cursor = {name: found[name] for name in found if name in taken or known.get(name) == found[name]}
    return dg.SensorResult(
        dynamic_partitions_requests=[partitions.contact_files.build_add_request(taken)],
        run_requests=[dg.RunRequest(run_key=f"{name}:{found[name]}", partition_key=name) for name in taken],
        cursor=json.dumps(cursor),
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes `everyone`, CT_AUDIENCE and each query in the folder `audiences` a partition of "
    "audience_profiles, to be chosen by mouse. Starts no run.",
)
def audience_names(context: dg.SensorEvaluationContext, deployment: Deployment) -> dg.SensorResult | dg.SkipReason:
    settings = deployment.settings()
    if reason := missing_connection(settings):
        return dg.SkipReason(reason)
    known = set(context.instance.get_dynamic_partitions(str(partitions.audiences.name)))
    names = [name for name in names_of_audiences(settings) if partitions.is_partition_key(name)]
    if not (fresh := [name for name in names if name not in known]):
        return dg.SkipReason(f"No new audience. Known: {', '.join(names)}. Put queries into {settings.audiences_dir}.")
    return dg.SensorResult(dynamic_partitions_requests=[partitions.audiences.build_add_request(fresh)])


@dg.sensor(
    job=jobs.normalize,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Normalizes what a click on raw_profiles, audience_profiles or contact_files alone, or an interrupted "
    "run, has left waiting.",
)
def taking_up(context: dg.SensorEvaluationContext, ledger: Ledger) -> dg.RunRequest | dg.SkipReason:
    try:
        with ledger.open() as conn:
            is_waiting = has_pulls_to_take_up(conn)
    except LedgerUnavailableError as error:
        return dg.SkipReason(str(error))
    if not is_waiting:
        return dg.SkipReason("Every pull is taken up.")
    if is_under_way(context.instance, "normalized_emails"):
        return dg.SkipReason("A run that takes pulls up is under way.")
    if rests(context.instance, jobs.normalize.name, datetime.now(UTC)):
        return dg.SkipReason("The last run has failed; the next one waits a while.")
    return dg.RunRequest()


def _contact_files(inbox: Path) -> list[Path]:
    if not inbox.is_dir():
        return []
    return [
        path
        for path in inbox.iterdir()
        if path.is_file()
        and path.name.lower().endswith(CONTACT_FILE_SUFFIXES)
        and not path.name.startswith(".")
        and partitions.is_partition_key(path.name)
    ]


def _fingerprint(path: Path) -> str:
    facts = path.stat()
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _is_settled(path: Path) -> bool:
    return not 0 <= time.time() - path.stat().st_mtime < SETTLED_AFTER_SECONDS


intake_sensors = [contact_file_inbox, audience_names, taking_up]
