"""The closed word lists that every stage shares: status, reason, bounce type, safe-to-send.

Their values are what users read in the ledger, in list files and in CleverTap, so a value is never renamed, only added.
"""

from enum import StrEnum


class Status(StrEnum):
    """The judgement in one word."""

    VALID = "valid"
    INVALID = "invalid"
    CATCH_ALL = "catch_all"
    UNKNOWN = "unknown"


class BounceType(StrEnum):
    """How a message would bounce; ``NONE`` when it is not expected to."""

    NONE = "none"
    HARD = "hard"
    SOFT = "soft"


class SafeToSend(StrEnum):
    """What to do before the next campaign."""

    YES = "yes"
    RISKY = "risky"
    NO = "no"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """What a reply, or a fact about an address or its domain, means."""

    # the mailbox answered
    ACCEPTED = "accepted"
    CATCH_ALL = "catch_all"

    # the string is not an address
    SYNTAX_ERROR = "syntax_error"
    UNSUPPORTED_CHARACTER = "unsupported_character"

    # the domain takes no mail
    DOMAIN_NOT_FOUND = "domain_not_found"
    NO_MAIL_SERVICE = "no_mail_service"
    NULL_MX = "null_mx"
    UNROUTABLE_MAIL_SERVER = "unroutable_mail_server"

    # the domain could not be looked up for now
    DNS_TIMEOUT = "dns_timeout"
    DNS_SERVER_FAILURE = "dns_server_failure"

    # the host speaks about the address
    MAILBOX_NOT_FOUND = "mailbox_not_found"
    MAILBOX_DISABLED = "mailbox_disabled"
    MAILBOX_MOVED = "mailbox_moved"
    MAILBOX_FULL = "mailbox_full"
    RECIPIENT_RATE_LIMITED = "recipient_rate_limited"
    DOMAIN_NOT_HOSTED = "domain_not_hosted"

    # the host speaks about us
    PROBER_BLOCKED = "prober_blocked"
    SENDER_REFUSED = "sender_refused"
    POLICY_REFUSED = "policy_refused"
    RELAY_DENIED = "relay_denied"
    RATE_LIMITED = "rate_limited"
    TLS_OR_LOGIN_REQUIRED = "tls_or_login_required"

    # the host wants us to come back, or could not be talked to
    GREYLISTED = "greylisted"
    SERVER_TROUBLE = "server_trouble"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TIMEOUT = "connection_timeout"
    CONNECTION_LOST = "connection_lost"
    COMMAND_TIMEOUT = "command_timeout"
    OUT_OF_STEP = "out_of_step"

    # nobody can tell, or nobody may ask
    UNCLEAR_REPLY = "unclear_reply"
    CANNOT_VERIFY = "cannot_verify"
    SMTPUTF8_REQUIRED = "smtputf8_required"
    PROVIDER_HIDES_ANSWER = "provider_hides_answer"
    PROVIDER_FORBIDS_PROBING = "provider_forbids_probing"
    NOT_ASKED_YET = "not_asked_yet"


class About(StrEnum):
    """Whom a reply speaks about: only ``ADDRESS`` and ``DOMAIN`` can ever make an address Invalid."""

    ADDRESS = "address"
    DOMAIN = "domain"
    US = "us"
    TEMPORARY = "temporary"
    UNCLEAR = "unclear"


class MailService(StrEnum):
    """How, or why not, a domain takes mail, as DNS tells it."""

    MX = "mx"
    IMPLICIT_MX = "implicit_mx"  # no MX, but an address record: RFC 5321 section 5.1
    NULL_MX = "null_mx"  # RFC 7505
    NO_MAIL_SERVICE = "no_mail_service"  # the domain exists, without MX, A and AAAA
    DOMAIN_NOT_FOUND = "domain_not_found"  # NXDOMAIN
    UNROUTABLE = "unroutable"  # every address of every MX host is one we may not dial
    DNS_TIMEOUT = "dns_timeout"  # temporary: never Invalid
    DNS_SERVER_FAILURE = "dns_server_failure"  # temporary: never Invalid

    @property
    def takes_mail(self) -> bool:
        return self in (MailService.MX, MailService.IMPLICIT_MX)

    @property
    def is_temporary(self) -> bool:
        return self in (MailService.DNS_TIMEOUT, MailService.DNS_SERVER_FAILURE)
