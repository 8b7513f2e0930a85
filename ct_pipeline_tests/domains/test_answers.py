"""From DNS answers to facts, without DNS: what no well-behaved server can be made to say, and what must always hold."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.domains.answers import (
    MAX_DETAIL_LENGTH,
    MAX_HOST_ADDRESSES,
    MAX_MX_HOSTS,
    AddressAnswer,
    MxAnswer,
    Outcome,
    facts_from_answers,
    hosts_to_ask,
    is_host_name,
    join_addresses,
)
from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.vocabulary import MailService

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PUBLIC = AddressAnswer(Outcome.RECORDS, ("8.8.8.8",), 7200)
INNER = AddressAnswer(Outcome.RECORDS, ("10.0.0.1",), 7200)
FAILED = AddressAnswer(Outcome.SERVER_FAILURE, detail="192.0.2.53 answered SERVFAIL")
LATE = AddressAnswer(Outcome.TIMEOUT, detail="no nameserver answered in time")
EMPTY = AddressAnswer(Outcome.NO_RECORDS)


def facts(mx: MxAnswer, hosts: dict[str, AddressAnswer] | None = None, domain: str = "shop.example") -> DomainFacts:
    return facts_from_answers(domain, mx, hosts or {}, providers=load_providers(), allowed=(), now=NOW)


def mx(*records: tuple[int, str], ttl_seconds: int = 7200) -> MxAnswer:
    return MxAnswer(Outcome.RECORDS, records, ttl_seconds)


def test_provider_decides_site_and_lane() -> None:
    found = facts(mx((1, "aspmx.l.google.com")), {"aspmx.l.google.com": PUBLIC})
    assert (found.provider, found.site, found.lane) == ("google", "google", "google")


def test_registrable_domain_of_an_unlisted_host_is_provider_and_site() -> None:
    found = facts(mx((1, "mx3.mail.hoster.co.uk")), {"mx3.mail.hoster.co.uk": PUBLIC})
    assert (found.provider, found.site) == ("hoster.co.uk", "hoster.co.uk")
    assert found.lane.startswith("small-")


def test_without_any_mail_host_the_domain_is_its_own_site() -> None:
    found = facts(MxAnswer(Outcome.NO_NAME))
    assert (found.provider, found.site, found.mx_record) == ("", "shop.example", None)


def test_equal_preferences_are_ordered_by_name_so_that_the_site_never_changes() -> None:
    hosts = {"b.one.example": PUBLIC, "a.two.example": PUBLIC}
    there = facts(mx((10, "b.one.example"), (10, "a.two.example")), hosts)
    back = facts(mx((10, "a.two.example"), (10, "b.one.example")), hosts)
    assert there == back
    assert there.site == "two.example"


def test_flags_come_from_the_domain() -> None:
    assert facts(mx((1, "mx.example.com")), {"mx.example.com": PUBLIC}, domain="gmail.com").is_free
    assert facts(mx((1, "mx.example.com")), {"mx.example.com": PUBLIC}, domain="mailinator.com").is_disposable


def test_a_host_that_failed_is_asked_for_again_soon() -> None:
    found = facts(mx((1, "a.example"), (2, "b.example"), ttl_seconds=86400), {"a.example": LATE, "b.example": PUBLIC})
    assert [host.host for host in found.mx_hosts] == ["b.example"]
    assert found.expires_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("hosts", "service"),
    [
        ((INNER, FAILED), MailService.DNS_SERVER_FAILURE),
        ((EMPTY, LATE), MailService.DNS_TIMEOUT),
        ((FAILED, LATE), MailService.DNS_SERVER_FAILURE),
        ((INNER, EMPTY), MailService.UNROUTABLE),
    ],
)
def test_unroutable_only_where_every_host_was_heard(
    hosts: tuple[AddressAnswer, AddressAnswer], service: MailService
) -> None:
    found = facts(mx((1, "a.example"), (2, "b.example")), dict(zip(("a.example", "b.example"), hosts, strict=True)))
    assert found.service is service
    assert found.mx_record == "a.example"


@pytest.mark.parametrize(
    ("answer", "service"),
    [(FAILED, MailService.DNS_SERVER_FAILURE), (LATE, MailService.DNS_TIMEOUT), (EMPTY, MailService.NO_MAIL_SERVICE)],
)
def test_no_mx_and_no_address(answer: AddressAnswer, service: MailService) -> None:
    assert facts(MxAnswer(Outcome.NO_RECORDS), {"shop.example": answer}).service is service


def test_implicit_mx_lives_no_longer_than_the_word_that_there_is_no_mx() -> None:
    found = facts(MxAnswer(Outcome.NO_RECORDS, ttl_seconds=4000), {"shop.example": PUBLIC})
    assert found.expires_at == NOW + timedelta(seconds=4000)
    assert found.mx_record is None
    assert found.site == "shop.example"


def test_bounds() -> None:
    many = mx(*((n, f"mx{n:03}.example") for n in reversed(range(300))))
    asked = hosts_to_ask("shop.example", many)
    assert asked == tuple(f"mx{n:03}.example" for n in range(MAX_MX_HOSTS))
    crowd = AddressAnswer(Outcome.RECORDS, tuple(f"8.8.{n}.8" for n in range(200)), 7200)
    found = facts(many, dict.fromkeys(asked, crowd))
    assert len(found.mx_hosts) == MAX_MX_HOSTS
    assert {len(host.addresses) for host in found.mx_hosts} == {MAX_HOST_ADDRESSES}


def test_undialable_addresses_do_not_crowd_out_dialable_ones() -> None:
    mixed = AddressAnswer(Outcome.RECORDS, (*(f"10.0.0.{n}" for n in range(20)), "8.8.8.8"), 7200)
    assert facts(mx((1, "a.example")), {"a.example": mixed}).mx_hosts[0].addresses == ("8.8.8.8",)


@pytest.mark.parametrize("host", ["mx.example.com", "mx_1.example.com", "123.example.com", "mx.xn--p1ai", "1-2.3a"])
def test_host_names(host: str) -> None:
    assert is_host_name(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "10.1",
        "::1",
        "localhost",
        "mx.localhost",
        "a b.example",
        "a\\010b.example",
        "a..b",
        "a.b\n",
        "x" * 64 + ".example",
        "a." * 130 + "example",
    ],
)
def test_not_host_names(host: str) -> None:
    assert not is_host_name(host)


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "outcome", "addresses"),
    [
        (PUBLIC, AddressAnswer(Outcome.RECORDS, ("2606::1",), 60), Outcome.RECORDS, ("8.8.8.8", "2606::1")),
        (PUBLIC, FAILED, Outcome.RECORDS, ("8.8.8.8",)),
        (EMPTY, AddressAnswer(Outcome.RECORDS, ("2606::1",), 60), Outcome.RECORDS, ("2606::1",)),
        (EMPTY, FAILED, Outcome.SERVER_FAILURE, ()),
        (EMPTY, EMPTY, Outcome.NO_RECORDS, ()),
    ],
)
def test_join_addresses(ipv4: AddressAnswer, ipv6: AddressAnswer, outcome: Outcome, addresses: tuple[str, ...]) -> None:
    joined = join_addresses(ipv4, ipv6)
    assert (joined.outcome, joined.addresses) == (outcome, addresses)


outcomes = st.sampled_from(Outcome)
address_answers = st.one_of(
    st.builds(AddressAnswer, st.just(Outcome.RECORDS), st.lists(st.ip_addresses().map(str), min_size=1).map(tuple)),
    st.builds(AddressAnswer, st.sampled_from([o for o in Outcome if o is not Outcome.RECORDS]), detail=st.text()),
)
mx_answers = st.one_of(
    st.builds(
        MxAnswer,
        st.just(Outcome.RECORDS),
        st.lists(
            st.tuples(
                st.integers(0, 65535), st.one_of(st.from_regex(r"[a-z0-9._\\-]{0,20}", fullmatch=True), st.text())
            ),
            min_size=1,
        ).map(tuple),
        st.integers(0, 2**31 - 1),
    ),
    st.builds(MxAnswer, st.sampled_from([o for o in Outcome if o is not Outcome.RECORDS]), detail=st.text()),
)


@given(mx_answers, st.data())
def test_whatever_dns_says_becomes_consistent_facts(mx: MxAnswer, data: st.DataObject) -> None:
    hosts = {host: data.draw(address_answers) for host in hosts_to_ask("shop.example", mx)}
    found = facts(mx, hosts)
    assert found.service.takes_mail == bool(found.mx_hosts)
    assert all(host.addresses for host in found.mx_hosts)
    assert [host.preference for host in found.mx_hosts] == sorted(host.preference for host in found.mx_hosts)
    assert found.site
    assert found.lane in lane_keys(load_providers())
    assert timedelta(minutes=15) <= found.expires_at - NOW <= timedelta(days=7)
    assert len(found.detail) <= MAX_DETAIL_LENGTH
    if not found.service.takes_mail and any(answer.outcome.is_temporary for answer in [mx, *hosts.values()]):
        assert found.service.is_temporary  # trouble is never taken for an answer
