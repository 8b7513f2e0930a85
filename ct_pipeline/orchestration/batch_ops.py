"""What people do with batches: let held ones go, or take back what some have changed."""

import dagster as dg
from pydantic import Field

from ct_pipeline.errors import CtPipelineError
from ct_pipeline.orchestration.export_metadata import batches_metadata, undo_metadata
from ct_pipeline.orchestration.instance import EXPORT
from ct_pipeline.orchestration.resources import CleverTapProject, Deployment
from ct_pipeline.stages.plan import approve
from ct_pipeline.stages.undo import check_undoable
from ct_pipeline.vocabulary import ChangeKind

WRITTEN_BY = {ChangeKind.UNSUBSCRIBE: "clevertap_unsubscribes", ChangeKind.SET_PROPERTIES: "clevertap_properties"}


class ApproveConfig(dg.Config):
    """Which held batches, who says so, and why."""

    batch_ids: list[int] = Field(description="Held batches, as the table in the metadata of export_batches lists them.")
    approved_by: str = Field(description="Your name; it is kept with the batches.")
    because: str = Field(description="Why what the brake fears is not so; it is kept with the batches.")


class UndoConfig(dg.Config):
    """Which batches are taken back, and how far."""

    batch_ids: list[int] = Field(
        description="Batches that were sent, as the metadata of clevertap_unsubscribes lists them. The newest is taken "
        "back first; when one of them cannot be, none is."
    )
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
    description="Restores what batches have changed: only what they changed, only what was known before, never against "
    "the user's own will.",
)
def undo_op(
    context: dg.OpExecutionContext, config: UndoConfig, deployment: Deployment, clevertap: CleverTapProject
) -> None:
    settings = deployment.settings()
    newest_first = check_undoable(settings, config.batch_ids)
    for place, batch_id in enumerate(newest_first):
        not_done = f"Not done: {newest_first[place:]}. Launched again with the same numbers, it goes on from there."
        try:
            undone = clevertap.undo(batch_id, config.include_unknown, config.apply, config.undone_by)
        except CtPipelineError:
            context.log.warning(not_done)
            raise
        metadata = undo_metadata(settings, undone)
        context.log_event(dg.AssetObservation(WRITTEN_BY[undone.kind], metadata=metadata))
        if undone.stopped_because:
            stopped = f"The undo has stopped. {metadata['stopped_because']} {not_done}"
            raise dg.Failure(stopped, metadata=metadata, allow_retries=False)


# What the launchpad opens with, to be filled in; nothing happens with the blanks.
_APPROVE_BLANK = {"batch_ids": [], "approved_by": "", "because": ""}
_UNDO_BLANK = {"batch_ids": [], "undone_by": "", "apply": False, "include_unknown": False}


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
    description="Takes back what batches have changed in CleverTap. Say which ones under Launchpad, and look at the "
    "preview before you set `apply: true`.",
)
def undo_batch() -> None:
    undo_op()


batch_jobs = [approve_batches, undo_batch]
