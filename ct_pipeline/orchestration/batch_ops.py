"""What people do with a batch: let a held one go, or take back what one has changed."""

import dagster as dg
from pydantic import Field

from ct_pipeline.orchestration.export_metadata import batches_metadata, undo_metadata
from ct_pipeline.orchestration.instance import EXPORT
from ct_pipeline.orchestration.resources import CleverTapProject, Deployment
from ct_pipeline.stages.plan import approve
from ct_pipeline.vocabulary import ChangeKind

WRITTEN_BY = {ChangeKind.UNSUBSCRIBE: "clevertap_unsubscribes", ChangeKind.SET_PROPERTIES: "clevertap_properties"}


class ApproveConfig(dg.Config):
    """Which held batches, who says so, and why."""

    batch_ids: list[int] = Field(description="Held batches, as the table in the metadata of export_batches lists them.")
    approved_by: str = Field(description="Your name; it is kept with the batches.")
    because: str = Field(description="Why what the brake fears is not so; it is kept with the batches.")


class UndoConfig(dg.Config):
    """Which batch is taken back, and how far."""

    batch_id: int = Field(description="A batch that was sent, as the metadata of clevertap_unsubscribes lists them.")
    undone_by: str = Field(default="", description="Your name; it is kept with the undo.")
    apply: bool | None = Field(
        default=None,
        description="true: send. false: only tell what would be restored. Left out: as CT_EXPORT_MODE says.",
    )
    include_unknown: bool = Field(
        default=False,
        description="Resubscribe also addresses of which it was not known whether they were subscribed. Whoever opted "
        "out before or after us stays unsubscribed all the same.",
    )


@dg.op(name="approve", description="Marks held batches as approved. They are sent by the next push.")
def approve_op(context: dg.OpExecutionContext, config: ApproveConfig, deployment: Deployment) -> None:
    settings = deployment.settings()
    approved = approve(settings, config.batch_ids, by=config.approved_by, because=config.because)
    context.log.info("%d batches are approved. The next push sends them.", len(approved))
    context.log_event(dg.AssetObservation("export_batches", metadata=batches_metadata(settings)))


@dg.op(
    name="undo",
    pool=EXPORT,
    description="Restores what a batch has changed: only what it changed, only what was known before, never against "
    "the user's own will.",
)
def undo_op(
    context: dg.OpExecutionContext, config: UndoConfig, deployment: Deployment, clevertap: CleverTapProject
) -> None:
    undone = clevertap.undo(config.batch_id, config.include_unknown, config.apply, config.undone_by)
    metadata = undo_metadata(deployment.settings(), undone)
    context.log_event(dg.AssetObservation(WRITTEN_BY[undone.kind], metadata=metadata))
    if undone.stopped_because:
        raise dg.Failure(f"The undo has stopped. {metadata['stopped_because']}", metadata=metadata, allow_retries=False)


# What the launchpad opens with, to be filled in; nothing happens with the blanks.
_APPROVE_BLANK = {"batch_ids": [], "approved_by": "", "because": ""}
_UNDO_BLANK = {"batch_id": 0, "undone_by": "", "apply": False, "include_unknown": False}


@dg.job(
    executor_def=dg.in_process_executor,
    config={"ops": {"approve": {"config": _APPROVE_BLANK}}},
    description="Approves batches that a brake holds, with a name and a reason. Fill them in under Launchpad.",
)
def approve_batches() -> None:
    approve_op()


@dg.job(
    executor_def=dg.in_process_executor,
    config={"ops": {"undo": {"config": _UNDO_BLANK}}},
    description="Takes back what a batch has changed in CleverTap. Say which one under Launchpad, and look at the "
    "preview before you set `apply: true`.",
)
def undo_batch() -> None:
    undo_op()


batch_jobs = [approve_batches, undo_batch]
