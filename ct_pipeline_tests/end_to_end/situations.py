"""The situations that a verifier meets: each a domain of its own, hosts that behave so, and the right verdicts.

Everything is scripted; situations_world.py serves it.
"""

from dataclasses import dataclass, field

from ct_pipeline.sandbox.zones import SERVFAIL, SILENT
from ct_pipeline.vocabulary import Reason, Status
from ct_pipeline_tests.end_to_end.situation_hosts import (
    OK,
    UNKNOWN_USER,
    Grudge,
    Turncoat,
    greets_with,
    hangs_up_after_a_refusal,
    hangs_up_at_rcpt,
    knows_no_ehlo,
    lets_in_for,
    never_answers_rcpt,
    plain,
    puts_off_once,
    refuses_mail_from,
    says,
    takes_one_recipient_a_message,
)
from ct_pipeline_tests.verification.scripted_host import Script, polite

Outcome = tuple[Status, Reason]

VALID: Outcome = (Status.VALID, Reason.ACCEPTED)
NOT_FOUND: Outcome = (Status.INVALID, Reason.MAILBOX_NOT_FOUND)
CATCH_ALL: Outcome = (Status.CATCH_ALL, Reason.CATCH_ALL)


def invalid(reason: Reason) -> Outcome:
    return Status.INVALID, reason


def unknown(reason: Reason) -> Outcome:
    return Status.UNKNOWN, reason


@dataclass(frozen=True)
class Situation:
    """``should_be`` is the verdict on each address in the end; ``at_first`` that of the first visit, where it differs.

    ``hosts`` are the mail hosts in order of preference, None for one that nobody listens at. ``dns`` replaces the
    records of the domain; ``{0}`` in it is the address of the first host.
    """

    name: str
    should_be: dict[str, Outcome]
    hosts: tuple[Script | None, ...] = ()
    mx_name: str = ""  # of the only host, where a provider is known by it
    at_first: dict[str, Outcome] = field(default_factory=dict)
    dns: tuple[str, ...] | None = None
    domain: str = ""

    @property
    def mail_domain(self) -> str:
        """As the list spells it."""
        return self.domain or f"{self.name.replace(' ', '-')}.test"

    @property
    def dns_name(self) -> str:
        return self.mail_domain.encode("idna").decode()

    def address(self, local_part: str) -> str:
        """As the ledger has it."""
        return f"{local_part}@{self.dns_name}"


distrustful, become_a_catch_all = Turncoat(), Turncoat()
for_a_day, for_a_day_from_the_first = Grudge(5), Grudge(0)
TWENTY = [f"live{number}" for number in range(20)]

SITUATIONS = [
    # those in which open-source verifiers were compared; none of them got all right
    Situation("550 5.1.1 user unknown", {"live": VALID, "dead": NOT_FOUND}, (plain,)),
    Situation("catch-all domain", {"one": CATCH_ALL, "two": CATCH_ALL}, (says(OK),)),
    Situation("bare 550 for a dead user", {"live": VALID, "dead": NOT_FOUND}, (says(b"550 Nope\r\n", "dead"),)),
    Situation(
        "client host blocked at rcpt",
        {"live": unknown(Reason.PROBER_BLOCKED)},
        (says(b"550 5.7.1 Service unavailable; client [127.0.0.1] blocked using zen.spamhaus.org\r\n"),),
    ),
    Situation(
        "access denied at rcpt",
        {"live": unknown(Reason.PROBER_BLOCKED)},
        (says(b"554 5.7.1 <prober.test[127.0.0.1]>: Client host rejected: Access denied\r\n"),),
    ),
    Situation("554 banner", {"live": unknown(Reason.PROBER_BLOCKED)}, (greets_with(b"554 No SMTP service here\r\n"),)),
    Situation(
        "421 banner",
        {"live": unknown(Reason.SERVER_TROUBLE)},
        (greets_with(b"421 4.3.2 Service not available, closing transmission channel\r\n"),),
    ),
    Situation(
        "greylist 450 then ok",
        {"live": VALID, "dead": NOT_FOUND},
        (puts_off_once(b"450 4.2.0 Recipient address rejected: Greylisted\r\n"),),
        at_first={"live": unknown(Reason.GREYLISTED), "dead": unknown(Reason.GREYLISTED)},
    ),
    Situation("451 always", {"live": unknown(Reason.SERVER_TROUBLE)}, (says(b"451 4.3.0 Try again later\r\n"),)),
    Situation(
        "over quota 452",
        {"live": VALID, "full": unknown(Reason.MAILBOX_FULL)},
        (says(b"452 4.2.2 The recipient's mailbox is over quota\r\n", "full"),),
    ),
    Situation(
        "over quota 552",
        {"live": VALID, "full": invalid(Reason.MAILBOX_FULL)},
        (says(b"552 5.2.2 Mailbox full\r\n", "full"),),
    ),
    Situation(
        "disabled account",
        {"live": VALID, "gone": invalid(Reason.MAILBOX_DISABLED)},
        (says(b"550 5.2.1 The account has been disabled\r\n", "gone"),),
    ),
    Situation(
        "450 4.7.25 no ptr",
        {"live": unknown(Reason.PROBER_BLOCKED)},
        (says(b"450 4.7.25 Client host rejected: cannot find your reverse hostname, [127.0.0.1]\r\n"),),
    ),
    Situation(
        "530 starttls first",
        {"live": unknown(Reason.TLS_OR_LOGIN_REQUIRED)},
        (refuses_mail_from(b"530 5.7.0 Must issue a STARTTLS command first\r\n"),),
    ),
    Situation(
        "one recipient a transaction",
        {"live1": VALID, "live2": VALID, "live3": VALID, "dead": NOT_FOUND},
        (takes_one_recipient_a_message(),),
    ),
    Situation(
        "hangs up after a refusal",
        {"dead1": NOT_FOUND, "dead2": NOT_FOUND, "live1": VALID, "live2": VALID},
        (hangs_up_after_a_refusal,),
    ),
    Situation(
        "252 cannot verify",
        {"live": unknown(Reason.CANNOT_VERIFY)},
        (says(b"252 2.0.0 Cannot VRFY user, but will accept message\r\n"),),
    ),
    Situation("null mx", {"live": invalid(Reason.NULL_MX)}, dns=("MX 0 .",)),
    Situation("a record only", {"live": VALID, "dead": NOT_FOUND}, (plain,), dns=("A {0}",)),
    Situation("servfail", {"live": unknown(Reason.DNS_SERVER_FAILURE)}, dns=(SERVFAIL,)),
    Situation("first mx unreachable", {"live": VALID, "dead": NOT_FOUND}, (None, plain)),
    Situation("idn domain", {"live": VALID, "dead": NOT_FOUND}, (plain,), domain="bücher.test"),
    Situation("smtputf8 local part", {"livé": VALID, "tøt": NOT_FOUND}, (says(OK, "liv", extensions=("SMTPUTF8",)),)),
    Situation("role address refused", {"info": NOT_FOUND, "live": VALID}, (plain,)),
    # those that break other things
    Situation(
        "closed name at a catch-all",
        {"closed": CATCH_ALL, "one": CATCH_ALL, "two": CATCH_ALL},
        (polite(lambda address: b"550 5.1.1 User unknown\r\n" if address.startswith("closed") else OK),),
        # the mixed order asks the closed one first; after it the host might as well have begun to accept everything
        at_first={"closed": NOT_FOUND} | dict.fromkeys(["one", "two"], unknown(Reason.CANNOT_VERIFY)),
    ),
    Situation("nxdomain", {"live": invalid(Reason.DOMAIN_NOT_FOUND)}, dns=()),
    Situation("no mail service", {"live": invalid(Reason.NO_MAIL_SERVICE)}, dns=('TXT "nothing here"',)),
    Situation("dns never answers", {"live": unknown(Reason.DNS_TIMEOUT)}, dns=(SILENT,)),
    Situation("no host listens", {"live": unknown(Reason.CONNECTION_REFUSED)}, (None,)),
    Situation("rcpt never answered", {"live": unknown(Reason.COMMAND_TIMEOUT)}, (never_answers_rcpt,)),
    Situation("hangs up at rcpt", {"live": unknown(Reason.CONNECTION_LOST)}, (hangs_up_at_rcpt,)),
    Situation("smtputf8 not offered", {"live": VALID, "livé": unknown(Reason.SMTPUTF8_REQUIRED)}, (plain,)),
    Situation("all hosts in a private network", {"live": invalid(Reason.UNROUTABLE_MAIL_SERVER)}, dns=("A 10.0.0.1",)),
    Situation("backup accepts everything", {"live": CATCH_ALL, "dead": CATCH_ALL}, (None, says(OK))),
    Situation("first host busy", {"live": VALID, "dead": NOT_FOUND}, (greets_with(b"421 4.3.2 Busy\r\n"), plain)),
    Situation(
        "refused in several lines",
        {"live": VALID, "dead": NOT_FOUND},
        (says(b"550-5.1.1 The email account that you tried to reach does\r\n550 5.1.1 not exist.\r\n", "dead"),),
    ),
    Situation(
        "refused in french",
        {"live": VALID, "dead": NOT_FOUND},
        (says("550 5.1.1 <dead>: Utilisateur inconnu, boîte inexistante\r\n".encode(), "dead"),),
    ),
    Situation(
        "mailbox moved",
        {"live": VALID, "moved": invalid(Reason.MAILBOX_MOVED)},
        (says(b"551 5.1.6 User not local; please try <else@where.test>\r\n", "moved"),),
    ),
    Situation(
        "mailbox receives too much",
        {"live": VALID, "busy": unknown(Reason.RECIPIENT_RATE_LIMITED)},
        (says(b"450 4.2.1 The user you are trying to contact is receiving mail at a rate that\r\n", "busy"),),
    ),
    Situation(
        "domain not hosted",
        {"ann": invalid(Reason.DOMAIN_NOT_HOSTED), "bob": invalid(Reason.DOMAIN_NOT_HOSTED)},
        (polite(lambda _address: b"550 5.1.2 We do not host this domain here\r\n"),),
    ),
    Situation(
        "sender refused",
        {"live": unknown(Reason.SENDER_REFUSED)},
        (refuses_mail_from(b"550 5.1.8 Sender address rejected: Domain not found\r\n"),),
    ),
    Situation(
        "no smtp at all", {"live": unknown(Reason.CONNECTION_LOST)}, (greets_with(b"HTTP/1.1 400 Bad Request\r\n"),)
    ),
    Situation("helo only", {"live": VALID, "dead": NOT_FOUND}, (knows_no_ehlo,)),
    Situation(
        "sender verify failed",
        {"live": unknown(Reason.SENDER_REFUSED)},
        (says(b"550-Verification failed for <probe@prober.test>\r\n550-User unknown\r\n550 Sender verify failed\r\n"),),
    ),
    Situation(
        "too many unknown recipients",
        {"live": unknown(Reason.PROBER_BLOCKED), "dead": unknown(Reason.PROBER_BLOCKED)},
        (says(b"550 5.7.1 Too many unknown recipients from your address, blocked for now\r\n"),),
    ),
    Situation(
        "unknown user for now",
        {"live": VALID, "later": unknown(Reason.UNCLEAR_REPLY)},
        (says(b"450 4.1.1 <later>: Recipient address rejected: User unknown in local recipient table\r\n", "later"),),
    ),
    Situation(
        "vague refusal of everybody",
        {name: unknown(Reason.UNCLEAR_REPLY) for name in ("ann", "bob", "cid", "dan", "eve", "live")},
        (says(b"550 Nope\r\n"),),
    ),
    Situation(
        "bare 550 for dead users and the made-up name",
        {"dead1": NOT_FOUND, "dead2": NOT_FOUND, "live1": VALID, "dead3": NOT_FOUND},
        (polite(lambda address: OK if address.startswith(("live", "postmaster")) else b"550 Rejected\r\n"),),
    ),
    Situation(
        "vague refusal of a few but not of postmaster",
        {f"live{number}": unknown(Reason.UNCLEAR_REPLY) for number in range(4)},
        (polite(lambda address: OK if address.startswith("postmaster") else b"550 Rejected\r\n"),),
    ),
    Situation(
        "begins to refuse everybody in vague words",
        {f"live{number}": unknown(Reason.UNCLEAR_REPLY) for number in range(1, 9)},
        (lets_in_for(2, b"550 Rejected\r\n"),),
        at_first={"live2": VALID},  # whom the mixed order asks first
    ),
    Situation(
        "vague refusal of everybody but postmaster",
        {f"live{number}": unknown(Reason.UNCLEAR_REPLY) for number in range(12)},
        (polite(lambda address: OK if address.startswith("postmaster") else b"550 Rejected\r\n"),),
    ),
    Situation(
        "begins to refuse everybody in clear words",
        # whom the mixed order asks first, with the made-up name as the second
        dict.fromkeys(TWENTY, unknown(Reason.PROBER_BLOCKED))
        | dict.fromkeys(("live0", "live1", "live6", "live19"), VALID),
        (lets_in_for(5, UNKNOWN_USER),),
    ),
    Situation(
        "refuses everybody in clear words for a day",
        {**dict.fromkeys(TWENTY, VALID), "dead": NOT_FOUND},
        (for_a_day,),
        at_first=dict.fromkeys(TWENTY, unknown(Reason.PROBER_BLOCKED))
        | dict.fromkeys(("live1", "live2", "live12"), VALID),
    ),
    Situation(
        "refuses everybody in clear words from the first name for a day",
        {**dict.fromkeys(TWENTY, VALID), "dead": NOT_FOUND},
        (for_a_day_from_the_first,),
        at_first=dict.fromkeys(TWENTY, NOT_FOUND),
    ),
    Situation(
        "company of dead names only",
        {f"dead{number}": NOT_FOUND for number in range(12)},
        (plain,),
    ),
    Situation(
        "relay denied to everybody",
        {name: unknown(Reason.RELAY_DENIED) for name in ("ann", "bob", "cid", "dan", "eve", "live")},
        (says(b"550 5.7.1 Relaying denied\r\n"),),
    ),
    Situation("accepts everything for a day", {"live": VALID, "dead": NOT_FOUND}, (distrustful,)),
    Situation(
        "becomes a catch-all",
        {"live": CATCH_ALL, "dead": CATCH_ALL},
        (become_a_catch_all,),
        at_first={"live": VALID, "dead": NOT_FOUND},
    ),
    Situation(
        "made-up name refused for now",
        {"live": unknown(Reason.CANNOT_VERIFY)},
        (polite(lambda address: OK if address.startswith("live") else b"451 4.3.0 Try again later\r\n"),),
    ),
    Situation(
        "provider that accepts everything and bounces later",
        {"live": unknown(Reason.PROVIDER_HIDES_ANSWER), "dead": unknown(Reason.PROVIDER_HIDES_ANSWER)},
        (says(OK),),
        mx_name="mta5.am0.yahoodns.net",
        domain="yahoo.com",
    ),
]
