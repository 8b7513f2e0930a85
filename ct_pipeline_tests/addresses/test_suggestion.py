"""Which misspelt domains get a proposal, and which domains are left alone."""

import polars as pl
import pytest
import tldextract
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.addresses.suggestion import (
    KnownDomains,
    suggest_address,
    suggest_domain,
    suggest_domains,
    top_level_slips,
)

BY_FREQUENCY = [
    *(
        "gmail.com",
        "yahoo.com",
        "hotmail.com",
        "outlook.com",
        "icloud.com",
        "aol.com",
        "live.com",
        "mail.com",
        "ymail.com",
    ),
    *(
        "gmx.com",
        "gmx.de",
        "web.de",
        "mail.ru",
        "yandex.ru",
        "yahoo.co.uk",
        "yahoo.co.in",
        "hotmail.co.uk",
        "hotmail.fr",
    ),
    *("orange.fr", "wanadoo.fr", "libero.it", "protonmail.com", "comcast.net", "xn--bcher-kva.example"),
]
KNOWN = KnownDomains.build(BY_FREQUENCY)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        # the top-level domain
        ("gmail.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.cm", "gmail.com"),
        ("gmail.comm", "gmail.com"),
        ("comcast.nte", "comcast.net"),
        ("comcast.ne", "comcast.net"),
        ("aol.con", "aol.com"),
        ("acme-tools.con", "acme-tools.com"),  # unknown, but .con cannot be
        ("charity.ogr", "charity.org"),
        # the name: a letter swapped, lost, doubled, mistaken
        ("gmial.com", "gmail.com"),
        ("mgail.com", "gmail.com"),
        ("gmal.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gmsil.com", "gmail.com"),
        ("yaho.com", "yahoo.com"),
        ("outlok.com", "outlook.com"),
        ("otmail.com", "hotmail.com"),
        ("protnmial.com", "protonmail.com"),
        ("yhaoo.co.uk", "yahoo.co.uk"),
        ("yahoo.con.uk", "yahoo.co.uk"),
        ("xn--bcher-kv.example", "xn--bcher-kva.example"),
        # the end said twice, a dot misplaced, an end that does not exist
        ("gmail.com.com", "gmail.com"),
        ("gmail.com.con", "gmail.com"),
        ("yahoo.co.uk.uk", "yahoo.co.uk"),
        ("yahooco.uk", "yahoo.co.uk"),
        ("yahoo.couk", "yahoo.co.uk"),
        ("gm.ail.com", "gmail.com"),
        ("yahoo.co.ku", "yahoo.co.uk"),
        ("yahoo.co.ukk", "yahoo.co.uk"),
        ("web.dde", "web.de"),
        ("orange.ff", "orange.fr"),
        # both
        ("gmial.con", "gmail.com"),
        ("hotmial.co", "hotmail.com"),
        ("gmailc.om", "gmail.com"),
    ],
)
def test_proposed(typed: str, meant: str) -> None:
    assert suggest_domain(typed, KNOWN) == meant


@pytest.mark.parametrize(
    "domain",
    [
        *("gmail.com", "ymail.com", "mail.com", "yahoo.co.in"),  # known, however near to another
        *("email.com", "fmail.com", "tmail.com"),  # real providers: a short name is not mended in its first letter
        *("gmail.com.br", "gmail.com.co", "g.mail.com", "web.dev", "shop.zz"),  # may be; nothing near is known
        *("gmx.at", "gmx.net", "gmail.de", "hotmail.de", "yahoo.co.id"),  # another country is not a slip
        *("aon.com", "aok.de", "wed.de", "nail.ru", "lime.com", "max.com"),  # short names: one letter hits by accident
        *("postmail.com", "goodmail.com", "hotmart.com", "compass.net"),  # two letters off a seven-letter name
        *("acme.co", "acme.om", "acme.com"),
        *("localhost", "", "com", ".con", "x.y"),
    ],
)
def test_left_alone(domain: str) -> None:
    assert suggest_domain(domain, KNOWN) is None


def test_the_nearer_one_is_proposed_and_then_the_more_common_one() -> None:
    known = KnownDomains.build(["barrons.com", "barnone.com", "barrone.com"])
    assert suggest_domain("barronex.com", known) == "barrone.com"
    assert suggest_domain("barronz.com", known) == "barrons.com"
    assert suggest_domain("barronz.com", KnownDomains.build(["barrone.com", "barrons.com"])) == "barrone.com"


@pytest.mark.parametrize("domain", BY_FREQUENCY)
def test_a_known_domain_gets_none(domain: str) -> None:
    assert suggest_domain(domain, KNOWN) is None


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("gmailco.n-", max_size=12))
def test_a_proposal_is_another_domain(domain: str) -> None:
    meant = suggest_domain(domain, KNOWN)
    assert meant is None or (meant != domain and "." in meant)


def test_bulk_agrees_row_for_row() -> None:
    rows = ["gmial.com", None, "gmail.com", "gmial.com", "acme.con", "localhost"]
    proposed = suggest_domains(pl.Series("domain", rows), KNOWN)
    assert proposed.to_list() == ["gmail.com", None, None, "gmail.com", "acme.com", None]
    assert proposed.name == "suggested_domain"
    assert suggest_domains(pl.Series([], dtype=pl.String), KNOWN).to_list() == []
    assert suggest_domains(pl.Series([None]), KNOWN).to_list() == [None]


def test_slips_agree_with_the_root_zone() -> None:
    """The public suffix list as bundled with tldextract holds every delegated top-level domain."""
    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None).tlds
    delegated = {suffix.rpartition(".")[2] for suffix in suffixes}
    for typed, slip in top_level_slips().items():
        assert slip.is_never_delegated == (typed not in delegated), typed
        assert slip.meant in delegated


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Ann@gmailcom", "ann@gmail.com"),
        ("ann@gmail,com", "ann@gmail.com"),
        ("ann@gmail..com", "ann@gmail.com"),
        ("ann.lee@yahoocouk", "ann.lee@yahoo.co.uk"),
        ("ann@gmail com", "ann@gmail.com"),
        ("ann@@gmailcom", None),
        ("ann@localhost", None),
        ("anngmailcom", None),
        ("@gmailcom", None),
        ("", None),
    ],
)
def test_a_string_whose_only_fault_is_the_dot_of_a_known_domain(text: str, meant: str | None) -> None:
    assert suggest_address(text, KNOWN) == meant
