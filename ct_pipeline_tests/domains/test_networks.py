"""Which addresses may be connected to. Each row is one way into an inner network, or a public host."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.domains.networks import is_dialable


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700::1",
        "2a00:1450:4001::1a",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_public(address: str) -> None:
    assert is_dialable(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.77.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1%eth0",
        "fec0::1",
        "ff02::1",
        "",
        "mx.example.com",
        "127.1",
        "0177.0.0.1",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_dialable(address, ())


def test_allowed_networks_open_what_they_name_and_nothing_else() -> None:
    allowed = (ipaddress.ip_network("127.77.0.0/16"), ipaddress.ip_network("fd00::/8"))
    assert is_dialable("127.77.3.4", allowed)
    assert is_dialable("::ffff:127.77.3.4", allowed)
    assert is_dialable("fd00::25", allowed)
    assert is_dialable("8.8.8.8", allowed)
    assert not is_dialable("127.0.0.1", allowed)
    assert not is_dialable("::1", allowed)


@given(st.ip_addresses())
def test_never_wider_than_pythons_own_idea_of_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if is_dialable(str(address), ()) and not (address.version == 6 and address.ipv4_mapped):
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_loopback
