"""More people than the three files name: further mailboxes at the known domains, with their truth (pure).

The same people and the same seed give the same crowd, and a larger crowd begins with the smaller one.
"""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from random import Random
from typing import TypeVar

from ct_pipeline.sandbox.behaviours import Accepts, DomainDns, MailboxBehaviour
from ct_pipeline.sandbox.invented_names import FIRST_NAMES, LAST_NAMES
from ct_pipeline.sandbox.population import Inhabitants, Mailbox, MailDomain, MailHost, serving_hosts
from ct_pipeline.sandbox.truth import tell_truth

T = TypeVar("T")

SEED = 20261124
ORDINARY_BEHAVIOURS = {"normal", "accepts_all", "greylists", "starttls"}
ORDINARY_DNS = {DomainDns.MX, DomainDns.IMPLICIT_MX, DomainDns.NXDOMAIN, DomainDns.NULL_MX, DomainDns.NO_MAIL_SERVICE}


def with_crowd(inhabitants: Inhabitants, mailbox_count: int, seed: int = 0) -> Inhabitants:
    """The inhabitants, and as many more that there are ``mailbox_count`` mailboxes; no fewer than there were.

    The crowd lives where the others live, in the same shares, but for domains and hosts whose oddity needs few. Without
    a domain that would do, nobody is added.
    """
    missing = mailbox_count - len(inhabitants.mailboxes)
    crowd = list(islice(_crowd(inhabitants, seed), max(0, missing)))
    return Inhabitants(inhabitants.hosts, inhabitants.domains, [*inhabitants.mailboxes, *crowd])


def _crowd(inhabitants: Inhabitants, seed: int) -> Iterator[Mailbox]:
    random = Random(SEED + seed)  # noqa: S311 not for secrets
    hosts = {host.host: host for host in inhabitants.hosts}
    domains = {domain.domain: domain for domain in inhabitants.domains}
    homes = {
        name: [hosts[host] for host in serving_hosts(domain, domains)]
        for name, domain in domains.items()
        if _is_ordinary(domain, [hosts[host] for host in serving_hosts(domain, domains)])
    }
    residents = [mailbox for mailbox in inhabitants.mailboxes if mailbox.domain in homes and mailbox.address.isascii()]
    if not residents:
        return
    taken = {mailbox.address for mailbox in inhabitants.mailboxes}
    by_style = _behaviours_by_style(residents, homes)
    for number in count(1):
        like = _pick(residents, random)
        domain = domains[like.domain]
        address = f"{_local_part(number, like, random)}@{domain.domain}"
        if address in taken:
            address = f"{address.partition('@')[0]}.{number}@{domain.domain}"
        taken.add(address)
        style = _style(homes[domain.domain])
        behaviour = MailboxBehaviour.EXISTS if domain.accepts is Accepts.EVERY_NAME else _pick(by_style[style], random)
        flags = [flag for flag in like.truth_flags if flag != "role"]
        note = like.note if domain.dns is DomainDns.NXDOMAIN else ""
        yield tell_truth(address, behaviour, domain, homes[domain.domain], flags, note)


def _is_ordinary(domain: MailDomain, hosts: Sequence[MailHost]) -> bool:
    return (
        domain.dns in ORDINARY_DNS
        and domain.accepts is not Accepts.NOTHING
        and all(host.behaviour in ORDINARY_BEHAVIOURS for host in hosts)
    )


def _behaviours_by_style(
    residents: Sequence[Mailbox], homes: dict[str, list[MailHost]]
) -> dict[str, list[MailboxBehaviour]]:
    """What mailboxes are like at hosts of each style, as often as they are: a style has no words for other kinds."""
    behaviours: dict[str, list[MailboxBehaviour]] = {}
    for mailbox in residents:
        behaviours.setdefault(_style(homes[mailbox.domain]), []).append(mailbox.behaviour)
    return behaviours


def _style(hosts: Sequence[MailHost]) -> str:
    return hosts[0].style if hosts else ""


def _local_part(number: int, like: Mailbox, random: Random) -> str:
    """A person's name below the reserved ``.test``; elsewhere a name that nobody has."""
    if not like.domain.endswith(".test"):
        return f"ct-sandbox-{10_000 + number}"
    return f"{_pick(FIRST_NAMES, random)}.{_pick(LAST_NAMES, random)}"


def _pick(choices: Sequence[T], random: Random) -> T:
    return choices[int(random.random() * len(choices))]
