"""From DNS answers to the facts of a domain: pure, so that every case is a table row in a test.

A look-up goes in two steps: the MX answer says which hosts' addresses to ask for (:func:`hosts_to_ask`); with their
answers everything is known (:func:`facts_from_answers`). What DNS failed to say is temporary, never a missing domain.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ct_pipeline.domains.disposable import is_disposable, is_disposable_host
from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.domains.lanes import lane_of, registrable_domain
from ct_pipeline.domains.networks import IPNetwork, is_dialable
from ct_pipeline.domains.providers import Providers
from ct_pipeline.vocabulary import MailService

MAX_MX_HOSTS = 20  # far above what real domains publish; a domain with hundreds must not cost hundreds of queries
MAX_HOST_ADDRESSES = 8
MAX_DETAIL_LENGTH = 300  # characters; names and texts come from strangers

SHORTEST_FRESH = timedelta(hours=1)  # a lower TTL is for load balancing and would mean a look-up per run
LONGEST_FRESH = timedelta(days=7)
NEGATIVE_FRESH = timedelta(hours=24)  # a domain is given up only after two look-ups at least this far apart
TEMPORARY_FRESH = timedelta(minutes=15)

# RFC 5321 section 2.3.5, and the underscore that real hosts use. The last label of a name is never all digits.
HOST_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_-]{1,63}\.)*(?=[a-z0-9_-]*[a-z_-])[a-z0-9_-]{1,63}\Z")


class Outcome(StrEnum):
    """What came of one question."""

    RECORDS = "records"
    NO_RECORDS = "no_records"  # the name exists, without records of this type (NODATA)
    NO_NAME = "no_name"  # NXDOMAIN, or a name that DNS cannot hold
    TIMEOUT = "timeout"
    SERVER_FAILURE = "server_failure"  # SERVFAIL, REFUSED, nonsense, no route: whatever is not an answer

    @property
    def is_temporary(self) -> bool:
        return self in (Outcome.TIMEOUT, Outcome.SERVER_FAILURE)


@dataclass(frozen=True, slots=True)
class MxAnswer:
    """The MX records of a domain as (preference, host); host is lower case, without the final dot, ``""`` for ``.``."""

    outcome: Outcome
    records: tuple[tuple[int, str], ...] = ()
    ttl_seconds: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """The addresses of a host, in the order in which they came."""

    outcome: Outcome
    addresses: tuple[str, ...] = ()
    ttl_seconds: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NamesAnswer:
    """The names that reverse DNS gives an address, lower-case, without the final dot."""

    outcome: Outcome
    names: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Finding:
    service: MailService
    mx_hosts: tuple[MxHost, ...] = ()
    published: str | None = None  # the most preferred host, dialable or not
    fresh_for: timedelta = NEGATIVE_FRESH
    detail: str = ""


def hosts_to_ask(domain: str, mx: MxAnswer) -> tuple[str, ...]:
    """Hosts whose addresses decide how ``domain`` takes mail, most preferred first, at most :data:`MAX_MX_HOSTS`."""
    if mx.outcome is Outcome.NO_RECORDS:
        return (domain,)
    return tuple(dict.fromkeys(host for _, host in _in_order(mx) if is_host_name(host)))


def is_host_name(host: str) -> bool:
    """Whether an MX may name ``host``: not an address, not this machine, no characters that a host cannot have."""
    return HOST_NAME.match(host) is not None and host != "localhost" and not host.endswith(".localhost")


def join_addresses(ipv4: AddressAnswer, ipv6: AddressAnswer) -> AddressAnswer:
    """One answer of a host's A and AAAA answers, IPv4 first. Where there is no A record, what came of AAAA counts."""
    if ipv4.outcome is not Outcome.RECORDS:
        return ipv6
    if ipv6.outcome is not Outcome.RECORDS:
        return ipv4
    return AddressAnswer(Outcome.RECORDS, ipv4.addresses + ipv6.addresses, min(ipv4.ttl_seconds, ipv6.ttl_seconds))


def facts_from_answers(
    domain: str,
    mx: MxAnswer,
    hosts: Mapping[str, AddressAnswer],
    *,
    providers: Providers,
    allowed: Sequence[IPNetwork],
    now: datetime,
) -> DomainFacts:
    """Facts of ``domain``; ``hosts`` answers for each of :func:`hosts_to_ask`."""
    if mx.outcome is Outcome.RECORDS:
        finding = _from_mx_records(mx, hosts, allowed)
    elif mx.outcome is Outcome.NO_RECORDS:
        finding = _from_own_addresses(domain, mx, hosts[domain], allowed)
    elif mx.outcome is Outcome.NO_NAME:
        finding = _Finding(MailService.DOMAIN_NOT_FOUND, detail=mx.detail or "DNS knows no such name")
    else:
        finding = _failed(mx.outcome, mx.detail)

    # The host that will be talked to decides whose limits apply; the published one only where none can be.
    primary = finding.mx_hosts[0].host if finding.mx_hosts else finding.published
    provider, site = _whose(primary, domain, providers)
    return DomainFacts(
        domain=domain,
        service=finding.service,
        mx_hosts=finding.mx_hosts,
        mx_record=finding.published,
        provider=provider,
        site=site,
        lane=lane_of(site, providers),
        is_disposable=is_disposable(domain) or (primary is not None and is_disposable_host(primary)),
        is_free=providers.is_free(domain),
        looked_up_at=now,
        expires_at=now + finding.fresh_for,
        detail=finding.detail[:MAX_DETAIL_LENGTH],
    )


def _from_mx_records(mx: MxAnswer, hosts: Mapping[str, AddressAnswer], allowed: Sequence[IPNetwork]) -> _Finding:
    in_order = _in_order(mx)
    if not in_order:
        return _Finding(MailService.NULL_MX, detail="null MX: the domain says that it takes no mail (RFC 7505)")
    published = in_order[0][1]
    usable: list[MxHost] = []
    ttls = [mx.ttl_seconds]
    complaints: list[str] = []
    failures: list[AddressAnswer] = []
    for preference, host in in_order:
        answer = hosts.get(host)
        if answer is None:
            complaints.append(f"{host} cannot be a mail host")
            continue
        dialable = _dialable(answer, allowed)
        if dialable:
            ttls.append(answer.ttl_seconds)
            if all(host != other.host for other in usable):
                usable.append(MxHost(preference, host, dialable))
        elif answer.outcome.is_temporary:
            failures.append(answer)
            complaints.append(f"{host}: {answer.detail or answer.outcome}")
        else:
            complaints.append(_why_not(host, answer))
    detail = "; ".join(complaints)
    if usable:
        # Where a host could not be looked up, what is missing is asked for soon.
        fresh_for = SHORTEST_FRESH if failures else _bounded(min(ttls))
        return _Finding(MailService.MX, tuple(usable), published, fresh_for, detail)
    if failures:
        return _failed(failures[0].outcome, detail, published)
    return _Finding(MailService.UNROUTABLE, published=published, detail=detail)


def _from_own_addresses(domain: str, mx: MxAnswer, answer: AddressAnswer, allowed: Sequence[IPNetwork]) -> _Finding:
    """Without MX the domain itself is its mail host, if it has an address: RFC 5321 section 5.1."""
    dialable = _dialable(answer, allowed)
    if dialable:
        ttl = min(answer.ttl_seconds, mx.ttl_seconds) if mx.ttl_seconds else answer.ttl_seconds
        host = MxHost(0, domain, dialable)
        return _Finding(
            MailService.IMPLICIT_MX, (host,), fresh_for=_bounded(ttl), detail="no MX; the domain's own address"
        )
    if answer.outcome is Outcome.RECORDS:
        return _Finding(MailService.UNROUTABLE, detail=f"no MX; {_why_not(domain, answer)}")
    if answer.outcome.is_temporary:
        return _failed(answer.outcome, answer.detail)
    return _Finding(MailService.NO_MAIL_SERVICE, detail="the domain has neither MX nor address records")


def _failed(outcome: Outcome, detail: str, published: str | None = None) -> _Finding:
    service = MailService.DNS_TIMEOUT if outcome is Outcome.TIMEOUT else MailService.DNS_SERVER_FAILURE
    return _Finding(service, published=published, fresh_for=TEMPORARY_FRESH, detail=detail)


def _in_order(mx: MxAnswer) -> list[tuple[int, str]]:
    """MX records to consider. A null MX beside real ones is ignored; equal preferences are ordered by name, so that the
    site of a domain is the same at every look-up."""
    return sorted(record for record in mx.records if record[1])[:MAX_MX_HOSTS]


def _dialable(answer: AddressAnswer, allowed: Sequence[IPNetwork]) -> tuple[str, ...]:
    addresses = dict.fromkeys(address for address in answer.addresses if is_dialable(address, allowed))
    return tuple(addresses)[:MAX_HOST_ADDRESSES]


def _why_not(host: str, answer: AddressAnswer) -> str:
    match answer.outcome:
        case Outcome.RECORDS:
            return f"{host} has only addresses that are not on the public internet ({answer.addresses[0]})"
        case Outcome.NO_NAME:
            return f"{host} does not exist"
        case _:
            return f"{host} has no address"


def _bounded(ttl_seconds: int) -> timedelta:
    return min(max(timedelta(seconds=ttl_seconds), SHORTEST_FRESH), LONGEST_FRESH)


def _whose(primary: str | None, domain: str, providers: Providers) -> tuple[str, str]:
    """(provider, site) of the primary mail host."""
    if primary is None:
        return "", domain
    row = providers.of_host(primary)
    if row is not None:
        return row.name, row.name
    registrable = registrable_domain(primary) if is_host_name(primary) else ""
    return registrable, registrable or domain
