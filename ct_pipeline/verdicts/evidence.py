"""All that is known of an address when it is judged."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ct_pipeline.addresses.operator_lists import Listing
from ct_pipeline.vocabulary import About, MailService, Reason


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply means. ``retry_seconds`` is the host's own hint, when it gave one."""

    reason: Reason
    about: About
    rule: str  # name of the deciding rule in verification/reply_chapters
    retry_seconds: int | None = None


class Settled(NamedTuple):
    """The last reply that settled whether the mailbox exists: it was accepted, or clearly refused."""

    reading: Reading
    smtp_code: int
    smtp_enhanced: str | None
    smtp_text: str
    asked_at: datetime
    elapsed_ms: int
    is_definitive: bool = True


class Evidence(NamedTuple):
    """Facts and observations of one address. A field is None where nothing is known yet.

    ``reading`` is the last reply about the address (or about us, while asking for it), read with today's rules;
    ``settled`` is an earlier one that a later, undecided reply has not wiped out (None: there is none, or it is the
    last reply itself). A million of these are made in one run: a tuple costs a third of a frozen dataclass.
    """

    address_id: int
    address: str
    syntax_reason: Reason | None  # why it is no address at all
    is_role: bool
    is_gibberish: bool
    suggested_email: str | None
    canonical_email: str | None  # None: the address itself
    listing: Listing | None  # None: the operator has said nothing about it
    # the domain
    mail_service: MailService | None
    dns_detail: str
    provider: str
    mx_record: str | None
    is_disposable: bool
    is_free: bool
    is_acceptance_doubtful: bool  # some domains of this provider accept every name
    is_refusal_doubtful: bool  # this provider has refused living mailboxes in the words for unknown ones
    domain_looked_up_at: datetime | None
    # the mailbox
    reading: Reading | None
    smtp_code: int | None  # None: no reply was received; 0: the host did not answer
    smtp_enhanced: str | None
    smtp_text: str | None
    is_definitive: bool  # it settled the mailbox; of vague refusals, those after which another name was accepted
    asked_at: datetime | None
    elapsed_ms: int | None  # how long the host took over the last reply
    settled: Settled | None
    attempt_count: int
    next_attempt_at: datetime | None
    # its neighbours
    is_catch_all: bool | None
    tells_apart: bool | None  # the domain has accepted one name and refused another
    catch_all_found_at: datetime | None
