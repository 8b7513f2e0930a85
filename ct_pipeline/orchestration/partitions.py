"""How work is divided: lanes of the verifier, contact files, and the days and audiences of CleverTap's profiles."""

import dagster as dg

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings

# One per large provider, then the fixed hash buckets of all small sites: the order of the partition bar.
lanes = dg.StaticPartitionsDefinition(lane_keys(load_providers()))

# One per file of the inbox; the key is the file's name.
contact_files = dg.DynamicPartitionsDefinition(name="contact_files")

# One per audience that is no day; the key is the audience's name. A sensor adds those that the settings know.
audiences = dg.DynamicPartitionsDefinition(name="audiences")

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def days_of(settings: Settings) -> dg.DailyPartitionsDefinition:
    """The days of the CleverTap project, from midnight to midnight there; a day can be chosen once it is over."""
    return dg.DailyPartitionsDefinition(start_date=settings.first_day.isoformat(), timezone=settings.timezone)


def _days() -> tuple[dg.DailyPartitionsDefinition, str]:
    # A wrong setting must not take the whole UI away: it opens with the default days, and every run names the mend.
    try:
        return days_of(load_settings()), ""
    except SettingsError as error:
        return days_of(Settings.model_construct()), str(error)


days, settings_fault = _days()
"""``settings_fault``: what is wrong with the settings, so that ``days`` are the default ones; empty if nothing is."""


def lane_range_tags(first_lane: str, last_lane: str) -> dict[str, str]:
    """Run tags that ask for all lanes from ``first_lane`` to ``last_lane`` in one run."""
    return {RANGE_START_TAG: first_lane, RANGE_END_TAG: last_lane}


def covering_range(wanted: set[str]) -> tuple[str, str] | None:
    """First and last of the ``wanted`` lanes in partition order, or None when none of them is a lane."""
    keys = [key for key in lanes.get_partition_keys() if key in wanted]
    return (keys[0], keys[-1]) if keys else None


def is_partition_key(name: str) -> bool:
    """Whether Dagster takes ``name`` as a partition's key. It keeps three dots for ranges of partitions."""
    return bool(name) and "..." not in name and name.isprintable()
