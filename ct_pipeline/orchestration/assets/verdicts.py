"""Evidence becomes a judgement."""

import dagster as dg

from ct_pipeline.orchestration.assets.verification import CATCH_ALL_FACTS, MAILBOX_PROBES
from ct_pipeline.orchestration.groups import VERDICTS
from ct_pipeline.orchestration.metadata import count_table
from ct_pipeline.orchestration.resources import Deployment
from ct_pipeline.stages.judge import judge_unjudged


@dg.asset(
    group_name=VERDICTS,
    deps=[MAILBOX_PROBES, CATCH_ALL_FACTS],
    kinds={"polars", "postgres"},
    description="Status and reason of every address, from recorded evidence alone: materializing it sends nothing.",
)
def email_verdicts(deployment: Deployment) -> dg.MaterializeResult:
    summary = judge_unjudged(deployment.settings())
    return dg.MaterializeResult(
        metadata={
            "judged_count": summary.judged_count,
            **{f"{status}_count": count for status, count in summary.statuses.items()},
            "statuses": count_table("status", summary.statuses),
            "reasons": count_table("reason", summary.reasons),
            "rules_version": summary.rules_version,
        }
    )
