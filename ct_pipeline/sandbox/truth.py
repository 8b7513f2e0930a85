"""What a perfect and honest verifier says of an address, from how its domain, hosts and mailbox behave (pure).

:func:`tell_truth` tells it of an address by itself; that stands in ``population.csv``, or comes with the crowd. One
point depends on who else is asked about, and :func:`truth_on_list` settles it: some refusals count only beside an
acceptance.
"""

import dataclasses
from collections.abc import Collection, Sequence

from ct_pipeline.sandbox.behaviours import Accepts, Decidable, DomainDns, MailboxBehaviour
from ct_pipeline.sandbox.population import Mailbox, MailDomain, MailHost
from ct_pipeline.sandbox.reply_styles import reply_styles
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
    "silent": (Status.UNKNOWN, Reason.COMMAND_TIMEOUT),  # it lets us in, and says nothing
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
    decidable = Decidable.YES
    if status is Status.UNKNOWN:
        decidable = Decidable.NO
    elif status is Status.INVALID and _is_refused_barely(behaviour, hosts):
        decidable = Decidable.BESIDE_NEIGHBOUR
    return Mailbox(address, behaviour, status, reason, tuple(flags), decidable, note)


def truth_on_list(mailboxes: Sequence[Mailbox], listed: Collection[str]) -> list[Mailbox]:
    """The same mailboxes, with what can be found out when the addresses ``listed`` are asked about and no others.

    A host that refuses in bare words would turn us away in the same ones, so it can be believed only beside a living
    neighbour on the list: somebody of the same domain whom it accepts. Where the list has none, nobody can tell.
    """
    with_living = {box.domain for box in mailboxes if box.address in listed and box.truth_status is Status.VALID}
    return [
        _settled(box, box.domain in with_living) if box.decidable is Decidable.BESIDE_NEIGHBOUR else box
        for box in mailboxes
    ]


def _settled(mailbox: Mailbox, has_neighbour: bool) -> Mailbox:
    if has_neighbour:
        return dataclasses.replace(mailbox, decidable=Decidable.YES)
    return dataclasses.replace(
        mailbox, truth_status=Status.UNKNOWN, truth_reason=Reason.UNCLEAR_REPLY, decidable=Decidable.NO
    )


def _truth(address: str, behaviour: MailboxBehaviour, domain: MailDomain, hosts: Sequence[MailHost]) -> Truth:
    if domain.dns in _OF_DNS:
        return _OF_DNS[domain.dns]
    if not any(host.address.startswith("127.") for host in hosts):
        return Status.INVALID, Reason.UNROUTABLE_MAIL_SERVER
    answering = _answering(hosts)
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


def _is_refused_barely(behaviour: MailboxBehaviour, hosts: Sequence[MailHost]) -> bool:
    return bool(hosts) and reply_styles()[_answering(hosts).style].is_bare(behaviour)


def _answering(hosts: Sequence[MailHost]) -> MailHost:
    return next((host for host in hosts if host.does.listens), hosts[0])
