"""Runs of the jobs in this process, recorded in the instance like any other: for the demo, and for tests."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from ct_pipeline.definitions import build_defs
from ct_pipeline.orchestration import batch_ops, jobs
from ct_pipeline.orchestration.partitions import audiences, contact_files, lane_range_tags, lanes


class JobRuns:
    """Runs jobs one after the other on ``instance``. A failed run raises what the step raised."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._defs = build_defs()

    def intake(self, file_name: str) -> dg.ExecuteInProcessResult:
        """Take in one file of the inbox."""
        self._instance.add_dynamic_partitions(str(contact_files.name), [file_name])
        return self._run(jobs.intake.name, partition_key=file_name)

    def pull_day(self, day: date) -> dg.ExecuteInProcessResult:
        """Pull the profiles of one day and take them up."""
        return self._run(jobs.pull_day.name, partition_key=day.isoformat())

    def pull_audience(self, name: str) -> dg.ExecuteInProcessResult:
        """Pull the profiles of an audience, such as ``everyone``, and take them up."""
        self._instance.add_dynamic_partitions(str(audiences.name), [name])
        return self._run(jobs.pull_audience.name, partition_key=name)

    def normalize(self) -> dg.ExecuteInProcessResult:
        """Take up what was pulled and has not been taken up."""
        return self._run(jobs.normalize.name)

    def verify(self, lane_range: tuple[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """Ask about every due address of the lanes from the first to the last of ``lane_range``, or of all."""
        keys = lanes.get_partition_keys()
        first, last = lane_range or (keys[0], keys[-1])
        return self._run(jobs.verify.name, tags=lane_range_tags(first, last))

    def judge(self) -> dg.ExecuteInProcessResult:
        return self._run(jobs.judge.name)

    def lists(self, file_name: str) -> dg.ExecuteInProcessResult:
        """Write the list file of one contact file."""
        return self._run(jobs.lists.name, partition_key=file_name)

    def plan(self, audience: str | None = None) -> dg.ExecuteInProcessResult:
        """Plan the export, for one audience or for every profile."""
        return self._run(jobs.plan.name, config={"export_batches": {"audience": audience}})

    def approve(self, batch_ids: Sequence[int], by: str, because: str) -> dg.ExecuteInProcessResult:
        """Approve held batches."""
        config = {"batch_ids": list(batch_ids), "approved_by": by, "because": because}
        return self._run(batch_ops.approve_batches.name, config={"approve": config})

    def push(self, *, apply: bool | None = None, batch_ids: Sequence[int] = ()) -> dg.ExecuteInProcessResult:
        """Send what may be sent, or (``apply`` False, or None while CT_EXPORT_MODE is preview) tell what would be."""
        config = {"apply": apply, "batch_ids": list(batch_ids)}
        return self._run(jobs.push.name, config=dict.fromkeys(jobs.ASSETS_OF_JOB["push"], config))

    def undo(
        self, batch_ids: Sequence[int], *, apply: bool | None = None, include_unknown: bool = False, by: str = ""
    ) -> dg.ExecuteInProcessResult:
        """Take back what batches have changed, the newest first."""
        config = {
            "batch_ids": list(batch_ids),
            "apply": apply,
            "include_unknown": include_unknown,
            "undone_by": by,
        }
        return self._run(batch_ops.undo_batch.name, config={"undo": config})

    def _run(
        self,
        job: str,
        *,
        partition_key: str | None = None,
        tags: dict[str, str] | None = None,
        config: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """``config``: the configuration of each step, by its name."""
        run_config: dict[str, object] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        if config:
            run_config["ops"] = {step: {"config": dict(fields)} for step, fields in config.items()}
        try:
            return self._defs.resolve_job_def(job).execute_in_process(
                instance=self._instance, partition_key=partition_key, tags=tags, run_config=run_config
            )
        except dg.DagsterExecutionInterruptedError:
            # During a step Dagster turns Ctrl-C into this; the caller should not need to know.
            raise KeyboardInterrupt from None
