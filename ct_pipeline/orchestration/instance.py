"""Dagster's own home: its configuration file, its environment, and the instance for use in this process."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

import ct_pipeline
from ct_pipeline.atomic_files import private_folder
from ct_pipeline.settings import Settings
from ct_pipeline.storage.database import dagster_database_url, resolve_database_url

DATABASE_VARIABLE = "CT_DAGSTER_DATABASE_URL"
LOCATION_NAME = "ct_pipeline"
CODE_MODULE = "ct_pipeline.definitions"
SOURCE_DIR = Path(ct_pipeline.__file__).parent.parent  # where the package can be imported from, installed or not
IN_PROCESS_FILE = "in_process.yaml"
VERIFIER_TAG = "ct_pipeline/verifier"  # on runs of the job `verify`

# Pools: however they are launched, two runs that read from CleverTap never run at once, since its three calls in flight
# are counted per project; nor two that plan, push or undo, since each works on what the other has left.
CLEVERTAP_READS = "clevertap_reads"
EXPORT = "export"

# Verifier runs may last days, so they leave room for intake and judging.
MAX_RUNS = 4
MAX_VERIFIER_RUNS = 2


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance of this deployment, for runs in this process; makes Dagster's tables on first use.

    Raises:
        LedgerUnavailableError: no database answers.
    """
    write_dagster_home(settings)
    with (
        _environment(dagster_environment(settings)),
        dg.DagsterInstance.from_config(str(settings.dagster_home), IN_PROCESS_FILE) as instance,
    ):
        yield instance


def dagster_environment(settings: Settings) -> dict[str, str]:
    """The variables that Dagster's processes need besides those of the caller."""
    return {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        DATABASE_VARIABLE: dagster_database_url(resolve_database_url(settings)),
        "CT_STATE_DIR": str(settings.state_dir),
    }


def write_dagster_home(settings: Settings) -> Path:
    """Write ``dagster.yaml``, its twin for this process and ``workspace.yaml``; returns the last.

    The database's URL may hold a password, so the file only names the variable that carries it.
    """
    home = settings.dagster_home
    private_folder(home)  # holds the output of steps, and the socket that starts runs
    configuration = _instance_configuration()
    _write(home / "dagster.yaml", configuration)
    _write(home / IN_PROCESS_FILE, configuration | _OUTPUT_STAYS_HERE)
    workspace = home / "workspace.yaml"
    module = {
        "module_name": CODE_MODULE,
        "location_name": LOCATION_NAME,
        "working_directory": str(SOURCE_DIR),
    }
    _write(workspace, {"load_from": [{"python_module": module}]})
    return workspace


# Runs in the process of a command print to its terminal, and start no helpers that its Ctrl-C would hit.
_OUTPUT_STAYS_HERE: dict[str, object] = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}


def _instance_configuration() -> dict[str, object]:
    # What is not named here stays below Dagster's home, the output of steps in `storage/` among it.
    purge_after_days = {"purge_after_days": {"skipped": 3, "success": 30, "failure": 60, "started": 7}}
    return {
        "storage": {"postgres": {"postgres_url": {"env": DATABASE_VARIABLE}}},
        "run_coordinator": {
            "module": "dagster",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 2},
        },
        "concurrency": {
            "runs": {
                "max_concurrent_runs": MAX_RUNS,
                "tag_concurrency_limits": [{"key": VERIFIER_TAG, "limit": MAX_VERIFIER_RUNS}],
            },
            # By run: a step that waits for a slot would ask the database again and again.
            "pools": {"granularity": "run", "default_limit": 1},
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "cancel_timeout_seconds": 180,
            "poll_interval_seconds": 60,
            "free_slots_after_run_end_seconds": 60,
        },
        # A crashed run worker is started again; what a step itself reports as failed would fail again.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "retention": {"schedule": purge_after_days, "sensor": purge_after_days},
        "code_servers": {"local_startup_timeout": 180},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def _write(path: Path, content: dict[str, object]) -> None:
    text = (
        "# Written by ct-pipeline at every start; changes made here are lost.\n" + json.dumps(content, indent=2) + "\n"
    )
    if not path.exists() or path.read_text() != text:
        temporary = path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(path)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
