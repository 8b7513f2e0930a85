"""The judgement of one address, and the columns that carry it to users."""

from dataclasses import dataclass
from datetime import datetime

from ct_pipeline.vocabulary import BounceType, Reason, SafeToSend, Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """One address, judged. The field order is the column order of list files."""

    address_id: int
    address: str
    status: Status
    reason: Reason
    safe_to_send: SafeToSend
    bounce_type: BounceType
    verdict_text: str  # one plain sentence for a marketer
    is_disposable: bool
    is_free: bool
    is_role: bool
    suggested_email: str | None
    provider: str
    mx_record: str | None
    smtp_code: int | None
    smtp_enhanced: str | None
    smtp_text: str | None
    attempt_count: int
    verified_at: datetime | None  # when the deciding evidence was observed
    next_check_at: datetime | None  # when it will be asked again; None: final until it goes stale
    rule: str  # the deciding rule of the judge, with the reply rule behind it
    rules_version: str
    judged_at: datetime
