"""Addresses come in: contact files, and the normalized addresses of everything that was taken in."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from ct_pipeline.errors import ContactFileError
from ct_pipeline.from_clevertap.contact_files import SetAsideRow
from ct_pipeline.orchestration import partitions
from ct_pipeline.orchestration.assets.profiles import audience_profiles, raw_profiles
from ct_pipeline.orchestration.groups import INTAKE
from ct_pipeline.orchestration.metadata import count_table
from ct_pipeline.orchestration.resources import Deployment
from ct_pipeline.settings import Settings
from ct_pipeline.stages.intake import normalize_new_pulls, take_in_contact_file

SET_ASIDE_SHOWN = 100


@dg.asset(
    group_name=INTAKE,
    partitions_def=partitions.contact_files,
    kinds={"csv", "parquet"},
    description="One file of the inbox, kept as it came. Rows that cannot be read are set aside by line number.",
)
def contact_files(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult:
    settings = deployment.settings()
    pull = take_in_contact_file(settings, inbox_file(settings, context.partition_key))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": pull.row_count,
            "set_aside_count": pull.set_aside_count,
            "set_aside_rows": _set_aside_table(pull.set_aside),
            "email_column": pull.email_column,
            "was_known": pull.was_known,
        }
    )


@dg.asset(
    group_name=INTAKE,
    deps=[raw_profiles, audience_profiles, contact_files],
    kinds={"polars", "postgres"},
    description="Every address that was taken in, in one comparable spelling, and who holds it.",
)
def normalized_emails(deployment: Deployment) -> dg.MaterializeResult:
    summary = normalize_new_pulls(deployment.settings())
    return dg.MaterializeResult(
        metadata={
            "pull_count": summary.pull_count,
            "row_count": summary.row_count,
            "new_address_count": summary.new_address_count,
            "new_profile_count": summary.new_profile_count,
            "new_subscription_event_count": summary.new_subscription_event_count,
            "unusable_count": sum(summary.unusable.values()),
            "unusable": count_table("reason", summary.unusable),
        }
    )


def inbox_file(settings: Settings, key: str) -> Path:
    """The file that a partition key names.

    Raises:
        ContactFileError: the key is no plain file name, or the file is gone.
    """
    path = settings.inbox_dir / key
    if path.name != key or not path.is_file():
        raise ContactFileError(f"There is no file {key!r} in {settings.inbox_dir}. Put it there, under this name.")
    return path


def _set_aside_table(rows: Sequence[SetAsideRow]) -> dg.MetadataValue:
    # Line and problem, not the text of the row: run records are kept for good and hold no address.
    return dg.MetadataValue.table(
        [dg.TableRecord({"line": row.line, "problem": row.problem}) for row in rows[:SET_ASIDE_SHOWN]],
        schema=dg.TableSchema(columns=[dg.TableColumn("line", "int"), dg.TableColumn("problem", "string")]),
    )
