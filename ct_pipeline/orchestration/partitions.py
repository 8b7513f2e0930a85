"""The two ways in which work is divided: lanes of the verifier, and contact files."""

import dagster as dg

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers

# One per large provider, then the fixed hash buckets of all small sites: the order of the partition bar.
lanes = dg.StaticPartitionsDefinition(lane_keys(load_providers()))

# One per file of the inbox; the key is the file's name.
contact_files = dg.DynamicPartitionsDefinition(name="contact_files")

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def lane_range_tags(first_lane: str, last_lane: str) -> dict[str, str]:
    """Run tags that ask for all lanes from ``first_lane`` to ``last_lane`` in one run."""
    return {RANGE_START_TAG: first_lane, RANGE_END_TAG: last_lane}


def covering_range(wanted: set[str]) -> tuple[str, str] | None:
    """First and last of the ``wanted`` lanes in partition order, or None when none of them is a lane."""
    keys = [key for key in lanes.get_partition_keys() if key in wanted]
    return (keys[0], keys[-1]) if keys else None
