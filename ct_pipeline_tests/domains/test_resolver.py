"""What a resolver that fails, lies or says nothing comes to: temporary, told in words, and never a missing domain."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from ct_pipeline.domains.answers import Outcome
from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.domains.resolver import DnsResolver, failure_of, operating_system_endpoints
from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.vocabulary import MailService

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
QUICK_SECONDS = 0.6  # for servers that stay silent
PATIENT_SECONDS = 30.0  # for servers that answer: never decides a test

Query = dns.message.QueryMessage
Script = Callable[[Query, bool], list[bytes]]


def answer(query: Query, *records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> dns.message.Message:
    """A response to ``query`` with records such as ``MX 10 mx.test.`` at the name asked for."""
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(rcode)
    name = query.question[0].name
    for record in records:
        kind, _, data = record.partition(" ")
        response.answer.append(dns.rrset.from_text(name, 3600, "IN", kind, data))
    return response


def ordinary(query: Query) -> bytes:
    """The answer of a world in which every domain has one MX host, with one address."""
    kind = dns.rdatatype.to_text(query.question[0].rdtype)
    records = {"MX": ["MX 10 mx.host.test."], "A": ["A 127.0.0.9"]}.get(kind, [])
    return answer(query, *records).to_wire()


def rcode_script(rcode: dns.rcode.Rcode) -> Script:
    return lambda query, is_tcp: [answer(query, rcode=rcode).to_wire()]


def settings_for(*endpoints: str, seconds: float = PATIENT_SECONDS, **more: object) -> Settings:
    return load_settings(
        nameservers=",".join(endpoints), dns_timeout_seconds=seconds, allowed_networks="127.0.0.0/8", **more
    )


def look_up(settings: Settings, *domains: str) -> list[DomainFacts]:
    async def run() -> list[DomainFacts]:
        async with DomainLookup(settings, load_providers()) as lookup:
            return [await lookup.look_up(domain, NOW) for domain in domains]

    return asyncio.run(run())


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR])
def test_an_error_code_is_a_server_failure(scripted_dns, rcode: dns.rcode.Rcode) -> None:
    server = scripted_dns(rcode_script(rcode))
    [facts] = look_up(settings_for(server.endpoint), "a.test")
    assert facts.service is MailService.DNS_SERVER_FAILURE
    assert dns.rcode.to_text(rcode) in facts.detail


def test_yxdomain_is_a_server_failure(scripted_dns) -> None:
    server = scripted_dns(rcode_script(dns.rcode.YXDOMAIN))
    [facts] = look_up(settings_for(server.endpoint), "a.test")
    assert facts.service is MailService.DNS_SERVER_FAILURE


def test_silence_is_a_timeout(scripted_dns) -> None:
    server = scripted_dns(lambda query, is_tcp: [])
    [facts] = look_up(settings_for(server.endpoint, seconds=QUICK_SECONDS), "a.test")
    assert facts.service is MailService.DNS_TIMEOUT


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00",
        b"\xff" * 40,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        bytes(12),
    ],
)
def test_garbage_is_ignored_until_the_true_answer_comes(scripted_dns, nonsense: bytes) -> None:
    server = scripted_dns(lambda query, is_tcp: [nonsense, ordinary(query)])
    [facts] = look_up(settings_for(server.endpoint), "a.test")
    assert facts.service is MailService.MX


def test_garbage_alone_is_a_timeout(scripted_dns) -> None:
    server = scripted_dns(lambda query, is_tcp: [b"\xff" * 40])
    [facts] = look_up(settings_for(server.endpoint, seconds=QUICK_SECONDS), "a.test")
    assert facts.service is MailService.DNS_TIMEOUT


def test_an_answer_with_a_wrong_id_is_not_believed(scripted_dns) -> None:
    def script(query: Query, is_tcp: bool) -> list[bytes]:
        forged = answer(query, rcode=dns.rcode.NXDOMAIN)
        forged.id = query.id ^ 1
        return [forged.to_wire(), ordinary(query)]

    [facts] = look_up(settings_for(scripted_dns(script).endpoint), "a.test")
    assert facts.service is MailService.MX


def test_an_answer_to_another_question_is_not_believed(scripted_dns) -> None:
    def script(query: Query, is_tcp: bool) -> list[bytes]:
        other = dns.message.make_query("other.test.", query.question[0].rdtype)
        other.id = query.id
        return [answer(other, rcode=dns.rcode.NXDOMAIN).to_wire(), ordinary(query)]

    [facts] = look_up(settings_for(scripted_dns(script).endpoint), "a.test")
    assert facts.service is MailService.MX


def test_one_lost_datagram_is_asked_again(scripted_dns) -> None:
    seen = itertools.count()
    server = scripted_dns(lambda query, is_tcp: [] if next(seen) == 0 else [ordinary(query)])

    async def run() -> tuple[Outcome, int]:
        resolver = DnsResolver(settings_for(server.endpoint, seconds=3.0))
        return (await resolver.mx("a.test")).outcome, resolver.query_count

    assert asyncio.run(run()) == (Outcome.RECORDS, 2)


def test_truncation_is_followed_by_tcp(scripted_dns) -> None:
    def script(query: Query, is_tcp: bool) -> list[bytes]:
        if is_tcp:
            return [ordinary(query)]
        response = answer(query)
        response.flags |= dns.flags.TC
        return [response.to_wire()]

    [facts] = look_up(settings_for(scripted_dns(script).endpoint), "a.test")
    assert [mx.host for mx in facts.mx_hosts] == ["mx.host.test"]


@pytest.mark.parametrize("over_tcp", [b"\xff" * 40, b""])
def test_truncation_followed_by_garbage_is_a_server_failure(scripted_dns, over_tcp: bytes) -> None:
    def script(query: Query, is_tcp: bool) -> list[bytes]:
        response = answer(query)
        response.flags |= dns.flags.TC
        return [over_tcp] if is_tcp else [response.to_wire()]

    [facts] = look_up(settings_for(scripted_dns(script).endpoint), "a.test")
    assert facts.service is MailService.DNS_SERVER_FAILURE


def test_a_second_nameserver_helps_out(scripted_dns) -> None:
    failing = scripted_dns(rcode_script(dns.rcode.SERVFAIL))
    working = scripted_dns(lambda query, is_tcp: [ordinary(query)])
    [facts] = look_up(settings_for(failing.endpoint, working.endpoint), "a.test")
    assert facts.service is MailService.MX


def test_a_cname_loop_is_a_server_failure(scripted_dns) -> None:
    def script(query: Query, is_tcp: bool) -> list[bytes]:
        response = answer(query, "CNAME b.test.")
        response.answer.append(dns.rrset.from_text("b.test.", 60, "IN", "CNAME", "a.test."))
        return [response.to_wire()]

    [facts] = look_up(settings_for(scripted_dns(script).endpoint), "a.test")
    assert facts.service is MailService.DNS_SERVER_FAILURE


def test_a_failure_of_one_host_is_not_remembered(scripted_dns) -> None:
    address_questions = itertools.count()

    def script(query: Query, is_tcp: bool) -> list[bytes]:
        if query.question[0].rdtype == dns.rdatatype.A and next(address_questions) == 0:
            return [answer(query, rcode=dns.rcode.SERVFAIL).to_wire()]
        return [ordinary(query)]

    first, second = look_up(settings_for(scripted_dns(script).endpoint), "a.test", "b.test")
    assert first.service is MailService.DNS_SERVER_FAILURE
    assert first.mx_record == "mx.host.test"
    assert second.service is MailService.MX


class HoldingServer(asyncio.DatagramProtocol):
    """Keeps questions waiting until ``limit`` of them wait, gives more the time to come, then answers all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting: list[tuple[bytes, tuple[str, int]]] = []
        self.most_waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        assert isinstance(query, dns.message.QueryMessage)
        self.waiting.append((answer(query, rcode=dns.rcode.NXDOMAIN).to_wire(), addr))
        self.most_waiting = max(self.most_waiting, len(self.waiting))
        if len(self.waiting) == self.limit:
            asyncio.get_running_loop().call_later(0.05, self.answer_all)

    def answer_all(self) -> None:
        for wire, client in self.waiting:
            self.transport.sendto(wire, client)
        self.waiting.clear()


def test_as_many_questions_in_flight_as_allowed_and_no_more() -> None:
    async def run() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(lambda: HoldingServer(5), ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        settings = settings_for(f"127.0.0.1:{port}", dns_concurrency=5)
        async with DomainLookup(settings, load_providers()) as lookup:
            names = (f"d{n}.test" for n in range(20))
            count = len([facts async for facts in lookup.look_up_many(names, NOW)])
        transport.close()
        return count, server.most_waiting

    assert asyncio.run(run()) == (20, 5)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (dns.resolver.NXDOMAIN(), Outcome.NO_NAME),
        (dns.name.LabelTooLong(), Outcome.NO_NAME),
        (dns.name.EmptyLabel(), Outcome.NO_NAME),
        (dns.name.NameTooLong(), Outcome.NO_NAME),
        (dns.resolver.LifetimeTimeout(timeout=1.0, errors=[]), Outcome.TIMEOUT),
        (dns.exception.Timeout(), Outcome.TIMEOUT),
        (dns.resolver.NoNameservers(), Outcome.SERVER_FAILURE),
        (dns.resolver.YXDOMAIN(), Outcome.SERVER_FAILURE),
        (dns.exception.FormError("bad"), Outcome.SERVER_FAILURE),
        (OSError(101, "Network is unreachable"), Outcome.SERVER_FAILURE),
        (RuntimeError("surprise"), Outcome.SERVER_FAILURE),
    ],
)
def test_every_exception_has_a_meaning_and_words(error: Exception, outcome: Outcome) -> None:
    failure = failure_of(error)
    assert failure.outcome is outcome
    assert failure.detail


def test_the_operating_systems_resolvers_are_asked_where_none_is_set(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert operating_system_endpoints(str(resolv_conf)) == (("192.0.2.53", 53), ("2001:db8::53", 53))


@pytest.mark.parametrize("content", [None, "search example.test\n"])
def test_without_any_resolver_the_setting_is_named(tmp_path: Path, content: str | None) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    if content is not None:
        resolv_conf.write_text(content)
    with pytest.raises(SettingsError, match="CT_NAMESERVERS"):
        operating_system_endpoints(str(resolv_conf))
