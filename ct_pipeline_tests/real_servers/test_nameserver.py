"""The zone leads to each real mail server."""

import dns.message
import dns.query
import dns.rcode
import pytest

from ct_pipeline_tests.real_servers.real_server import RealServer


def test_the_mx_of_each_server_resolves_to_it(nameserver: str, mail_server: RealServer) -> None:
    assert answers(nameserver, mail_server.domain, "MX") == [f"10 {mail_server.host}."]
    assert answers(nameserver, mail_server.host, "A") == [mail_server.address]


@pytest.mark.parametrize(("domain", "expected"), [("null-mx.test", ["0 ."]), ("no-mail.test", [])])
def test_domains_without_mail(nameserver: str, domain: str, expected: list[str]) -> None:
    assert answers(nameserver, domain, "MX") == expected


def test_a_domain_that_does_not_exist(nameserver: str) -> None:
    assert query(nameserver, "absent.test", "MX").rcode() == dns.rcode.NXDOMAIN


def answers(nameserver: str, name: str, kind: str) -> list[str]:
    return [str(record) for rrset in query(nameserver, name, kind).answer for record in rrset]


def query(nameserver: str, name: str, kind: str) -> dns.message.Message:
    address, port = nameserver.rsplit(":", 1)
    return dns.query.udp(dns.message.make_query(name, kind), address, timeout=10, port=int(port))
