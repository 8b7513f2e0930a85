"""Does this mailbox exist? Sessions with mail servers, in lanes."""

from collections.abc import Iterator

import dagster as dg

from ct_pipeline.orchestration import partitions
from ct_pipeline.orchestration.assets.domains import domain_facts
from ct_pipeline.orchestration.groups import VERIFICATION
from ct_pipeline.orchestration.metadata import Facts, count_table
from ct_pipeline.orchestration.resources import SmtpVerifier
from ct_pipeline.verification.lane_summary import LaneSummary

MAILBOX_PROBES = "mailbox_probes"
CATCH_ALL_FACTS = "catch_all_facts"


@dg.multi_asset(
    name="smtp_verification",
    partitions_def=partitions.lanes,
    # A whole range in one run: start-up costs seconds, and sessions of all lanes share one loop.
    backfill_policy=dg.BackfillPolicy.single_run(),
    specs=[
        dg.AssetSpec(
            MAILBOX_PROBES,
            deps=[domain_facts],
            skippable=True,
            group_name=VERIFICATION,
            kinds={"smtp", "postgres"},
            description="What mail servers answered about each address that was due. No message is ever sent.",
        ),
        dg.AssetSpec(
            CATCH_ALL_FACTS,
            deps=[domain_facts],
            skippable=True,
            group_name=VERIFICATION,
            kinds={"smtp", "postgres"},
            description="Which domains accept every name, found in the same sessions.",
        ),
    ],
)
def smtp_verification(
    context: dg.AssetExecutionContext, smtp_verifier: SmtpVerifier
) -> Iterator[dg.AssetMaterialization]:
    """Yields each lane as it finishes, so that a cancelled or killed run keeps what is done.

    A lane that another process works on, or that was stopped, is reported with ``stopped_because`` and what is still
    due: it stays due in the ledger, and the recheck sensor asks for it again.
    """
    with smtp_verifier.verify(context.partition_keys) as summaries:
        for lane in summaries:
            yield dg.AssetMaterialization(MAILBOX_PROBES, partition=lane.lane, metadata=_probes_metadata(lane))
            yield dg.AssetMaterialization(CATCH_ALL_FACTS, partition=lane.lane, metadata=_catch_all_metadata(lane))


def _probes_metadata(lane: LaneSummary) -> Facts:
    return {
        "asked_count": lane.asked_count,
        "not_asked_count": lane.not_asked_count,
        "due_count": lane.due_count,
        "session_count": lane.session_count,
        "seconds": round(lane.seconds, 1),
        "reasons": count_table("reason", lane.reasons),
        "stopped_because": "; ".join(lane.stopped_because) or "-",
    }


def _catch_all_metadata(lane: LaneSummary) -> Facts:
    return {"asked_count": lane.asked_count, "catch_all_domain_count": lane.catch_all_domain_count}
