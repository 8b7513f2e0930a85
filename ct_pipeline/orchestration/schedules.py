"""What runs by the clock: the pull of each day, once the day is over."""

from datetime import date, timedelta

import dagster as dg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.from_clevertap.audiences import DAILY
from ct_pipeline.orchestration import jobs, partitions
from ct_pipeline.orchestration.resources import Deployment, Ledger, missing_connection
from ct_pipeline.orchestration.under_way import partitions_under_way
from ct_pipeline.settings import Settings
from ct_pipeline.storage.clevertap_backlog import days_pulled

AT_NIGHT = "0 3 * * *"  # CT_TIMEZONE: events of a day reach CleverTap for a while after midnight
DAYS_LOOKED_BACK = 7  # a day that was missed, or failed, is asked for again each night as long


@dg.schedule(
    job=jobs.pull_day,
    cron_schedule=AT_NIGHT,
    execution_timezone=partitions.days.timezone,
    # It reads and never writes, so it need not wait for a click; without a project it skips and says what to set.
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Pulls the day that has ended, and days of the week before it that were missed since the first pull.",
)
def daily_pull(
    context: dg.ScheduleEvaluationContext, deployment: Deployment, ledger: Ledger
) -> list[dg.RunRequest] | dg.SkipReason:
    settings = deployment.settings()
    if reason := missing_connection(settings):
        return dg.SkipReason(reason)
    scheduled_at = context.scheduled_execution_time.astimezone(settings.zone)
    yesterday = scheduled_at.date() - timedelta(days=1)
    try:
        wanted = _days_to_pull(settings, ledger, yesterday)
    except LedgerUnavailableError as error:
        return dg.SkipReason(str(error))
    under_way = partitions_under_way(context.instance, "raw_profiles")
    keys = [day.isoformat() for day in wanted if day.isoformat() not in under_way]
    if not keys:
        return dg.SkipReason(f"{yesterday} is pulled or being pulled, and none of the days before it is missing.")
    return [dg.RunRequest(partition_key=key) for key in keys]


def _days_to_pull(settings: Settings, ledger: Ledger, yesterday: date) -> list[date]:
    """``yesterday`` and the gaps before it, oldest first: days since the first of the week that was pulled."""
    week = [yesterday - timedelta(days=back) for back in range(DAYS_LOOKED_BACK, -1, -1)]
    with ledger.open() as conn:
        pulled = days_pulled(conn, settings.project_id, DAILY, week)
    begun = min(pulled, default=yesterday)
    return [day for day in week if day not in pulled and begun <= day and settings.first_day <= day]


all_schedules = [daily_pull]
