"""Domain look-ups against NSD, a real authoritative server: every way a domain can, or cannot, take mail."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.vocabulary import MailService

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHARED_COUNT = 50
MX_COUNT = 200

RECORDS = """
mx1 A 127.0.0.11
mx1 AAAA 2606:4700::11
mx2 A 127.0.0.12
mx6 AAAA 2606:4700::6
mxalias CNAME mx1
inner A 10.0.0.5
empty-host TXT "no address here"

ordered MX 20 mx2
ordered MX 10 mx1
shortlived 60 MX 10 mx1
longlived 2000000 MX 10 longhost
longhost 2000000 A 127.0.0.13
nullmx MX 0 .
nullmx A 127.0.0.14
both MX 0 .
both MX 5 mx1
a-only A 127.0.0.15
aaaa-only AAAA 2606:4700::15
a-inner A 192.168.1.1
nodata TXT "nothing else"
alias CNAME ordered
dangling CNAME nowhere
mx-to-cname MX 10 mxalias
no-address MX 10 empty-host
no-address MX 20 does-not-exist
private MX 10 inner
private-first MX 10 inner
private-first MX 20 mx2
ipv6-host MX 10 mx6
literal MX 10 127.0.0.1.
local MX 10 localhost.
escaped MX 10 a\\010b\\;.test.
big A 127.0.0.16
""" + "".join(f"many MX {n} many{n:03}\nmany{n:03} A 127.0.1.{n}\n" for n in range(MX_COUNT))
RECORDS += "".join(f"shared{n:02} MX 10 mx1\n" for n in range(SHARED_COUNT))


@pytest.fixture(scope="module")
def nameserver(start_nsd: Callable[[str], str]) -> str:
    return start_nsd(RECORDS)


def settings_for(nameserver: str, **more: object) -> Settings:
    return load_settings(nameservers=nameserver, allowed_networks="127.0.0.0/8", **more)


def look_up(nameserver: str, domain: str, **more: object) -> DomainFacts:
    return look_up_all(nameserver, [domain], **more)[0][domain]


def look_up_all(nameserver: str, domains: Iterable[str], **more: object) -> tuple[dict[str, DomainFacts], int]:
    """Facts by domain, and the number of queries."""

    async def run() -> tuple[dict[str, DomainFacts], int]:
        async with DomainLookup(settings_for(nameserver, **more), load_providers()) as lookup:
            found = {facts.domain: facts async for facts in lookup.look_up_many(domains, NOW)}
            return found, lookup.query_count

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("domain", "service", "hosts"),
    [
        ("ordered.test", MailService.MX, ["mx1.test", "mx2.test"]),
        ("alias.test", MailService.MX, ["mx1.test", "mx2.test"]),
        ("mx-to-cname.test", MailService.MX, ["mxalias.test"]),
        ("both.test", MailService.MX, ["mx1.test"]),
        ("private-first.test", MailService.MX, ["mx2.test"]),
        ("ipv6-host.test", MailService.MX, ["mx6.test"]),
        ("a-only.test", MailService.IMPLICIT_MX, ["a-only.test"]),
        ("aaaa-only.test", MailService.IMPLICIT_MX, ["aaaa-only.test"]),
        ("nullmx.test", MailService.NULL_MX, []),
        ("does-not-exist.test", MailService.DOMAIN_NOT_FOUND, []),
        ("dangling.test", MailService.DOMAIN_NOT_FOUND, []),
        ("nodata.test", MailService.NO_MAIL_SERVICE, []),
        ("no-address.test", MailService.UNROUTABLE, []),
        ("private.test", MailService.UNROUTABLE, []),
        ("a-inner.test", MailService.UNROUTABLE, []),
        ("literal.test", MailService.UNROUTABLE, []),
        ("local.test", MailService.UNROUTABLE, []),
        ("escaped.test", MailService.UNROUTABLE, []),
        ("not-our-zone.example", MailService.DNS_SERVER_FAILURE, []),
    ],
)
def test_service(nameserver: str, domain: str, service: MailService, hosts: list[str]) -> None:
    facts = look_up(nameserver, domain)
    assert facts.service is service, facts.detail
    assert [mx.host for mx in facts.mx_hosts] == hosts


def test_addresses_come_with_the_hosts_ipv4_first(nameserver: str) -> None:
    facts = look_up(nameserver, "ordered.test")
    assert facts.mx_hosts == (
        MxHost(10, "mx1.test", ("127.0.0.11", "2606:4700::11")),
        MxHost(20, "mx2.test", ("127.0.0.12",)),
    )
    assert facts.mx_record == "mx1.test"
    assert (facts.provider, facts.site) == ("mx1.test", "mx1.test")


def test_mx_to_cname_has_the_addresses_of_its_target(nameserver: str) -> None:
    assert look_up(nameserver, "mx-to-cname.test").mx_hosts[0].addresses == ("127.0.0.11", "2606:4700::11")


def test_undialable_primary_stays_visible_but_does_not_decide_the_site(nameserver: str) -> None:
    facts = look_up(nameserver, "private-first.test")
    assert facts.mx_record == "inner.test"
    assert facts.site == "mx2.test"
    assert "10.0.0.5" in facts.detail


def test_private_network_is_dialled_where_the_operator_allows_it(nameserver: str) -> None:
    async def run() -> DomainFacts:
        settings = load_settings(nameservers=nameserver, allowed_networks="10.0.0.0/24")
        async with DomainLookup(settings, load_providers()) as lookup:
            return await lookup.look_up("private.test", NOW)

    facts = asyncio.run(run())
    assert facts.service is MailService.MX
    assert facts.mx_hosts[0].addresses == ("10.0.0.5",)


def test_hundreds_of_mx_hosts_arrive_over_tcp_and_are_bounded(nameserver: str) -> None:
    found, query_count = look_up_all(nameserver, ["many.test"])
    facts = found["many.test"]
    assert [mx.host for mx in facts.mx_hosts] == [f"many{n:03}.test" for n in range(20)]
    assert query_count == 1 + 1 + 20 * 2  # truncated over UDP, whole over TCP, A and AAAA of each host asked for


@pytest.mark.parametrize(
    ("domain", "fresh_for"),
    [
        ("ordered.test", timedelta(seconds=7200)),
        ("shortlived.test", timedelta(hours=1)),
        ("longlived.test", timedelta(days=7)),
        ("nullmx.test", timedelta(hours=24)),
        ("does-not-exist.test", timedelta(hours=24)),
        ("not-our-zone.example", timedelta(minutes=15)),
    ],
)
def test_expiry(nameserver: str, domain: str, fresh_for: timedelta) -> None:
    facts = look_up(nameserver, domain)
    assert facts.looked_up_at == NOW
    assert facts.expires_at - NOW == fresh_for


def test_failure_says_what_the_nameserver_said(nameserver: str) -> None:
    assert "REFUSED" in look_up(nameserver, "not-our-zone.example").detail


@pytest.mark.parametrize("domain", ["x" * 64 + ".test", "a..test", ".".join(["x" * 60] * 5), "ü.test"])
def test_a_name_that_dns_cannot_hold_does_not_exist(nameserver: str, domain: str) -> None:
    found, query_count = look_up_all(nameserver, [domain])
    assert found[domain].service is MailService.DOMAIN_NOT_FOUND
    assert query_count == 0


def test_a_shared_host_is_asked_for_once(nameserver: str) -> None:
    domains = [f"shared{n:02}.test" for n in range(SHARED_COUNT)]
    found, query_count = look_up_all(nameserver, domains)
    assert {facts.service for facts in found.values()} == {MailService.MX}
    assert len(found) == SHARED_COUNT
    assert query_count == SHARED_COUNT + 2


def test_each_domain_is_told_what_its_look_up_sent(nameserver: str) -> None:
    domains = [f"shared{n:02}.test" for n in range(SHARED_COUNT)]
    found, query_count = look_up_all(nameserver, [*domains, "many.test", "a-only.test"])
    assert found["many.test"].query_count == 1 + 1 + 20 * 2
    assert found["many.test"].mx_query_count == 2  # truncated over UDP, whole over TCP
    assert (found["a-only.test"].query_count, found["a-only.test"].mx_query_count) == (3, 1)
    shared = [found[domain] for domain in domains]
    assert sorted(facts.query_count for facts in shared) == [1] * (SHARED_COUNT - 1) + [3]  # the first asks for mx1
    assert {facts.mx_query_count for facts in shared} == {1}
    assert sum(facts.query_count for facts in found.values()) == query_count


def test_one_bad_name_never_stops_the_rest(nameserver: str) -> None:
    good = [f"shared{n:02}.test" for n in range(SHARED_COUNT)]
    bad = ["not-our-zone.example", "y" * 70 + ".test", "dangling.test", ""]
    found, _ = look_up_all(nameserver, bad + good + ["literal.test"], dns_concurrency=3)
    assert set(found) == {*good, *bad, "literal.test"}
    assert all(found[domain].service is MailService.MX for domain in good)


def test_fault_of_the_reader_of_names_is_raised(nameserver: str) -> None:
    def names() -> Iterator[str]:
        yield "ordered.test"
        raise RuntimeError("the list broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        look_up_all(nameserver, names())


def test_names_are_read_only_as_places_become_free(nameserver: str) -> None:
    taken: list[str] = []

    def names() -> Iterator[str]:
        for n in range(10_000):
            taken.append(f"gone{n}.test")
            yield taken[-1]

    async def run() -> set[asyncio.Task]:
        settings = settings_for(nameserver, dns_concurrency=4)
        async with (
            DomainLookup(settings, load_providers()) as lookup,
            aclosing(lookup.look_up_many(names(), NOW)) as found,
        ):
            await anext(found)
        return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(run()) == set()  # leaving the loop early leaves nothing behind
    assert len(taken) < 100


def test_leaving_early_ends_also_where_a_cancellation_is_lost(nameserver: str) -> None:
    """As it is in Python 3.11 when it comes together with an answer."""

    async def run() -> set[asyncio.Task]:
        async with DomainLookup(settings_for(nameserver, dns_concurrency=4), load_providers()) as lookup:
            facts = await lookup.look_up("ordered.test", NOW)

            async def look_up(domain: str, now: datetime) -> DomainFacts:
                if domain != "0.test":
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(3600)
                return facts

            lookup.look_up = look_up
            async with aclosing(lookup.look_up_many((f"{n}.test" for n in range(10_000)), NOW)) as found:
                await anext(found)
        return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(run()) == set()
