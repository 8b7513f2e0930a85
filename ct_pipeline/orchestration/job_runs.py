"""Runs of the jobs in this process, recorded in the instance like any other: for the demo, and for tests."""

import dagster as dg

from ct_pipeline.definitions import build_defs
from ct_pipeline.orchestration import jobs
from ct_pipeline.orchestration.partitions import contact_files, lane_range_tags, lanes


class JobRuns:
    """Runs jobs one after the other on ``instance``. A failed run raises what the step raised."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._defs = build_defs()

    def intake(self, file_name: str) -> dg.ExecuteInProcessResult:
        """Take in one file of the inbox."""
        self._instance.add_dynamic_partitions(str(contact_files.name), [file_name])
        return self._run(jobs.intake.name, partition_key=file_name)

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

    def _run(
        self, job: str, *, partition_key: str | None = None, tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        try:
            return self._defs.resolve_job_def(job).execute_in_process(
                instance=self._instance,
                partition_key=partition_key,
                tags=tags,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        except dg.DagsterExecutionInterruptedError:
            # During a step Dagster turns Ctrl-C into this; the caller should not need to know.
            raise KeyboardInterrupt from None
