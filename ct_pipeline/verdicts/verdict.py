"""The judgement of one address, and the columns that carry it to users."""

from datetime import datetime
from typing import NamedTuple

from ct_pipeline.vocabulary import BounceType, Reason, SafeToSend, Status


class Verdict(NamedTuple):
    """One address, judged."""

    address_id: int
    address: str
    status: Status
    reason: Reason
    clearout_code: int  # Clearout's number for the reason: see clearout_codes
    safe_to_send: SafeToSend
    bounce_type: BounceType
    score: int  # estimated chance of delivery in percent
    score_basis: str  # the row of score_priors.toml it starts from, and what lowered or raised it
    verdict_text: str  # one plain sentence for a marketer
    is_disposable: bool
    is_free: bool
    is_role: bool
    is_gibberish: bool
    suggested_email: str | None
    canonical_email: str | None  # the same mailbox's plainest spelling; None: the address itself
    provider: str
    mx_record: str | None
    is_catch_all_domain: bool | None  # None: not known
    smtp_code: int | None  # of the deciding reply, as are the next two
    smtp_enhanced: str | None
    smtp_text: str | None
    elapsed_ms: int | None  # how long the host took over the deciding reply; None where no reply decided
    attempt_count: int
    verified_at: datetime | None  # when the deciding evidence was observed
    next_check_at: datetime | None  # when it will be asked again; None: final until it goes stale
    rule: str  # the deciding rule of the judge, with the reply rule behind it
    rules_version: str
    judged_at: datetime
