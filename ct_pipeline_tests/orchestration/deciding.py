"""Asking a sensor what it would do, and runs that are under way without anybody working on them."""

import dagster as dg

from ct_pipeline.definitions import defs
from ct_pipeline.orchestration.resources import Deployment, resources_of

Decision = dg.SensorResult | dg.RunRequest | dg.SkipReason


def decide(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None) -> Decision:
    resources = dict(resources_of(Deployment()))
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        decision = sensor(context)
    assert isinstance(decision, Decision)
    return decision


def asked(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """The decision of a sensor that has found something to do."""
    decision = decide(sensor, instance, cursor)
    assert isinstance(decision, dg.SensorResult), decision
    return decision


def why_not(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None = None) -> str:
    """The reason of a sensor that has found nothing to do."""
    decision = decide(sensor, instance, cursor)
    assert isinstance(decision, dg.SkipReason), decision
    return decision.skip_message or ""


def started(
    instance: dg.DagsterInstance,
    job: str,
    tags: dict[str, str] | None = None,
    run_config: dict[str, object] | None = None,
) -> dg.DagsterRun:
    """A run of ``job`` that has started and does not end."""
    return instance.create_run_for_job(
        defs.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED, tags=tags or {}, run_config=run_config
    )
