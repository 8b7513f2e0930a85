"""Whether what was written is there: "processed" does not say that every property was stored (pure).

CleverTap takes a record and drops the properties that a published schema does not know, that are too long or one too
many, without a word in its answer; only its dashboard's Error Stream shows it
(https://docs.clevertap.com/docs/error-stream). Reading a profile back is the one way to know.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ct_pipeline.clevertap.records import Profile, PropertyValue
from ct_pipeline.to_clevertap.changes import Change

SAMPLE_PROFILES = 5
NAMES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A sample of changes, beside their profiles as they were read. ``words`` hold no address."""

    is_stored: bool
    words: str


def sample(changes: Sequence[Change], most: int = SAMPLE_PROFILES) -> list[Change]:
    """Changes from all over the batch; always the first and the last."""
    if len(changes) <= most:
        return list(changes)
    step = (len(changes) - 1) / (most - 1)
    return [changes[round(number * step)] for number in range(most)]


def differences(change: Change, profile: Profile) -> list[str]:
    """Names of the properties that the profile does not hold as they were written."""
    return [name for name, value in change.properties.items() if not is_held(profile.properties, name, value)]


def is_held(held: Mapping[str, object], name: str, written: PropertyValue) -> bool:
    """Whether properties as they were read hold what was written; after a deletion, whether the name is gone."""
    if isinstance(written, dict):
        return (name in held) != ("$delete" in written)  # of other operators it is enough that the name is there
    value = held.get(name)
    if value is None:
        return False
    if isinstance(written, str) and written.startswith("$D_"):
        # how a date is shown on reading is not documented: only an equal notation can be compared
        return value == written if isinstance(value, str) and value.startswith("$D_") else True
    if isinstance(written, bool):
        return str(value).lower() == str(written).lower()
    if isinstance(written, int | float) and isinstance(value, str):
        return value == str(written)
    return value == written


def judge_sample(pairs: Sequence[tuple[Change, Profile | None]]) -> ReadBack:
    """What the sample shows. A profile that cannot be found says nothing, unless none of them can."""
    found = [(change, profile) for change, profile in pairs if profile is not None]
    if not pairs:
        return ReadBack(True, "nothing to read back")
    if not found:
        return ReadBack(False, f"CleverTap finds none of {len(pairs)} profiles that it took properties for.")
    wrong = Counter(name for change, profile in found for name in differences(change, profile))
    gone = f"; {len(pairs) - len(found)} more could not be found" if len(found) < len(pairs) else ""
    if not wrong:
        return ReadBack(True, f"{len(found)} of {len(found)} profiles read back hold what was written{gone}")
    names = [f"{name} ({count} of {len(found)} profiles)" for name, count in wrong.most_common(NAMES_SHOWN)]
    more = f" and {len(wrong) - NAMES_SHOWN} more" if len(wrong) > NAMES_SHOWN else ""
    return ReadBack(
        False,
        f"CleverTap took these properties but does not hold them as they were written: {', '.join(names)}{more}{gone}. "
        "Look at the Error Stream in its dashboard: a published schema, a limit of properties or a type can be why.",
    )
