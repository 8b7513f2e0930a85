"""Verdicts go back to people as files."""

import dagster as dg

from ct_pipeline.atomic_files import private_folder
from ct_pipeline.errors import ContactFileError
from ct_pipeline.orchestration import partitions
from ct_pipeline.orchestration.assets.verdicts import email_verdicts
from ct_pipeline.orchestration.groups import EXPORT
from ct_pipeline.orchestration.metadata import count_table, file_link
from ct_pipeline.orchestration.resources import Deployment, Ledger
from ct_pipeline.stages.lists import write_list
from ct_pipeline.storage.pulls import latest_pull


@dg.asset(
    group_name=EXPORT,
    deps=[email_verdicts],
    partitions_def=partitions.contact_files,
    kinds={"csv", "parquet"},
    description="A contact file again, its own columns first, then the verdict of each row.",
)
def verified_list_files(
    context: dg.AssetExecutionContext, deployment: Deployment, ledger: Ledger
) -> dg.MaterializeResult:
    settings = deployment.settings()
    with ledger.open() as conn:
        pull = latest_pull(conn, context.partition_key)
    if pull is None:
        raise ContactFileError(f"{context.partition_key} was not taken in yet. Materialize contact_files for it first.")
    written = write_list(settings, pull.pull_id, private_folder(settings.lists_dir) / context.partition_key)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": written.row_count,
            "statuses": count_table("status", written.statuses),
            "file": file_link(written.path),
        }
    )
