"""The one spelling that all spellings of a mailbox share: how duplicates are spotted.

Only what a provider says of its own mailboxes is folded, by ``canonical_rules.toml``; elsewhere ``ann+news@`` may well
be another mailbox than ``ann@``. The canonical form is for comparing: mail goes to the address as it was given.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import polars as pl


@dataclass(frozen=True, slots=True)
class CanonicalRules:
    """``tag_providers`` deliver name+anything to name. ``folded`` and ``written_as`` are by domain."""

    tag_providers: frozenset[str]
    folded: dict[str, tuple[str, str]]  # characters of the name, and what stands for each of them
    written_as: dict[str, str]
    date: str  # of the newest rule


def canonical_form(address: str, provider: str) -> str:
    """The canonical spelling of ``address`` (normalized) at a domain that ``provider`` runs; mostly itself.

    >>> canonical_form("ann.lee+news@googlemail.com", "google")
    'annlee@gmail.com'
    >>> canonical_form("ann.lee+news@shop.example", "google")
    'ann.lee@shop.example'
    """
    rules = canonical_rules()
    local_part, at_sign, domain = address.rpartition("@")
    if not at_sign or local_part.startswith('"'):
        return address
    name = local_part.partition("+")[0] if provider in rules.tag_providers else local_part
    if fold := rules.folded.get(domain):
        name = re.sub(f"[{re.escape(fold[0])}]", fold[1], name)
    return f"{name}@{rules.written_as.get(domain, domain)}" if name else address


def canonical_forms(addresses: pl.Series, providers: pl.Series) -> pl.Series:
    """``canonical_form`` row by row, as ``String``; null where it is the address itself, or there is no address."""
    rules = canonical_rules()
    domain, name = pl.col("domain"), pl.col("name")
    rows = pl.DataFrame({"address": addresses.cast(pl.String), "provider": providers.cast(pl.String)})
    parts = rows.with_columns(
        name=pl.col("address").str.extract(r"^([^\"].*)@"), domain=pl.col("address").str.extract(r"@([^@]*)$")
    )
    has_tags = pl.col("provider").is_in(sorted(rules.tag_providers))
    folded = parts.with_columns(pl.when(has_tags).then(name.str.extract(r"^([^+]*)")).otherwise(name).alias("name"))
    for characters, stand_in in sorted(set(rules.folded.values())):
        there = domain.is_in(sorted(one for one, fold in rules.folded.items() if fold == (characters, stand_in)))
        bare = name.str.replace_all(f"[{re.escape(characters)}]", stand_in)
        folded = folded.with_columns(pl.when(there).then(bare).otherwise(name).alias("name"))
    form = pl.concat_str(name, pl.lit("@"), domain.replace(rules.written_as))
    is_other = (name != "") & (form != pl.col("address"))
    return folded.select(pl.when(is_other).then(form).alias("canonical_email")).to_series()


@cache
def canonical_rules() -> CanonicalRules:
    """The rules of ``canonical_rules.toml``, read from the package once."""
    text = files("ct_pipeline.addresses").joinpath("canonical_rules.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    tags, domains = document["tag"], document["domain"]
    return CanonicalRules(
        tag_providers=frozenset(provider for rule in tags for provider in rule["providers"]),
        folded={name: _fold(rule) for rule in domains for name in rule["names"]},
        written_as={name: rule["written_as"] for rule in domains for name in rule["names"] if "written_as" in rule},
        date=max(rule["date"] for rule in (*tags, *domains)),
    )


def _fold(rule: dict[str, str]) -> tuple[str, str]:
    return (rule["ignored"], "") if "ignored" in rule else (rule["alike"], rule["alike"][0])
