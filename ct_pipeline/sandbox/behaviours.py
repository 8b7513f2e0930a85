"""What a mailbox, a domain and a mail host of the sandbox can be like: the closed lists behind the three CSV files."""

from dataclasses import dataclass
from enum import StrEnum


class MailboxBehaviour(StrEnum):
    """How a host that tells names apart answers RCPT for one address."""

    EXISTS = "exists"
    MISSING = "missing"  # no such name; the same as an address that no file mentions
    DISABLED = "disabled"
    FULL = "full"  # 452 4.2.2: may be emptied tomorrow
    FULL_FOR_GOOD = "full_for_good"  # 552 5.2.2: over quota and left so
    RECEIVING_TOO_FAST = "receiving_too_fast"  # 450 4.2.1: exists, and is throttled


class DomainDns(StrEnum):
    """What DNS says of a mail domain."""

    MX = "mx"
    IMPLICIT_MX = "implicit_mx"  # no MX; the A record of the domain is its mail host (RFC 5321 section 5.1)
    ALIAS = "alias"  # a CNAME to another mail domain, which stands in mail_hosts
    NULL_MX = "null_mx"  # RFC 7505
    NO_MAIL_SERVICE = "no_mail_service"  # the domain exists, without MX and address records
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    SILENT = "silent"  # the DNS server never answers for this name


class Accepts(StrEnum):
    """Which names the mail hosts accept for a domain."""

    KNOWN_NAMES = "known_names"
    EVERY_NAME = "every_name"  # catch-all
    NOTHING = "nothing"  # the hosts do not know the domain and refuse to relay


class Decidable(StrEnum):
    """Whether an honest verifier can find out over SMTP what is true of an address."""

    YES = "yes"
    NO = "no"  # nobody can tell, and the truth is unknown
    BESIDE_NEIGHBOUR = "beside_neighbour"  # only on a list that names a living one of its domain: truth.truth_on_list


@dataclass(frozen=True, slots=True)
class HostBehaviour:
    """What a mail host does before and beside looking up the mailbox. Replies are named as in reply_styles.toml."""

    listens: bool = True
    greeting: str = "greeting"  # name of the first reply; empty: accepts the connection and says nothing
    every_recipient: str = ""  # name of the reply to every RCPT, whoever it is for
    accepts_every_name: bool = False
    greylists: bool = False
    hangs_up_after_refusal: bool = False
    recipients_per_transaction: int = 100  # RFC 5321 section 4.5.3.1.8 asks for at least 100
    recipients_per_session: int | None = None
    offers_starttls: bool = False
    offers_smtputf8: bool = True


HOST_BEHAVIOURS = {
    "normal": HostBehaviour(),
    "accepts_all": HostBehaviour(accepts_every_name=True),
    "greylists": HostBehaviour(greylists=True),
    "blocks_at_connect": HostBehaviour(greeting="blocked_at_connect"),
    "blocks_at_recipient": HostBehaviour(every_recipient="blocked_at_recipient"),
    "defers_at_connect": HostBehaviour(greeting="deferred_at_connect"),
    "fails_for_now": HostBehaviour(every_recipient="temporary_failure"),
    "refuses_everyone": HostBehaviour(every_recipient="refused_without_reason"),
    "dead": HostBehaviour(listens=False),
    "silent": HostBehaviour(greeting=""),
    "hangs_up_after_refusal": HostBehaviour(hangs_up_after_refusal=True),
    "one_recipient": HostBehaviour(recipients_per_transaction=1),
    "session_limit": HostBehaviour(recipients_per_session=5),
    "starttls": HostBehaviour(offers_starttls=True),
    "ascii_only": HostBehaviour(offers_smtputf8=False),
}
