"""What is known of one mail domain: the record that ``domain_facts`` keeps."""

from dataclasses import dataclass
from datetime import datetime

from ct_pipeline.vocabulary import MailService


@dataclass(frozen=True, slots=True)
class MxHost:
    """One mail host and the addresses that we may dial, in the order to try them."""

    preference: int
    host: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What one look-up found. ``mx_hosts`` is ordered by preference and holds dialable hosts only."""

    domain: str
    service: MailService
    mx_hosts: tuple[MxHost, ...]
    mx_record: str | None  # the most preferred MX host as published, even where it is not dialable
    provider: str  # a row of providers.toml, else the registrable domain of the primary MX, else ""
    site: str  # what limits apply to; never empty (the domain itself when it has no mail host)
    lane: str
    is_disposable: bool
    is_free: bool
    looked_up_at: datetime
    expires_at: datetime
    detail: str = ""  # what DNS said, in words, for people
    query_count: int = 0  # DNS messages that this look-up sent, repeats included; 0 where it is told from memory
    mx_query_count: int = 0  # of these, the ones that asked for MX
