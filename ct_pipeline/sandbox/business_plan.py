"""The small businesses of the packaged sandbox and the hosters that serve some of them (data)."""

from dataclasses import dataclass

from ct_pipeline.sandbox.behaviours import Accepts, DomainDns, MailboxBehaviour
from ct_pipeline.sandbox.provider_plan import EVERY_KIND, NO_SOFT, PLAIN, Mix

_COMMON = ("postfix", "postfix", "exim", "sendmail", "chkuser", "exchange")
_WORDY = ("postfix", "exim", "sendmail")  # styles that tell full and disabled mailboxes apart


@dataclass(frozen=True, slots=True)
class Hoster:
    """Two mail hosts, ``mx1`` and ``mx2``, for many domains."""

    name: str
    style: str
    behaviour: str = "normal"
    note: str = ""


@dataclass(frozen=True, slots=True)
class SmallBusinesses:
    """``domain_count`` domains alike, with about ``mailbox_count`` mailboxes each."""

    domain_count: int = 1
    note: str = ""
    behaviour: str = "normal"
    dns: DomainDns = DomainDns.MX
    accepts: Accepts = Accepts.KNOWN_NAMES
    styles: tuple[str, ...] = _WORDY
    hoster: str = ""
    address: str = ""  # of the one mail host, where it is not on loopback
    has_fallback: bool = False
    mailbox_count: int = 4
    mix: Mix = EVERY_KIND
    local_parts: tuple[str, ...] = ()  # instead of invented people
    lists_roles: bool = False


HOSTERS = (
    Hoster("posthaus.test", "postfix"),
    Hoster("mailhof.test", "exim"),
    Hoster("letterbox.test", "sendmail"),
    Hoster("boxwerk.test", "postfix"),
    Hoster("courierly.test", "exim"),
    Hoster("shieldgate.test", "gateway"),
    Hoster("slowpost.test", "postfix", "greylists", "greylists all its customers' mail"),
)

_ALL_MISSING: Mix = ((1.0, MailboxBehaviour.MISSING),)
_HALF_MISSING: Mix = ((0.5, MailboxBehaviour.MISSING),)

SMALL_BUSINESSES = (
    SmallBusinesses(66, styles=_WORDY, mailbox_count=5, lists_roles=True),
    SmallBusinesses(36, styles=_COMMON, mix=PLAIN, mailbox_count=5, lists_roles=True),
    SmallBusinesses(20, hoster="posthaus.test", mailbox_count=5, lists_roles=True),
    SmallBusinesses(18, hoster="mailhof.test", mailbox_count=5, lists_roles=True),
    SmallBusinesses(16, hoster="letterbox.test", mailbox_count=5, lists_roles=True),
    SmallBusinesses(16, hoster="boxwerk.test", mailbox_count=5, lists_roles=True),
    SmallBusinesses(14, hoster="courierly.test", mailbox_count=5, lists_roles=True),
    SmallBusinesses(14, hoster="shieldgate.test", mix=NO_SOFT, mailbox_count=5, lists_roles=True),
    SmallBusinesses(16, "catch-all", accepts=Accepts.EVERY_NAME, lists_roles=True),
    SmallBusinesses(12, "catch-all at a hoster", accepts=Accepts.EVERY_NAME, hoster="posthaus.test"),
    SmallBusinesses(18, "greylists", "greylists", lists_roles=True),
    SmallBusinesses(9, "its hoster greylists", hoster="slowpost.test"),
    SmallBusinesses(2, "greylists, and is a catch-all", "greylists", accepts=Accepts.EVERY_NAME),
    SmallBusinesses(4, "lists our address at connect", "blocks_at_connect"),
    SmallBusinesses(5, "lists our address, and says so at RCPT", "blocks_at_recipient"),
    SmallBusinesses(2, "defers us at connect", "defers_at_connect"),
    SmallBusinesses(2, "its directory is down", "fails_for_now"),
    SmallBusinesses(2, "refuses every name, postmaster too, and says nothing", "refuses_everyone"),
    SmallBusinesses(5, "its only mail host is down", "dead"),
    SmallBusinesses(6, "its first mail host is down", has_fallback=True),
    SmallBusinesses(1, "accepts the connection and never greets", "silent", mailbox_count=2),
    SmallBusinesses(5, "no MX record: the domain is its own mail host", dns=DomainDns.IMPLICIT_MX, mix=PLAIN),
    SmallBusinesses(5, "publishes that it takes no mail", dns=DomainDns.NULL_MX),
    SmallBusinesses(4, "a web site without mail", dns=DomainDns.NO_MAIL_SERVICE),
    SmallBusinesses(6, "the company has gone", dns=DomainDns.NXDOMAIN),
    SmallBusinesses(3, "its MX points into a private network", address="10.0.0.1"),
    SmallBusinesses(2, "its name servers are broken", dns=DomainDns.SERVFAIL),
    SmallBusinesses(2, "its name servers are silent", dns=DomainDns.SILENT, mailbox_count=2),
    SmallBusinesses(2, "its hoster does not know it (any more)", accepts=Accepts.NOTHING, hoster="mailhof.test"),
    SmallBusinesses(4, "hangs up after each refusal", "hangs_up_after_refusal", mix=PLAIN, mailbox_count=6),
    SmallBusinesses(3, "one recipient per transaction", "one_recipient", mailbox_count=5),
    SmallBusinesses(2, "five recipients per session", "session_limit", mix=PLAIN, mailbox_count=12),
    SmallBusinesses(3, "offers STARTTLS with a self-signed certificate", "starttls", mailbox_count=5),
    SmallBusinesses(3, "refuses with a bare 550", styles=("terse",), mix=_HALF_MISSING, mailbox_count=6),
    SmallBusinesses(1, "refuses with a bare 550; nobody listed is left", styles=("terse",), mix=_ALL_MISSING),
    SmallBusinesses(1, "an alias of another domain, with mailboxes of its own", dns=DomainDns.ALIAS, mix=PLAIN),
)

SPECIAL_BUSINESSES = (
    ("bücher-kiste.test".encode("idna").decode(), SmallBusinesses(note="written bücher-kiste.test", mix=PLAIN)),
    ("café-am-see.test".encode("idna").decode(), SmallBusinesses(note="written café-am-see.test", mix=PLAIN)),
    ("umlaut-post.test", SmallBusinesses(note="SMTPUTF8 mailboxes", local_parts=("jörg.müller", "zoë.blum", "анна"))),
    (
        "ascii-post.test",
        SmallBusinesses(note="no SMTPUTF8", behaviour="ascii_only", local_parts=("jörg.müller", "anna")),
    ),
    (
        "bare-queue.test",
        SmallBusinesses(
            note="greylists, then refuses with a bare 550",
            behaviour="greylists",
            styles=("terse",),
            mix=_HALF_MISSING,
            mailbox_count=6,
        ),
    ),
    ("gone-quiet.test", SmallBusinesses(note="nobody listed is left", mix=_ALL_MISSING)),
)
