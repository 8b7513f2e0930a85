"""What a perfect and honest verifier says of an address, from how its domain, hosts and mailbox behave (pure).

Used to write ``population.csv``; nothing reads it while the sandbox runs, the file is the truth.
"""

from collections.abc import Sequence

from ct_pipeline.sandbox.behaviours import Accepts, DomainDns, MailboxBehaviour
from ct_pipeline.sandbox.population import Mailbox, MailDomain, MailHost
from ct_pipeline.vocabulary import Reason, Status

Truth = tuple[Status, Reason]

_OF_MAILBOX: dict[MailboxBehaviour, Truth] = {
    MailboxBehaviour.EXISTS: (Status.VALID, Reason.ACCEPTED),
    MailboxBehaviour.MISSING: (Status.INVALID, Reason.MAILBOX_NOT_FOUND),
    MailboxBehaviour.DISABLED: (Status.INVALID, Reason.MAILBOX_DISABLED),
    MailboxBehaviour.FULL: (Status.UNKNOWN, Reason.MAILBOX_FULL),
    MailboxBehaviour.FULL_FOR_GOOD: (Status.INVALID, Reason.MAILBOX_FULL),
    MailboxBehaviour.RECEIVING_TOO_FAST: (Status.UNKNOWN, Reason.RECIPIENT_RATE_LIMITED),
}
_OF_DNS: dict[DomainDns, Truth] = {
    DomainDns.NULL_MX: (Status.INVALID, Reason.NULL_MX),
    DomainDns.NO_MAIL_SERVICE: (Status.INVALID, Reason.NO_MAIL_SERVICE),
    DomainDns.NXDOMAIN: (Status.INVALID, Reason.DOMAIN_NOT_FOUND),
    DomainDns.SERVFAIL: (Status.UNKNOWN, Reason.DNS_SERVER_FAILURE),
    DomainDns.SILENT: (Status.UNKNOWN, Reason.DNS_TIMEOUT),
}
_OF_HOST: dict[str, Truth] = {
    "accepts_all": (Status.UNKNOWN, Reason.PROVIDER_HIDES_ANSWER),
    "blocks_at_connect": (Status.UNKNOWN, Reason.PROBER_BLOCKED),
    "blocks_at_recipient": (Status.UNKNOWN, Reason.PROBER_BLOCKED),
    "defers_at_connect": (Status.UNKNOWN, Reason.PROBER_BLOCKED),
    "fails_for_now": (Status.UNKNOWN, Reason.SERVER_TROUBLE),
    "refuses_everyone": (Status.UNKNOWN, Reason.UNCLEAR_REPLY),
    "dead": (Status.UNKNOWN, Reason.CONNECTION_REFUSED),
    "silent": (Status.UNKNOWN, Reason.CONNECTION_TIMEOUT),
}


def tell_truth(
    address: str,
    behaviour: MailboxBehaviour,
    domain: MailDomain,
    hosts: Sequence[MailHost],
    flags: Sequence[str] = (),
    note: str = "",
) -> Mailbox:
    """The mailbox with its truth; ``hosts`` are the domain's mail hosts, most preferred first."""
    status, reason = _truth(address, behaviour, domain, hosts)
    return Mailbox(address, behaviour, status, reason, tuple(flags), status is not Status.UNKNOWN, note)


def _truth(address: str, behaviour: MailboxBehaviour, domain: MailDomain, hosts: Sequence[MailHost]) -> Truth:
    if domain.dns in _OF_DNS:
        return _OF_DNS[domain.dns]
    if not any(host.address.startswith("127.") for host in hosts):
        return Status.INVALID, Reason.UNROUTABLE_MAIL_SERVER
    answering = next((host for host in hosts if host.does.listens), hosts[0])
    if answering.style == "outlook":
        return Status.UNKNOWN, Reason.PROVIDER_FORBIDS_PROBING
    if answering.behaviour in _OF_HOST:
        return _OF_HOST[answering.behaviour]
    if not address.isascii() and not answering.does.offers_smtputf8:
        return Status.UNKNOWN, Reason.SMTPUTF8_REQUIRED
    if domain.accepts is Accepts.NOTHING:
        return Status.UNKNOWN, Reason.RELAY_DENIED
    if domain.accepts is Accepts.EVERY_NAME:
        return Status.CATCH_ALL, Reason.CATCH_ALL
    return _OF_MAILBOX[behaviour]
