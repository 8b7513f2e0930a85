"""Which sites a lane's due addresses belong to, and within which limits they are asked. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.domains.providers import Probing, Provider, Providers, RandomProbe
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.probe import CatchAllFact, DueAddress
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.site_run import SitePlan


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits toward a site that no provider row describes."""

    site_connections: int
    session_addresses: int
    probe_forbidden: bool


@dataclass(frozen=True, slots=True)
class LanePlan:
    """What to ask, by site. ``not_asked``: a provider's row says so, or the domain is known to accept every name."""

    sites: list[SitePlan]
    not_asked: list[DueAddress]


def plan_lane(
    lane: str,
    due: Iterable[DueAddress],
    facts: Mapping[str, DomainFacts],
    catch_all: Mapping[str, CatchAllFact],
    providers: Providers,
    limits: Limits,
) -> LanePlan:
    """Group ``due`` by site and by the mail hosts they share. Addresses of domains without facts are left out."""
    by_domain: dict[str, list[DueAddress]] = defaultdict(list)
    for address in due:
        by_domain[address.domain].append(address)
    groups: dict[str, dict[tuple[MxHost, ...], list[DomainQuestions]]] = defaultdict(lambda: defaultdict(list))
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
        groups[known.site][known.mx_hosts].append(_questions(domain, addresses, fact, provider))
    sites = [
        _site_plan(site, lane, site_provider[site], by_hosts, providers, limits) for site, by_hosts in groups.items()
    ]
    return LanePlan(sites, not_asked)


def is_asked(provider: Provider | None, probe_forbidden: bool) -> bool:
    """Whether addresses of ``provider`` are probed: not where its rules forbid it, nor where answers say nothing."""
    if provider is None:
        return True
    return not provider.hides_answer and (probe_forbidden or provider.probing is not Probing.FORBIDDEN)


def _questions(
    domain: str, addresses: list[DueAddress], fact: CatchAllFact | None, provider: Provider | None
) -> DomainQuestions:
    return DomainQuestions(
        domain,
        addresses,
        is_catch_all=fact.is_catch_all if fact else None,
        tells_apart=fact.tells_apart if fact else None,
        random_probe=provider.random_probe if provider else RandomProbe.SAME_SESSION,
    )


def _site_plan(
    site: str,
    lane: str,
    provider_name: str,
    by_hosts: Mapping[tuple[MxHost, ...], list[DomainQuestions]],
    providers: Providers,
    limits: Limits,
) -> SitePlan:
    provider = providers.named(provider_name)
    return SitePlan(
        site=site,
        lane=lane,
        provider=provider_name,
        connections=(provider.connections if provider else 0) or limits.site_connections,
        session_addresses=(provider.session_addresses if provider else 0) or limits.session_addresses,
        groups=tuple(HostGroup(hosts, domains) for hosts, domains in by_hosts.items()),
    )
