"""The DNS records of a sandbox internet, from its hosts and domains (pure)."""

import ipaddress
from collections.abc import Iterable, Sequence

from ct_pipeline.sandbox.behaviours import DomainDns
from ct_pipeline.sandbox.population import MailDomain, MailHost

Zone = dict[str, list[str]]
"""Name without the last dot -> records as in ``"MX 10 mx.acme.test."``, or one of the two words below."""

SERVFAIL = "SERVFAIL"  # every question about the name ends in SERVFAIL
SILENT = "SILENT"  # no question about the name is ever answered

PROBER_ADDRESS = "127.0.0.1"  # what Linux uses as source towards any 127.0.0.0/8 address
HELO_NAME = "prober.ct-sandbox.test"
MAIL_FROM = "probe@ct-sandbox.test"
PROBER_DOMAIN = MailDomain("ct-sandbox.test", mail_hosts=("mx.ct-sandbox.test",), note="the prober's own domain")
PROBER_HOST = MailHost("mx.ct-sandbox.test", address="127.77.0.3", note="takes the prober's own mail")


def zone_of(hosts: Sequence[MailHost], domains: Iterable[MailDomain]) -> Zone:
    """All records; the prober's forward and reverse names are among them. Every host has an address."""
    zone: Zone = {HELO_NAME: [f"A {PROBER_ADDRESS}"], _reverse(PROBER_ADDRESS): [f"PTR {HELO_NAME}."]}
    for host in hosts:
        zone.setdefault(host.host, []).append(f"A {host.address}")
        # the first name of a machine is its own name; a real PTR has one name too
        zone.setdefault(_reverse(host.address), [f"PTR {host.host}."])
    for domain in domains:
        zone.setdefault(domain.domain, []).extend(_domain_records(domain))
    return {name: records for name, records in zone.items() if records}


def _domain_records(domain: MailDomain) -> list[str]:
    match domain.dns:
        case DomainDns.MX:
            spf = ['TXT "v=spf1 ip4:127.0.0.0/8 -all"'] if domain == PROBER_DOMAIN else []
            return [f"MX {10 * place} {host}." for place, host in enumerate(domain.hosts, start=1)] + spf
        case DomainDns.ALIAS:
            return [f"CNAME {domain.mail_hosts[0]}."]
        case DomainDns.NULL_MX:
            return ["MX 0 .", "A 127.77.0.9"]
        case DomainDns.NO_MAIL_SERVICE:
            return ['TXT "this name has neither mail hosts nor addresses"']
        case DomainDns.SERVFAIL:
            return [SERVFAIL]
        case DomainDns.SILENT:
            return [SILENT]
        case DomainDns.IMPLICIT_MX | DomainDns.NXDOMAIN:
            return []  # the A record comes from the host of the same name; an unknown name has no record at all


def _reverse(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer
