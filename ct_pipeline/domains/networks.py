"""Which addresses may be connected to: whoever controls a domain's DNS must not point us at an inner network.

Written out rather than left to ``ipaddress.is_global``, whose answers differ between Python versions
(``192.0.0.0/24``, ``::ffff:0:0/96``) and which calls multicast, 6to4 and NAT64 addresses global.
Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, read 2026-11; RFC numbers beside the rows.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

NOT_PUBLIC_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host: RFC 791
        "10.0.0.0/8",  # private: RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT: RFC 6598
        "127.0.0.0/8",  # loopback: RFC 1122
        "169.254.0.0/16",  # link local, cloud metadata services: RFC 3927
        "172.16.0.0/12",  # private: RFC 1918
        "192.0.0.0/24",  # protocol assignments: RFC 6890
        "192.0.2.0/24",  # documentation: RFC 5737
        "192.88.99.0/24",  # 6to4 relays, withdrawn: RFC 7526
        "192.168.0.0/16",  # private: RFC 1918
        "198.18.0.0/15",  # benchmarks: RFC 2544
        "198.51.100.0/24",  # documentation: RFC 5737
        "203.0.113.0/24",  # documentation: RFC 5737
        "224.0.0.0/4",  # multicast: RFC 5771
        "240.0.0.0/4",  # reserved, and the broadcast address: RFC 1112, RFC 919
    )
)
PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")  # the only global unicast space given out: RFC 4291
NOT_PUBLIC_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, among them Teredo, which carries IPv4 inside: RFC 2928, RFC 4380
        "2001:db8::/32",  # documentation: RFC 3849
        "2002::/16",  # 6to4, which carries IPv4 inside: RFC 7526
        "3fff::/20",  # documentation: RFC 9637
    )
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # what a DNS64 resolver makes of an A record: RFC 6052


def is_dialable(address: str, allowed: Sequence[IPNetwork]) -> bool:
    """Whether ``address`` is globally routable or within ``allowed``; False for what is no address at all.

    An IPv6 address that only wraps an IPv4 address (IPv4-mapped, NAT64) is judged by the IPv4 address inside.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in network for network in allowed if network.version == parsed.version):
        return True
    inner = _ipv4_inside(parsed)
    if inner is not None:
        return is_dialable(str(inner), allowed)
    return _is_public(parsed)


def _ipv4_inside(address: IPAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


@lru_cache(maxsize=50_000)
def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_IPV4)
    if address.scope_id is not None or address not in PUBLIC_IPV6:
        return False
    return not any(address in network for network in NOT_PUBLIC_IPV6)
