"""Does this mailbox exist? Sessions with mail servers, in lanes."""

from collections.abc import Iterator

import dagster as dg

from ct_pipeline.orchestration import partitions
from ct_pipeline.orchestration.assets.domains import domain_facts
from ct_pipeline.orchestration.groups import VERIFICATION
from ct_pipeline.orchestration.metadata import Facts, count_table
from ct_pipeline.orchestration.resources import SmtpVerifier
from ct_pipeline.orchestration.site_metadata import site_table, turned_away_table, waiting_table
from ct_pipeline.storage.site_memory import OpenBreaker
from ct_pipeline.verification.lane_summary import LaneSummary

MAILBOX_PROBES = "mailbox_probes"
CATCH_ALL_FACTS = "catch_all_facts"
SITES_WELCOME_US = "sites_welcome_us"


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
    check_specs=[
        dg.AssetCheckSpec(
            SITES_WELCOME_US,
            asset=MAILBOX_PROBES,
            description="No site has turned us away. One that has is left alone for a while; its addresses stay due.",
        )
    ],
)
def smtp_verification(
    context: dg.AssetExecutionContext, smtp_verifier: SmtpVerifier
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckResult]:
    """Yields each lane as it finishes, so that a cancelled or killed run keeps what is done; last, whether the sites
    welcome us, of all lanes.

    A lane that another process works on, or that was stopped, is reported with ``stopped_because`` and what is still
    due: it stays due in the ledger, and the recheck sensor asks for it again.
    """
    with smtp_verifier.verify(context.partition_keys) as summaries:
        for lane in summaries:
            yield dg.AssetMaterialization(MAILBOX_PROBES, partition=lane.lane, metadata=_probes_metadata(lane))
            yield dg.AssetMaterialization(CATCH_ALL_FACTS, partition=lane.lane, metadata=_catch_all_metadata(lane))
    yield _sites_welcome_us(smtp_verifier.sites_that_turned_us_away())


def _probes_metadata(lane: LaneSummary) -> Facts:
    return {
        "asked_count": lane.asked_count,
        "not_asked_count": lane.not_asked_count,
        "listed_count": lane.listed_count,
        "due_count": lane.due_count,
        "session_count": lane.session_count,
        "seconds": round(lane.seconds, 1),
        "reasons": count_table("reason", lane.reasons),
        "stopped_because": "; ".join(lane.stopped_because) or "-",
        "due": waiting_table(lane.waiting),
        **(_cost_metadata(lane) if lane.session_count else {}),
    }


def _cost_metadata(lane: LaneSummary) -> Facts:
    """What the run cost the other side; DNS queries are those of all runs, since facts are kept."""
    facts: dict[str, int | float | dg.MetadataValue] = {
        "rcpt_count": lane.rcpt_count,
        "random_probe_count": lane.random_probe_count,
        "control_probe_count": lane.control_probe_count,
        "sites": site_table(lane.sites),
    }
    if lane.asked_count:
        facts["sessions_per_address"] = round(lane.session_count / lane.asked_count, 3)
    if lane.reply_count:
        facts["temporary_reply_rate"] = round(lane.temporary_reply_count / lane.reply_count, 4)
    if lane.dns_address_count:
        facts["dns_queries_per_address"] = round(lane.dns_query_count / lane.dns_address_count, 3)
    return facts


def _catch_all_metadata(lane: LaneSummary) -> Facts:
    return {"asked_count": lane.asked_count, "catch_all_domain_count": lane.catch_all_domain_count}


def _sites_welcome_us(breakers: list[OpenBreaker]) -> dg.AssetCheckResult:
    if not breakers:
        return dg.AssetCheckResult(
            passed=True,
            asset_key=MAILBOX_PROBES,
            check_name=SITES_WELCOME_US,
            description="No site has turned us away.",
        )
    waiting_count = sum(breaker.waiting_count for breaker in breakers)
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        asset_key=MAILBOX_PROBES,
        check_name=SITES_WELCOME_US,
        description=f"{len(breakers):,} sites have turned us away; {waiting_count:,} addresses wait for them. "
        "`ct-pipeline status` says what to do in full.",
        metadata={"site_count": len(breakers), "due_count": waiting_count, "sites": turned_away_table(breakers)},
    )
