"""What ``doctor`` finds."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, and should be mended before long
    PROBLEM = "problem"
    UNTESTED = "untested"  # something else has to be mended, or set, first


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``mend`` is empty when it is all right."""

    subject: str
    state: State
    what: str
    mend: str = ""
