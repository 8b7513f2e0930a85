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

    # our own way out failed: our proxy, or our source address
    EGRESS_TROUBLE = "egress_trouble"

    # the operator has settled it beforehand: nobody needs to be asked
    ALLOW_LISTED = "allow_listed"
    BLOCK_LISTED = "block_listed"

    # nobody can tell, or nobody may ask
    UNCLEAR_REPLY = "unclear_reply"
    CANNOT_VERIFY = "cannot_verify"
    SMTPUTF8_REQUIRED = "smtputf8_required"
    PROVIDER_HIDES_ANSWER = "provider_hides_answer"
    PROVIDER_FORBIDS_PROBING = "provider_forbids_probing"
    NOT_ASKED_YET = "not_asked_yet"


NOT_A_MAILBOX = frozenset({Reason.MAILBOX_NOT_FOUND, Reason.MAILBOX_DISABLED, Reason.MAILBOX_MOVED})  # in clear words
DOMAIN_IS_REFUSED = frozenset({Reason.NULL_MX, Reason.DOMAIN_NOT_HOSTED})  # as a host says it, of all names at once


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


class Region(StrEnum):
    """Where a CleverTap project lives: the code before ``.dashboard.clevertap.com`` in the dashboard's address."""

    EUROPE = "eu1"
    INDIA = "in1"
    UNITED_STATES = "us1"
    SINGAPORE = "sg1"
    INDONESIA = "aps3"
    MIDDLE_EAST = "mec1"
    SOUTH_KOREA = "sk1"

    @classmethod
    def of(cls, text: str) -> "Region":
        """The region that ``text`` names: its code, or the address of a dashboard page.

        >>> Region.of("https://in1.dashboard.clevertap.com/XYZ/boards")
        <Region.INDIA: 'in1'>

        Raises:
            ValueError: neither of them; the text lists the codes.
        """
        word = text.strip().lower().removeprefix("https://").removeprefix("http://").partition(".")[0]
        try:
            return cls(word)
        except ValueError:
            raise ValueError(
                f"must be one of {', '.join(cls)}, or the address of the project's dashboard, "
                "such as https://eu1.dashboard.clevertap.com"
            ) from None


class GibberishThreshold(StrEnum):
    """How readily a local part is called gibberish; the rates stand in docs/reference/address_facts.md."""

    OFF = "off"  # never
    MEDIUM = "medium"
    HIGH = "high"  # more of the random strings, and more of the real names


class VerifyMode(StrEnum):
    """How much time an answer may take."""

    HIGHEST_ACCURACY = "highest_accuracy"  # what is not settled is asked again, for days if need be
    FASTEST_TURNAROUND = "fastest_turnaround"  # every address is asked once

    @property
    def asks_once(self) -> bool:
        return self is VerifyMode.FASTEST_TURNAROUND


class ExportAction(StrEnum):
    """What an export does in CleverTap."""

    UNSUBSCRIBE = "unsubscribe"
    APPEND = "append"


class ExportMode(StrEnum):
    """Whether pushes send, or only tell what they would send."""

    PREVIEW = "preview"
    APPLY = "apply"


class IdentifierKind(StrEnum):
    """How CleverTap is told which profile is meant; the values are the API's field names."""

    IDENTITY = "identity"
    OBJECT_ID = "objectId"


class Subscription(StrEnum):
    """What is known of an address's e-mail subscription in CleverTap, our own changes left out."""

    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    UNKNOWN = "unknown"


class SubscriptionSource(StrEnum):
    """What that knowledge rests on."""

    EVENT = "channel_unsubscribed_event"  # the newest of them that is not ours
    PROFILE_SUMMARY = "profile_event_summary"  # the profile has such events, their content was not read
    NONE = "none"


class ChangeKind(StrEnum):
    """A write that we intend in CleverTap."""

    UNSUBSCRIBE = "unsubscribe"
    RESUBSCRIBE = "resubscribe"
    SET_PROPERTIES = "set_properties"


class BatchState(StrEnum):
    """Where a batch of changes stands: planned or held, (approved,) sending, done."""

    PLANNED = "planned"
    HELD = "held"  # a brake: sends nothing until someone approves it
    APPROVED = "approved"
    SENDING = "sending"  # begun; changes without a receipt are sent (again) by the next push
    DONE = "done"  # every change has its receipt


class Outcome(StrEnum):
    """What became of a change."""

    PROCESSED = "processed"  # CleverTap took it
    REJECTED = "rejected"  # CleverTap refused this record; code and text say why
    WITHDRAWN = "withdrawn"  # never sent: its grounds were gone before its turn came
