"""Evidence becomes a judgement."""

import dagster as dg

from ct_pipeline.orchestration.assets.verification import CATCH_ALL_FACTS, MAILBOX_PROBES
from ct_pipeline.orchestration.groups import VERDICTS
from ct_pipeline.orchestration.metadata import Facts, count_table, table
from ct_pipeline.orchestration.resources import Deployment, Ledger
from ct_pipeline.settings import Settings
from ct_pipeline.stages.judge import judge_unjudged
from ct_pipeline.stages.list_ages import list_provenances
from ct_pipeline.stages.operator_list_files import load_operator_lists
from ct_pipeline.storage.rules_history import Rejudgement
from ct_pipeline.storage.verdicts import verdict_counts


@dg.asset(
    group_name=VERDICTS,
    deps=[MAILBOX_PROBES, CATCH_ALL_FACTS],
    kinds={"polars", "postgres"},
    description="Status and reason of every address, from recorded evidence alone: materializing it sends nothing.",
)
def email_verdicts(deployment: Deployment, ledger: Ledger) -> dg.MaterializeResult:
    settings = deployment.settings()
    summary = judge_unjudged(settings)
    with ledger.open() as conn:
        all_statuses = verdict_counts(conn)
    return dg.MaterializeResult(
        metadata={
            # Of every address in the ledger: the UI plots them over time.
            **{f"{status}_count": count for status, count in all_statuses.items()},
            "judged_now_count": summary.judged_count,
            "statuses_judged_now": count_table("status", summary.statuses),
            "reasons_judged_now": count_table("reason", summary.reasons),
            "rules_version": summary.rules_version,
            "lists": _lists(settings),
            **(_rejudged(summary.rejudgement) if summary.rejudgement else {}),
        }
    )


def _lists(settings: Settings) -> dg.MetadataValue:
    """What the flags rest on, and how old it is."""
    rows = [
        (one.name, one.version, one.dated.isoformat(), one.entry_count)
        for one in list_provenances(settings, load_operator_lists(settings))
    ]
    return table({"list": "string", "version": "string", "dated": "string", "entries": "int"}, rows)


def _rejudged(rejudgement: Rejudgement) -> Facts:
    """What the new rules changed; `ct-pipeline rules` shows the same with sample addresses, which stay out of here."""
    changes = [
        (
            f"{change.old_status} · {change.old_reason} · {change.old_safe_to_send}",
            f"{change.status} · {change.reason} · {change.safe_to_send}",
            change.address_count,
        )
        for change in rejudgement.changes
    ]
    return {
        "rejudged_count": rejudgement.judged_count,
        "changed_by_rules_count": rejudgement.changed_count,
        "changed_by_rules": table({"before": "string", "now": "string", "count": "int"}, changes),
    }
