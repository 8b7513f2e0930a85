"""What one lane's turn came to: what Dagster shows for its partition and the CLI prints."""

from collections import Counter
from dataclasses import dataclass, field

from ct_pipeline.vocabulary import Reason


@dataclass(slots=True)
class LaneSummary:
    """Counts of one lane in one run. ``reasons`` counts the list's own addresses that were answered, by reading."""

    lane: str
    asked_count: int = 0  # addresses of the list that got an answer, be it temporary
    not_asked_count: int = 0  # addresses where asking is forbidden, or tells nothing: see LanePlan.not_asked
    session_count: int = 0
    due_count: int = 0  # still due in this lane, now or later
    catch_all_domain_count: int = 0
    stopped_because: list[str] = field(default_factory=list)  # a line a site that turned us away, or why all are left
    reasons: Counter[Reason] = field(default_factory=Counter)
    seconds: float = 0.0
