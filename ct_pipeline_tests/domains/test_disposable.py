"""Throw-away mailboxes: by domain, by mail host, and not by mistake."""

import pytest

from ct_pipeline.addresses.mail_domain import canonical_domain
from ct_pipeline.domains.disposable import date_of_hosts, is_disposable, is_disposable_host, listed_hosts
from ct_pipeline.domains.providers import load_providers


@pytest.mark.parametrize("domain", ["mailinator.com", "Mailinator.com", "team.mailinator.com", "a.b.yopmail.com"])
def test_throw_away_services_and_names_below_them(domain: str) -> None:
    assert is_disposable(domain)


@pytest.mark.parametrize(
    "domain", ["gmail.com", "example.com", "com", "", "xmailinator-lookalike.com", "mailinator.com.example", "sify.com"]
)
def test_others(domain: str) -> None:
    assert not is_disposable(domain)


@pytest.mark.parametrize(
    "host", ["mail.wabblywabble.com", "MX2.den.yt.", "mail.mailinator.com", "mx7.guerrillamail.com", "yopmail.com"]
)
def test_mail_hosts_of_throw_away_services(host: str) -> None:
    assert is_disposable_host(host)


@pytest.mark.parametrize(
    "host",
    ["aspmx.l.google.com", "route1.mx.cloudflare.net", "mx1.simplelogin.co", "mx1.forwardemail.net", "mx.sify.com", ""],
)
def test_mail_hosts_that_others_share(host: str) -> None:
    assert not is_disposable_host(host)


def test_no_provider_is_a_throw_away_service() -> None:
    providers = load_providers()
    assert [host for host in listed_hosts() if providers.of_host(host) is not None] == []
    assert [domain for domain in providers.free_domains() if is_disposable(domain)] == []


def test_every_listed_host_can_match() -> None:
    assert all(host == canonical_domain(host) for host in listed_hosts())
    assert date_of_hosts().startswith("20")
