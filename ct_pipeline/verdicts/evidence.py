"""All that is known of an address when it is judged."""

from dataclasses import dataclass
from datetime import datetime

from ct_pipeline.vocabulary import About, MailService, Reason


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply means. ``retry_seconds`` is the host's own hint, when it gave one."""

    reason: Reason
    about: About
    rule: str  # name of the deciding rule in verification/reply_chapters
    retry_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts and observations of one address. A field is None where nothing is known yet.

    ``reading`` is the last reply about the address (or about us, while asking for it), read with today's rules.
    """

    address_id: int
    address: str
    syntax_reason: Reason | None  # why it is no address at all
    is_role: bool
    suggested_email: str | None
    # the domain
    mail_service: MailService | None
    dns_detail: str
    provider: str
    mx_record: str | None
    is_disposable: bool
    is_free: bool
    domain_looked_up_at: datetime | None
    # the mailbox
    reading: Reading | None
    smtp_code: int | None  # None: no reply was received; 0: the host did not answer
    smtp_enhanced: str | None
    smtp_text: str | None
    asked_at: datetime | None
    attempt_count: int
    next_attempt_at: datetime | None
    # its neighbours
    is_catch_all: bool | None
    tells_apart: bool | None  # the domain has accepted one name and refused another
    catch_all_found_at: datetime | None
