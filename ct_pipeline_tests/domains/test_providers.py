"""``providers.toml``: what it says of well-known hosts; that it is sourced and does not contradict itself."""

import re

import pytest

from ct_pipeline.domains.disposable import is_disposable
from ct_pipeline.domains.providers import CLAIMS, Probing, Provider, RandomProbe, load_providers, read_providers


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("aspmx.l.google.com", "google"),
        ("ALT1.ASPMX.L.GOOGLE.COM.", "google"),
        ("aspmx2.googlemail.com", "google"),
        ("contoso-com.mail.protection.outlook.com", "microsoft365"),
        ("contoso-com.a-v1.mx.microsoft", "microsoft365"),
        ("outlook-com.olc.protection.outlook.com", "outlook"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("mx01.mail.icloud.com", "icloud"),
        ("mx00.gmx.net", "gmx"),
        ("mx-ha.web.de", "gmx"),
        ("mx00.mail.com", "mail_com"),
        ("mxs.mail.ru", "mail_ru"),
        ("eu-smtp-inbound-1.mimecast.com", "mimecast"),
        ("mxa-001.gslb.pphosted.com", "proofpoint"),
        ("d1.ess.barracudanetworks.com", "barracuda"),
        ("mx.rediffmail.rediff.akadns.net", "rediff"),
    ],
)
def test_of_host(host: str, name: str) -> None:
    provider = load_providers().of_host(host)
    assert provider is not None
    assert provider.name == name


@pytest.mark.parametrize(
    "host",
    ["google.com", "evilgoogle.com", "aspmx.l.google.com.evil.example", "other.akadns.net", "localhost", ""],
)
def test_a_name_that_only_looks_like_a_providers_is_nobodys(host: str) -> None:
    assert load_providers().of_host(host) is None


def test_what_providers_say_of_probing() -> None:
    providers = load_providers()
    outlook, yahoo = providers.named("outlook"), providers.named("yahoo")
    assert outlook is not None
    assert outlook.probing is Probing.FORBIDDEN
    assert yahoo is not None
    assert yahoo.hides_answer
    assert yahoo.random_probe is RandomProbe.NEVER


@pytest.mark.parametrize("row", load_providers().rows, ids=lambda row: row.name)
def test_each_row_is_sourced_and_sane(row: Provider) -> None:
    assert set(row.source) == set(CLAIMS)
    assert re.fullmatch(r"20\d\d-\d\d", row.date)
    assert row.connections is None or 1 <= row.connections <= 100
    assert row.session_addresses is None or 1 <= row.session_addresses <= 1000
    if row.connections or row.session_addresses:
        assert row.source["limits"] != "none"
    if row.hides_answer:
        assert not row.source["hides_answer"].startswith("none")
        assert row.random_probe is RandomProbe.NEVER  # its answer would be taken for a catch-all
    if row.probing is not Probing.ALLOWED:
        assert not row.source["probing"].startswith("none")
    if row.random_probe is not RandomProbe.SAME_SESSION:
        assert row.source["random_probe"] != "none"
    for name in (*row.mx_suffixes, *row.mx_hosts, *row.free_domains):
        assert re.fullmatch(r"\.?([a-z0-9-]+\.)+[a-z]+", name)


def test_free_domains() -> None:
    providers = load_providers()
    assert all(map(providers.is_free, ("gmail.com", "Yahoo.co.in", "rediffmail.com", "seznam.cz", "libero.it")))
    assert not any(map(providers.is_free, ("example.com", "google.com", "mail.gmail.com", "")))
    assert len(providers.free_domains()) > 300


def test_no_free_domain_is_called_disposable() -> None:
    assert {domain for domain in load_providers().free_domains() if is_disposable(domain)} == set()


ROW = """
[[provider]]
name = "one"
title = "One"
mx_suffixes = [".one.example"]
has_lane = true
random_probe = "never"
probing = "allowed"
hides_answer = false
date = "2026-11"
[provider.source]
mx = "none"
limits = "none"
random_probe = "none"
probing = "none"
hides_answer = "none"
free = "none"
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ROW + ROW, "provider listed twice: one"),
        (ROW + ROW.replace('"one"', '"two"'), "mail host listed twice: .one.example"),
        (ROW.replace('"one"', '"One"'), "lower-case"),
        (ROW.replace('"one"', '"one.example"'), "lower-case"),
        (ROW.replace('"one"', '"small"'), "not a lane's"),
        (ROW.replace('".one.example"', '"one.example"'), "starts with a dot"),
        (ROW.replace('mx_suffixes = [".one.example"]', ""), "no mail hosts"),
        (ROW.replace('limits = "none"', ""), "lacks the source of: limits"),
        (ROW.replace("has_lane = true", ""), "lacks 'has_lane'"),
        (ROW.replace("has_lane = true", "has_lane = true\nconection = 1"), "unknown keys: conection"),
        (ROW.replace('"never"', '"sometimes"'), "sometimes"),
        ('[[free]]\ndomains = ["a.example"]\ndate = "2026-11"', "lacks its source"),
        (
            '[[free]]\ndomains = ["a.example", "a.example"]\ndate = "2026-11"\nsource = "none"',
            "listed twice: a.example",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        read_providers(text)


def test_the_longest_suffix_decides() -> None:
    inner = ROW.replace('"one"', '"two"').replace(".one.example", ".inner.one.example")
    providers = read_providers(ROW + inner)
    outer, nested = providers.of_host("mx.one.example"), providers.of_host("mx.inner.one.example")
    assert outer is not None
    assert nested is not None
    assert (outer.name, nested.name) == ("one", "two")
