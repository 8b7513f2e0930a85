"""Which sites a lane's due addresses belong to, and within which limits they are asked. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from random import Random

from ct_pipeline.addresses.operator_lists import NO_LISTS, OperatorLists
from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.domains.providers import Probing, Provider, Providers, RandomProbe
from ct_pipeline.settings import Settings
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.probe import CatchAllFact, DueAddress
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.site_plan import SiteLimits, SitePlan

# What made a host distrust us today it has mostly forgotten tomorrow; a new catch-all is still one. A little less than
# the time after which such addresses are due again.
DOUBT_CONFIRMED_AFTER = timedelta(hours=20)

MAX_HOST_ADDRESSES = 8  # of one mail host, put together from several look-ups

# The names of the mail hosts, those of equal preference together, in order of preference.
_HostNames = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits toward a site where its provider's row says nothing, and whether rows that forbid probing are obeyed."""

    site: SiteLimits
    probe_forbidden: bool
    asks_once: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        site = SiteLimits(
            connections=settings.site_connections,
            session_addresses=settings.session_addresses,
            window=settings.pipelining_window,
            connections_per_minute=settings.site_connections_per_minute,
            addresses_per_second=settings.site_addresses_per_second,
        )
        return cls(site, settings.probe_forbidden, settings.verify_mode.asks_once)


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What to ask, by site. ``not_asked``: a provider's row says so, or the domain is known to accept every name.
    ``listed``: the operator's lists decide.
    """

    sites: list[SitePlan]
    not_asked: list[DueAddress]
    listed: list[DueAddress] = field(default_factory=list)


def plan_lane(
    lane: str,
    due: Iterable[DueAddress],
    facts: Mapping[str, DomainFacts],
    catch_all: Mapping[str, CatchAllFact],
    providers: Providers,
    limits: Limits,
    now: datetime,
    lists: OperatorLists = NO_LISTS,
) -> LanePlan:
    """Group ``due`` by site and by the mail hosts they share. Addresses of domains without facts are left out."""
    by_domain: dict[str, list[DueAddress]] = defaultdict(list)
    listed: list[DueAddress] = []
    for address in due:
        if lists.listing_of(address.address) is None:
            by_domain[address.domain].append(address)
        else:
            listed.append(address)
    groups: dict[str, dict[_HostNames, _Gathering]] = defaultdict(lambda: defaultdict(_Gathering))
    site_provider: dict[str, str] = {}
    not_asked: list[DueAddress] = []
    for domain, addresses in by_domain.items():
        known = facts.get(domain)
        if known is None or not known.service.takes_mail:
            continue
        provider = providers.named(known.provider)
        fact = catch_all.get(domain)
        if not is_asked(provider, limits.probe_forbidden) or (fact is not None and fact.is_catch_all):
            not_asked += addresses
            continue
        site_provider[known.site] = known.provider
        group = groups[known.site][_host_names(known.mx_hosts)]
        group.facts.append(known)
        group.domains.append(_questions(domain, addresses, fact, provider, now, limits))
    sites = [
        _site_plan(site, lane, site_provider[site], by_hosts, providers, limits) for site, by_hosts in groups.items()
    ]
    return LanePlan(sites, not_asked, listed)


def is_asked(provider: Provider | None, probe_forbidden: bool) -> bool:
    """Whether addresses of ``provider`` are probed: not where its rules forbid it, nor where answers say nothing."""
    if provider is None:
        return True
    return not provider.hides_answer and (probe_forbidden or provider.probing is not Probing.FORBIDDEN)


@dataclass(slots=True)
class _Gathering:
    """Domains that name the same mail hosts in the same order, and what each of their look-ups found."""

    domains: list[DomainQuestions] = field(default_factory=list)
    facts: list[DomainFacts] = field(default_factory=list)


def _host_names(mx_hosts: tuple[MxHost, ...]) -> _HostNames:
    if len(mx_hosts) == 1:
        return ((mx_hosts[0].host,),)
    # Preferences and addresses differ between domains of one hoster, and between look-ups of one large provider.
    in_order = sorted(mx_hosts, key=lambda mx: (mx.preference, mx.host))
    return tuple(tuple(mx.host for mx in equal) for _, equal in groupby(in_order, key=lambda mx: mx.preference))


def _mx_hosts(names: _HostNames, facts: list[DomainFacts]) -> tuple[MxHost, ...]:
    """The hosts with the addresses of all look-ups, the newest first; IPv4 before IPv6, as the look-up has it."""
    addresses: dict[str, dict[str, None]] = defaultdict(dict)
    for known in sorted(facts, key=lambda known: known.looked_up_at, reverse=True):
        for mx in known.mx_hosts:
            if len(addresses[mx.host]) < MAX_HOST_ADDRESSES:
                addresses[mx.host] |= dict.fromkeys(mx.addresses)
    return tuple(
        MxHost(rank, host, tuple(sorted(addresses[host], key=_is_ipv6)[:MAX_HOST_ADDRESSES]))
        for rank, equal in enumerate(names)
        for host in equal
    )


def _is_ipv6(address: str) -> bool:
    return ":" in address


def _questions(
    domain: str,
    addresses: list[DueAddress],
    fact: CatchAllFact | None,
    provider: Provider | None,
    now: datetime,
    limits: Limits,
) -> DomainQuestions:
    random_probe = provider.random_probe if provider else RandomProbe.SAME_SESSION
    addresses = _mixed(domain, addresses)
    if fact is None:
        return DomainQuestions(domain, addresses, random_probe=random_probe, has_time=not limits.asks_once)
    return DomainQuestions(
        domain,
        addresses,
        is_catch_all=fact.is_catch_all,
        tells_apart=fact.tells_apart,
        doubted_at=fact.doubted_at,
        may_confirm_doubt=fact.doubted_at is not None and now - fact.doubted_at >= DOUBT_CONFIRMED_AFTER,
        random_probe=random_probe,
        has_time=not limits.asks_once,
    )


def _mixed(domain: str, addresses: list[DueAddress]) -> list[DueAddress]:
    """In another order at each visit: a domain that is left after a few vague refusals is asked for others next time.

    By the alphabet, role addresses would come first, which are dead or filtered more often than people.
    """
    if len(addresses) == 1:
        return addresses
    visit = sum(due.attempt_count for due in addresses)
    return Random(f"{domain} {visit}").sample(addresses, len(addresses))  # noqa: S311 - no secret


def site_limits(provider: Provider | None, default: SiteLimits) -> SiteLimits:
    """The limits of a provider's row, with those of any small site where it says nothing."""
    if provider is None:
        return default
    return SiteLimits(
        connections=provider.connections or default.connections,
        session_addresses=provider.session_addresses or default.session_addresses,
        window=min(provider.window or default.window, default.window),
        connections_per_minute=provider.connections_per_minute or default.connections_per_minute,
        addresses_per_second=provider.addresses_per_second or default.addresses_per_second,
    )


def _site_plan(
    site: str,
    lane: str,
    provider_name: str,
    by_hosts: Mapping[_HostNames, _Gathering],
    providers: Providers,
    limits: Limits,
) -> SitePlan:
    groups = (HostGroup(_mx_hosts(names, gathered.facts), gathered.domains) for names, gathered in by_hosts.items())
    return SitePlan(
        site,
        lane,
        provider_name,
        site_limits(providers.named(provider_name), limits.site),
        groups=tuple(groups),
        asks_once=limits.asks_once,
    )
