"""What the sandbox's DNS says, as dnspython reads it."""

import socket

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.behaviours import DomainDns
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import MailDomain, MailHost

DOMAINS = [
    MailDomain("acme.test", mail_hosts=("mx1.acme.test", "mx2.acme.test")),
    MailDomain("bare.test", DomainDns.IMPLICIT_MX),
    MailDomain("alias.test", DomainDns.ALIAS, ("acme.test",)),
    MailDomain("null.test", DomainDns.NULL_MX),
    MailDomain("web.test", DomainDns.NO_MAIL_SERVICE),
    MailDomain("gone.test", DomainDns.NXDOMAIN),
    MailDomain("broken.test", DomainDns.SERVFAIL),
    MailDomain("mute.test", DomainDns.SILENT),
    MailDomain("inner.test", mail_hosts=("mail.inner.test",)),
]
MANY = [f"MX {number} a-rather-long-name-of-a-mail-host-{number}.crowded.test." for number in range(60)]


@pytest.fixture
def sandbox():
    hosts = [MailHost("mail.inner.test", "dead", address="10.0.0.1")]
    world = Sandbox(hosts=hosts, domains=DOMAINS, records={"crowded.test": MANY}, smtp_port=0, dns_port=0)
    with world.run_in_thread() as running:
        yield running


def texts(response: dns.message.Message) -> list[str]:
    return sorted(str(record) for rrset in response.answer for record in rrset)


def test_mx_hosts_come_in_order_of_preference_and_resolve(sandbox, ask_dns):
    assert texts(ask_dns(sandbox, "acme.test", "MX")) == ["10 mx1.acme.test.", "20 mx2.acme.test."]
    assert texts(ask_dns(sandbox, "mx2.acme.test", "A")) == [sandbox.host_address("mx2.acme.test")]


def test_names_are_compared_without_case(sandbox, ask_dns):
    assert len(texts(ask_dns(sandbox, "AcMe.TEST", "MX"))) == 2


def test_implicit_mx_has_an_address_and_no_mx(sandbox, ask_dns):
    response = ask_dns(sandbox, "bare.test", "MX")
    assert (response.rcode(), texts(response)) == (dns.rcode.NOERROR, [])
    assert response.authority[0].rdtype == dns.rdatatype.SOA
    assert texts(ask_dns(sandbox, "bare.test", "A")) == [sandbox.host_address("bare.test")]


def test_an_alias_is_followed(sandbox, ask_dns):
    assert texts(ask_dns(sandbox, "alias.test", "MX")) == ["10 mx1.acme.test.", "20 mx2.acme.test.", "acme.test."]


def test_null_mx(sandbox, ask_dns):
    assert texts(ask_dns(sandbox, "null.test", "MX")) == ["0 ."]


def test_a_web_site_without_mail_exists_and_has_neither_mx_nor_address(sandbox, ask_dns):
    for rdtype in ("MX", "A", "AAAA"):
        response = ask_dns(sandbox, "web.test", rdtype)
        assert (response.rcode(), texts(response)) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize("name", ["gone.test", "never.mentioned.example"])
def test_unknown_names_do_not_exist(sandbox, ask_dns, name):
    assert ask_dns(sandbox, name, "MX").rcode() == dns.rcode.NXDOMAIN


def test_a_name_above_a_known_one_exists(sandbox, ask_dns):
    """RFC 8020: NXDOMAIN would deny everything below."""
    assert ask_dns(sandbox, "test", "A").rcode() == dns.rcode.NOERROR


def test_broken_name_servers(sandbox, ask_dns):
    assert ask_dns(sandbox, "broken.test", "MX").rcode() == dns.rcode.SERVFAIL


def test_silent_name_servers(sandbox):
    address, _, port = sandbox.nameserver.partition(":")
    with pytest.raises(dns.exception.Timeout):
        dns.query.udp(dns.message.make_query("mute.test", "MX"), address, timeout=0.3, port=int(port))


def test_unroutable_mail_host(sandbox, ask_dns):
    assert texts(ask_dns(sandbox, "mail.inner.test", "A")) == ["10.0.0.1"]


def test_every_mail_host_has_a_forward_confirmed_name(sandbox, ask_dns):
    reverse = ".".join(reversed(sandbox.host_address("mx1.acme.test").split("."))) + ".in-addr.arpa"
    assert texts(ask_dns(sandbox, reverse, "PTR")) == ["mx1.acme.test."]


def test_the_prober_is_a_decent_sender(sandbox, ask_dns):
    """HELO name and address confirm each other, and the domain of MAIL FROM takes mail."""
    assert texts(ask_dns(sandbox, "prober.ct-sandbox.test", "A")) == ["127.0.0.1"]
    assert texts(ask_dns(sandbox, "1.0.0.127.in-addr.arpa", "PTR")) == ["prober.ct-sandbox.test."]
    assert texts(ask_dns(sandbox, "ct-sandbox.test", "MX")) == ["10 mx.ct-sandbox.test."]
    assert texts(ask_dns(sandbox, "mx.ct-sandbox.test", "A")) == [sandbox.host_address("mx.ct-sandbox.test")]


@pytest.mark.parametrize("edns", [True, False])
def test_an_answer_too_large_for_udp_is_truncated_and_whole_over_tcp(sandbox, ask_dns, edns):
    assert ask_dns(sandbox, "crowded.test", "MX", edns=edns).flags & dns.flags.TC
    assert len(texts(ask_dns(sandbox, "crowded.test", "MX", tcp=True))) == len(MANY)


def test_garbage_is_ignored_and_the_server_lives_on(sandbox, ask_dns):
    address, _, port = sandbox.nameserver.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as garbage:
        garbage.sendto(b"\x00\xff\x17", (address, int(port)))
    assert len(texts(ask_dns(sandbox, "acme.test", "MX"))) == 2


def test_a_taken_port_names_the_flag(sandbox):
    port = int(sandbox.nameserver.partition(":")[2])
    with (
        pytest.raises(SettingsError, match=rf"--dns 127\.77\.0\.1:{port}: .*Choose another port"),
        Sandbox(domains=DOMAINS, smtp_port=0, dns_port=port).run_in_thread(),
    ):
        pass
