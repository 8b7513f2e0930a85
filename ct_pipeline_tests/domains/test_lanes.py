"""Lanes: every site has one, always the same, and lists of small sites spread evenly."""

from collections import Counter

import pytest

from ct_pipeline.domains.lanes import SMALL_LANE_COUNT, lane_keys, lane_of, registrable_domain
from ct_pipeline.domains.providers import load_providers


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("mx1.mail.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("MX.Example.COM.", "example.com"),
        ("inbound-smtp.us-east-1.amazonaws.com", "amazonaws.com"),
        ("mx.shop.blogspot.com", "blogspot.com"),
        ("mx.a.xn--80ak6aa92e.xn--p1ai", "xn--80ak6aa92e.xn--p1ai"),
        ("mx1.company.test", "company.test"),
        ("co.uk", "co.uk"),
        ("mailhost", "mailhost"),
    ],
)
def test_registrable_domain(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain


def test_lane_keys_are_the_large_providers_then_the_small_lanes() -> None:
    keys = lane_keys(load_providers())
    assert keys[:2] == ["google", "microsoft365"]
    assert keys[-SMALL_LANE_COUNT:] == [f"small-{n:02}" for n in range(64)]
    assert len(set(keys)) == len(keys)


def test_every_site_has_a_lane_that_exists() -> None:
    providers = load_providers()
    keys = set(lane_keys(providers))
    sites = [row.name for row in providers.rows] + ["example.com", "mx.test", "localhost", "", "ü.example"]
    assert {lane_of(site, providers) for site in sites} <= keys


def test_a_provider_without_a_lane_of_its_own_shares_a_small_one() -> None:
    assert lane_of("google", load_providers()) == "google"
    assert lane_of("titan", load_providers()).startswith("small-")


def test_the_lane_of_a_site_never_changes() -> None:
    """Ledgers hold lanes: another hash would send a site to two lanes at once."""
    providers = load_providers()
    assert [lane_of(site, providers) for site in ("example.com", "company.test", "a.example")] == LANES_FOR_EVER


LANES_FOR_EVER = ["small-38", "small-46", "small-14"]


def test_small_sites_spread_evenly() -> None:
    providers = load_providers()
    counts = Counter(lane_of(f"site{n}.example", providers) for n in range(64_000))
    assert len(counts) == SMALL_LANE_COUNT
    assert min(counts.values()) > 800
    assert max(counts.values()) < 1200
