"""Canonical forms: what a provider says is one mailbox is one, and nothing else is."""

import tomllib
from importlib.resources import files

import polars as pl
import pytest

from ct_pipeline.addresses.canonical import canonical_form, canonical_forms, canonical_rules
from ct_pipeline.domains.providers import load_providers

FOLDED = [
    ("ann.lee@gmail.com", "google", "annlee@gmail.com"),
    ("a.n.n.l.e.e+x+y@googlemail.com", "google", "annlee@gmail.com"),
    ("ann.lee+news@shop.example", "google", "ann.lee@shop.example"),  # Workspace: dots count
    ("ann+news@hotmail.com", "outlook", "ann@hotmail.com"),
    ("ann+news@shop.example", "microsoft365", "ann@shop.example"),
    ("ann+news@icloud.com", "icloud", "ann@icloud.com"),
    ("ann+news@fastmail.com", "fastmail", "ann@fastmail.com"),
    ("ann_lee-x.y+z@proton.me", "proton", "annleexy@proton.me"),
    ("ann.lee@shop.example", "proton", "ann.lee@shop.example"),
    ("ann-lee+x@ya.ru", "yandex", "ann.lee@yandex.ru"),
]
LEFT = [
    ("ann-news@yahoo.com", "yahoo"),
    ("ann+news@yahoo.com", "yahoo"),
    ("ann+news@shop.example", ""),
    ("ann+news@shop.example", "somehost.example"),
    ("ann.lee@hotmail.com", "outlook"),
    ("+news@shop.example", "google"),
    ("...@gmail.com", "google"),
    ('"ann+news"@shop.example', "google"),
    ("no address", "google"),
    ("ann@gmail.com", "google"),
]


@pytest.mark.parametrize(("address", "provider", "form"), FOLDED)
def test_folded(address: str, provider: str, form: str) -> None:
    assert canonical_form(address, provider) == form
    assert canonical_form(form, provider) == form


@pytest.mark.parametrize(("address", "provider"), LEFT)
def test_left_as_it_is(address: str, provider: str) -> None:
    assert canonical_form(address, provider) == address


def test_bulk_agrees_and_tells_only_what_differs() -> None:
    rows = [*((address, provider) for address, provider, _ in FOLDED), *LEFT, (None, None), ("a+b@x.test", None)]
    forms = canonical_forms(pl.Series([row[0] for row in rows]), pl.Series([row[1] for row in rows]))
    expected = [canonical_form(address or "", provider or "") for address, provider in rows]
    assert forms.dtype == pl.String
    assert forms.to_list() == [
        form if form != (address or "") else None for form, (address, _) in zip(expected, rows, strict=True)
    ]


def test_bulk_of_nothing() -> None:
    empty = pl.Series([], dtype=pl.String)
    assert canonical_forms(empty, empty).to_list() == []


def test_every_rule_names_known_providers_and_its_source() -> None:
    text = files("ct_pipeline.addresses").joinpath("canonical_rules.toml").read_text(encoding="utf-8")
    rules = [rule for kind in tomllib.loads(text).values() for rule in kind]
    assert all(rule["source"] and rule["date"] for rule in rules)
    providers = load_providers()
    assert all(providers.named(name) for name in canonical_rules().tag_providers)
    assert all(providers.is_free(domain) for domain in canonical_rules().folded)
