"""Profiles come in from CleverTap: one day at a time, or an audience at a time."""

from collections.abc import Callable
from datetime import date

import dagster as dg

from ct_pipeline.orchestration import partitions
from ct_pipeline.orchestration.groups import INTAKE
from ct_pipeline.orchestration.instance import CLEVERTAP_READS
from ct_pipeline.orchestration.metadata import Facts, lines
from ct_pipeline.orchestration.progress import Progress
from ct_pipeline.orchestration.resources import CleverTapProject
from ct_pipeline.stages.pull import PullSummary
from ct_pipeline.stages.pull_reading import PullProgress


def _description(text: str) -> str:
    fault = partitions.settings_fault
    return f"{text}\n\n**The settings are wrong, so nothing can run.** {fault}" if fault else text


@dg.asset(
    group_name=INTAKE,
    partitions_def=partitions.days,
    pool=CLEVERTAP_READS,
    kinds={"clevertap", "parquet"},
    description=_description(
        "The profiles that were active on a day (CT_DAILY_EVENT, or reachable by some channel), as CleverTap returned "
        "them. Days begin at midnight in CT_TIMEZONE. An interrupted pull goes on from its last saved page."
    ),
)
def raw_profiles(context: dg.AssetExecutionContext, clevertap: CleverTapProject) -> dg.MaterializeResult:
    day = date.fromisoformat(context.partition_key)
    return dg.MaterializeResult(metadata=_metadata(clevertap.pull_day(day, _told(context))))


@dg.asset(
    group_name=INTAKE,
    partitions_def=partitions.audiences,
    pool=CLEVERTAP_READS,
    kinds={"clevertap", "parquet"},
    description=_description(
        "The profiles of an audience: `everyone` with an email address, or whoever the query in CT_AUDIENCE, or in a "
        "file NAME.json of the folder `audiences`, finds. The sensor audience_names adds one partition for each."
    ),
)
def audience_profiles(context: dg.AssetExecutionContext, clevertap: CleverTapProject) -> dg.MaterializeResult:
    pull = clevertap.pull_audience(context.partition_key, _told(context))
    return dg.MaterializeResult(metadata=_metadata(pull))


def _told(context: dg.AssetExecutionContext) -> Callable[[PullProgress], None]:
    progress = Progress(context)
    return lambda page: progress.say(
        lambda: (
            f"{page.record_count:,} records on {page.page_count:,} pages, query {page.query_number} of "
            f"{page.query_count}. All of it is saved: an interrupted pull goes on from here."
        )
    )


def _metadata(pull: PullSummary) -> Facts:
    facts: dict[str, int | float | str | bool | dg.MetadataValue] = {
        "dagster/row_count": pull.profile_count,
        "with_email_count": pull.with_email_count,
        "without_identifier_count": pull.without_identifier_count,
        "set_aside_count": pull.set_aside_count,
        "subscription_event_count": pull.subscription_event_count,
        "page_count": pull.page_count,
        "restart_count": pull.restart_count,
        "was_resumed": pull.resumed,
        "project": pull.project,
        "seconds": round(pull.seconds, 1),
        "notes": lines(pull.notes),
    }
    if pull.expected_count is not None:
        facts["expected_count"] = pull.expected_count
    return facts
