"""What verifies and judges by itself: due addresses, unjudged evidence, lists that are out of date.

They run from the start, because an address that is due again must not wait for a click; each can be switched off in the
UI. A tick asks the ledger a few indexed questions and nothing else.
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from ct_pipeline.errors import LedgerUnavailableError, SettingsError
from ct_pipeline.orchestration import jobs, partitions
from ct_pipeline.orchestration.resources import Ledger
from ct_pipeline.orchestration.under_way import is_under_way, lanes_under_way, rests
from ct_pipeline.stages.egresses import load_egresses
from ct_pipeline.storage.domain_facts import domains_to_look_up
from ct_pipeline.storage.due import lanes_due
from ct_pipeline.storage.pulls import latest_pull
from ct_pipeline.storage.verdicts import has_verdicts_since, unjudged_backlog

# A judging run costs seconds of start-up, so it waits for company; while nothing is being asked, it need not wait.
UNJUDGED_COUNT = 20_000
UNJUDGED_AGE = timedelta(minutes=3)
LISTS_WHILE_VERIFYING = timedelta(minutes=30)  # a verifier may run for days; people look at the lists meanwhile


@dg.sensor(
    jobs=[jobs.verify, jobs.domains],
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks again about addresses that are due: greylisted and other temporary answers, and stale verdicts.",
)
def recheck(context: dg.SensorEvaluationContext, ledger: Ledger) -> dg.SensorResult | dg.SkipReason:
    now = datetime.now(UTC)
    try:
        egresses = load_egresses(ledger.settings())
        with ledger.open() as conn:
            due = [lane for lane in lanes_due(conn, now) if egresses.works(lane)]
            has_domains = bool(domains_to_look_up(conn, now, limit=1))
    except (LedgerUnavailableError, SettingsError) as error:
        return dg.SkipReason(str(error))
    requests = []
    if (
        has_domains
        and not is_under_way(context.instance, "domain_facts")
        and not rests(context.instance, jobs.domains.name, now)
    ):
        requests.append(dg.RunRequest(job_name=jobs.domains.name))
    # One run from the first to the last due lane. A lane in between that a run works on refuses a second worker.
    lane_range = partitions.covering_range(set(due) - lanes_under_way(context.instance))
    if lane_range is not None and not rests(context.instance, jobs.verify.name, now):
        requests.append(dg.RunRequest(job_name=jobs.verify.name, tags=partitions.lane_range_tags(*lane_range)))
    if not requests:
        return dg.SkipReason("Nothing is due that no run is working on, or the last run has failed a short time ago.")
    return dg.SensorResult(run_requests=requests)


@dg.sensor(
    job=jobs.judge,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges when enough new evidence has gathered, or has waited long enough, or the verifier is idle.",
)
def judging(context: dg.SensorEvaluationContext, ledger: Ledger) -> dg.RunRequest | dg.SkipReason:
    now = datetime.now(UTC)
    try:
        with ledger.open() as conn:
            waiting = unjudged_backlog(conn)
    except LedgerUnavailableError as error:
        return dg.SkipReason(str(error))
    if waiting.oldest_at is None:
        return dg.SkipReason("All evidence is judged.")
    if is_under_way(context.instance, "email_verdicts"):
        return dg.SkipReason("A judging run is under way.")
    if rests(context.instance, jobs.judge.name, now):
        return dg.SkipReason("The last judging run has failed; the next one waits a while.")
    is_enough = waiting.count >= UNJUDGED_COUNT or now - waiting.oldest_at >= UNJUDGED_AGE
    if not is_enough and is_under_way(context.instance, "mailbox_probes"):
        return dg.SkipReason(f"{waiting.count} addresses have new evidence; more is coming.")
    return dg.RunRequest()


@dg.sensor(
    job=jobs.lists,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes a contact file's list again when verdicts in it have changed.",
)
def list_writing(context: dg.SensorEvaluationContext, ledger: Ledger) -> dg.SensorResult | dg.SkipReason:
    now = datetime.now(UTC)
    judged = context.instance.fetch_materializations(dg.AssetKey("email_verdicts"), limit=1).records
    written: dict[str, float] = json.loads(context.cursor or "{}")
    handled = written.get("judged_at", 0.0)
    since = datetime.fromtimestamp(handled, UTC)
    if not judged or judged[0].timestamp <= handled:
        return dg.SkipReason("No judging run has ended since the lists were written.")
    if is_under_way(context.instance, "mailbox_probes") and now - since < LISTS_WHILE_VERIFYING:
        return dg.SkipReason("The verifier is at work; more verdicts are coming.")
    if is_under_way(context.instance, "verified_list_files") or rests(context.instance, jobs.lists.name, now):
        return dg.SkipReason("Lists are being written, or the last run has failed a short time ago.")
    try:
        with ledger.open() as conn:
            keys = partitions.contact_files.get_partition_keys(dynamic_partitions_store=context.instance)
            pulls = [pull for key in keys if (pull := latest_pull(conn, key)) is not None]
            changed = [pull.source_name for pull in pulls if has_verdicts_since(conn, pull.pull_id, since)]
    except LedgerUnavailableError as error:
        return dg.SkipReason(str(error))
    return dg.SensorResult(
        run_requests=[dg.RunRequest(partition_key=name) for name in changed],
        cursor=json.dumps({"judged_at": judged[0].timestamp}),
    )


verifying_sensors = [recheck, judging, list_writing]
