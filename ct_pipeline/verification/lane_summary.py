"""What one lane's turn came to: what Dagster shows for its partition and the CLI prints."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from ct_pipeline.verification.site_memory import BreakerNote
from ct_pipeline.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class SiteNote:
    """What one run did at one site, from one egress, and how we stand with it."""

    site: str
    egress: str
    session_count: int
    rcpt_count: int
    reply_count: int
    temporary_reply_count: int  # 4xx
    seconds: float  # from the start of its first session to the end of its last
    connection_share: float | None = None  # of the site's limits in use; None: the run has learnt nothing about it
    breaker: BreakerNote | None = None


@dataclass(frozen=True, slots=True)
class WaitingCount:
    """Addresses of one lane that wait for the same reason, which is that of their last answer.

    A site's breaker puts its addresses off until it may be tried.
    """

    lane: str  # "" while the domain was never looked up
    reason: Reason
    due_now_count: int
    within_hour_count: int  # later than now
    later_count: int
    next_at: datetime  # the earliest of them
    max_attempt_count: int  # attempts that the most tried of them has behind it
    behind_breaker_count: int  # of them all

    @property
    def address_count(self) -> int:
        return self.due_now_count + self.within_hour_count + self.later_count


@dataclass(slots=True)
class LaneSummary:
    """Counts of one lane in one run. ``reasons`` counts the list's own addresses that were answered, by reading."""

    lane: str
    asked_count: int = 0  # addresses of the list that got an answer, be it temporary
    not_asked_count: int = 0  # addresses where asking is forbidden, or tells nothing: see LanePlan.not_asked
    listed_count: int = 0  # addresses that the operator's allow or block list decides on: not asked either
    session_count: int = 0
    due_count: int = 0  # still due in this lane, now or later
    catch_all_domain_count: int = 0
    stopped_because: list[str] = field(default_factory=list)  # a line a site that turned us away, or why all are left
    reasons: Counter[Reason] = field(default_factory=Counter)
    seconds: float = 0.0
    rcpt_count: int = 0  # of all kinds
    random_probe_count: int = 0
    control_probe_count: int = 0
    reply_count: int = 0  # on record: to questions, and of sessions that were refused
    temporary_reply_count: int = 0  # 4xx
    dns_query_count: int = 0  # ever sent for the domains of this lane; 0 where it was not looked at
    dns_address_count: int = 0  # addresses at these domains
    sites: list[SiteNote] = field(default_factory=list)  # closed to us first, then the most active
    waiting: list[WaitingCount] = field(default_factory=list)  # what ``due_count`` consists of
