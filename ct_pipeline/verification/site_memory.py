"""What is remembered of one site, as seen from one egress, from run to run. The record that the ledger keeps."""

from dataclasses import dataclass
from datetime import datetime

from ct_pipeline.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class BreakerNote:
    """We were unwelcome: nothing is asked before ``until_at``, then a single session tries whether that has changed.

    ``opened_count`` counts openings in a row, with no clean answer in between: each makes the next wait longer.
    """

    reason: Reason
    text: str  # the host's own words, cleaned and bounded like any reply
    opened_at: datetime
    until_at: datetime
    opened_count: int = 1


@dataclass(frozen=True, slots=True)
class SiteMemory:
    """Key: ``egress`` and ``site``.

    ``share`` (above 0, up to 1) is how much of the site's limits is in use: it starts low, grows while answers are
    clean, and is halved by signs of strain. ``ceiling`` is how many connections the site was seen to bear at once, None
    while nothing showed it; ``ceiling_at`` says when, since hosts change. ``breaker`` is None while we are welcome.
    """

    egress: str
    site: str
    lane: str
    updated_at: datetime
    share: float
    ceiling: int | None = None
    ceiling_at: datetime | None = None
    breaker: BreakerNote | None = None
    pipelining_broken_at: datetime | None = None  # it was offered, but commands after the first were ignored
    prefers_other_sender: bool = False  # refused the egress's sender, accepted its other one
    is_cautious: bool = False  # sessions ended without proof of their answers
