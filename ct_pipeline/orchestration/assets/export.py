"""Verdicts go to CleverTap: a plan in batches, and the writes with their receipts."""

import dagster as dg
from pydantic import Field

from ct_pipeline.orchestration.assets.verdicts import email_verdicts
from ct_pipeline.orchestration.export_metadata import held_batches_check, plan_metadata, push_metadata
from ct_pipeline.orchestration.groups import EXPORT as EXPORT_GROUP
from ct_pipeline.orchestration.instance import EXPORT
from ct_pipeline.orchestration.progress import Progress
from ct_pipeline.orchestration.resources import CleverTapProject, Deployment
from ct_pipeline.stages.plan import make_plan
from ct_pipeline.vocabulary import ChangeKind

NO_BATCH_IS_HELD = "no_batch_is_held"


class PlanConfig(dg.Config):
    """What a run of `export_batches` may be told."""

    audience: str | None = Field(
        default=None, description="Plan for this audience alone, such as `everyone`; left out: for every profile."
    )


class PushConfig(dg.Config):
    """What a run of `clevertap_unsubscribes` or `clevertap_properties` may be told."""

    apply: bool | None = Field(
        default=None,
        description="true: send. false: only tell what would be sent. Left out: as CT_EXPORT_MODE says. "
        "A held batch sends nothing, whatever stands here.",
    )
    batch_ids: list[int] = Field(default=[], description="Only these batches; empty: every one that may be sent.")


@dg.asset(
    group_name=EXPORT_GROUP,
    deps=[email_verdicts],
    pool=EXPORT,
    kinds={"postgres"},
    check_specs=[
        dg.AssetCheckSpec(
            NO_BATCH_IS_HELD,
            asset="export_batches",
            description="Warns while a brake holds a batch. Such a batch sends nothing until someone approves it with "
            "the job approve_batches. The brake is a state of the batch itself; this check only shows it.",
        )
    ],
    description="The preview: what CleverTap should be told, why, and what is held back. Policy × verdicts − receipts, "
    "as batches of at most 1000 changes. Materializing it sends nothing to CleverTap.",
)
def export_batches(config: PlanConfig, deployment: Deployment) -> dg.MaterializeResult:
    settings = deployment.settings()
    plan = make_plan(settings, config.audience)
    return dg.MaterializeResult(
        metadata=plan_metadata(settings, plan),
        check_results=[held_batches_check(settings, NO_BATCH_IS_HELD)],
    )


@dg.asset(
    group_name=EXPORT_GROUP,
    deps=[export_batches],
    pool=EXPORT,
    kinds={"clevertap", "postgres"},
    description="Undeliverable addresses are unsubscribed in CleverTap, with a receipt each. Held batches are left "
    "out. With CT_EXPORT_MODE=preview it only tells what it would send, unless the run's configuration says "
    "`apply: true`.",
)
def clevertap_unsubscribes(
    context: dg.AssetExecutionContext, config: PushConfig, deployment: Deployment, clevertap: CleverTapProject
) -> dg.MaterializeResult:
    # An undo that was interrupted has left resubscribes behind: they are finished here.
    return _push(context, config, deployment, clevertap, {ChangeKind.UNSUBSCRIBE, ChangeKind.RESUBSCRIBE})


@dg.asset(
    group_name=EXPORT_GROUP,
    deps=[export_batches],
    pool=EXPORT,
    kinds={"clevertap", "postgres"},
    description="Verdict columns are written to profiles in CleverTap as properties, with a receipt each; only what "
    "differs is sent. With CT_EXPORT_MODE=preview it only tells what it would send, unless the run's configuration "
    "says `apply: true`.",
)
def clevertap_properties(
    context: dg.AssetExecutionContext, config: PushConfig, deployment: Deployment, clevertap: CleverTapProject
) -> dg.MaterializeResult:
    return _push(context, config, deployment, clevertap, {ChangeKind.SET_PROPERTIES})


def _push(
    context: dg.AssetExecutionContext,
    config: PushConfig,
    deployment: Deployment,
    clevertap: CleverTapProject,
    kinds: set[ChangeKind],
) -> dg.MaterializeResult:
    progress = Progress(context)
    pushed = clevertap.push(
        kinds,
        config.batch_ids or None,
        config.apply,
        lambda batch: progress.say(lambda: f"Batch {batch.batch_id} is through."),
    )
    metadata = push_metadata(deployment.settings(), pushed, kinds)
    if pushed.stopped_because:
        # What was sent has its receipts; the run is red so that somebody looks, and its event tells the same figures.
        raise dg.Failure(f"The push has stopped. {metadata['stopped_because']}", metadata=metadata, allow_retries=False)
    return dg.MaterializeResult(metadata=metadata)
