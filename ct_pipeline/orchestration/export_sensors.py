"""What plans and pushes by itself: new verdicts and profiles, and batches that may be sent.

Neither asks while any run plans, pushes or undoes: each works on what the other has left. Held batches start nothing.
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.orchestration import jobs
from ct_pipeline.orchestration.resources import Deployment, Ledger, missing_connection
from ct_pipeline.orchestration.under_way import is_job_under_way, is_under_way, resting_until
from ct_pipeline.storage.clevertap_backlog import (
    batches_to_send,
    has_news_since,
    has_profiles,
    has_verdicts,
)
from ct_pipeline.storage.plans import latest_plan
from ct_pipeline.vocabulary import ExportMode

PLANS_WHILE_VERIFYING = timedelta(minutes=30)  # a verifier may run for days; people look at the preview meanwhile
OLDEST_PLAN = timedelta(hours=24)  # what waits for its second look-up, or for a week to pass, becomes free without news
SAME_BATCHES_REST = timedelta(minutes=30)  # a push that left what it found is not repeated sooner


@dg.sensor(
    job=jobs.plan,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Plans the export again when verdicts or profiles are newer than the last plan, and once a day.",
)
def planning(
    context: dg.SensorEvaluationContext, deployment: Deployment, ledger: Ledger
) -> dg.SensorResult | dg.SkipReason:
    now = datetime.now(UTC)
    settings = deployment.settings()
    if reason := missing_connection(settings) or _busy(context, jobs.plan.name, now):
        return dg.SkipReason(reason)
    try:
        with ledger.open() as conn:
            reason = _why_no_plan(context, conn, settings.project_id, now)
    except LedgerUnavailableError as error:
        return dg.SkipReason(str(error))
    if reason:
        return dg.SkipReason(reason)
    return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=json.dumps({"asked_at": now.timestamp()}))


@dg.sensor(
    job=jobs.push,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends batches that no brake holds, if CT_EXPORT_MODE is `apply`; with `preview` it starts nothing.",
)
def pushing(
    context: dg.SensorEvaluationContext, deployment: Deployment, ledger: Ledger
) -> dg.SensorResult | dg.SkipReason:
    now = datetime.now(UTC)
    settings = deployment.settings()
    if settings.export_mode is not ExportMode.APPLY:
        return dg.SkipReason(
            "CT_EXPORT_MODE is `preview`: nothing is sent by itself. Look at export_batches; then set it to `apply`, "
            "or launch the job push with `apply: true`."
        )
    if reason := missing_connection(settings) or _busy(context, jobs.push.name, now):
        return dg.SkipReason(reason)
    try:
        with ledger.open() as conn:
            waiting = batches_to_send(conn, settings.project_id)
    except LedgerUnavailableError as error:
        return dg.SkipReason(str(error))
    if not waiting.count:
        return dg.SkipReason("No batch may be sent: none is planned or approved.")
    last: dict[str, str | float] = json.loads(context.cursor or "{}")
    asked_at = datetime.fromtimestamp(float(last.get("asked_at", 0.0)), UTC)
    if last.get("batches") == waiting.fingerprint and now - asked_at < SAME_BATCHES_REST:
        return dg.SkipReason(f"The last push has left the same {waiting.count} batches; the next one waits a while.")
    cursor = json.dumps({"asked_at": now.timestamp(), "batches": waiting.fingerprint})
    return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=cursor)


def _busy(context: dg.SensorEvaluationContext, job: str, now: datetime) -> str:
    """Why ``job`` cannot be asked for now; empty if it can."""
    at_work = ("export_batches", "clevertap_unsubscribes", "clevertap_properties")
    if is_under_way(context.instance, *at_work) or is_job_under_way(context.instance, "undo_batch"):
        return "A run that plans, pushes or undoes is under way."
    until = resting_until(context.instance, job)
    if until is not None and now < until:
        return f"The last run of the job {job} has failed; the next one waits until {until:%H:%M} UTC."
    return ""


def _why_no_plan(context: dg.SensorEvaluationContext, conn: psycopg.Connection, project: str, now: datetime) -> str:
    """Why no plan is needed; empty if one is."""
    if not has_profiles(conn, project):
        return "No profile of the project was pulled yet: materialize audience_profiles or raw_profiles first."
    if not has_verdicts(conn):
        return "No address has been judged yet."
    plan = latest_plan(conn, project)
    last = max(filter(None, [plan and plan.planned_at, _succeeded_at(context)]), default=None)
    if last is None:
        return ""
    if not has_news_since(conn, project, last) and now - last < OLDEST_PLAN:
        return "No address was judged, and no profile taken up, since the last plan."
    if is_under_way(context.instance, "email_verdicts"):
        return "A judging run is under way."
    if is_under_way(context.instance, "mailbox_probes") and now - last < PLANS_WHILE_VERIFYING:
        return "The verifier is at work; more verdicts are coming."
    return ""


def _succeeded_at(context: dg.SensorEvaluationContext) -> datetime | None:
    """When the sensor last asked for a plan, if that did not fail: a plan that changed nothing counts too."""
    asked_at: float | None = json.loads(context.cursor or "{}").get("asked_at")
    if asked_at is None or resting_until(context.instance, jobs.plan.name) is not None:
        return None
    return datetime.fromtimestamp(asked_at, UTC)


export_sensors = [planning, pushing]
