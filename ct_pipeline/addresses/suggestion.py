"""The domain that was probably meant: proposed to the user, never applied."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Self

import polars as pl
from tldextract import TLDExtract

from ct_pipeline.addresses.edit_distance import edit_distance, shortened
from ct_pipeline.addresses.local_part import canonical_local_part
from ct_pipeline.addresses.unusable import UnusableError

# How many slips a known name may be away, by the length of its first label. The names of mail providers are dense where
# they are short: gmx, aol, live, mail and web all have living neighbours at distance 1, so they get none.
_LETTERS_FOR_ONE_SLIP = 5  # gmail, yahoo
_LETTERS_FOR_ONE_SLIP_ANYWHERE = 7  # hotmail; in shorter names the first letter must fit: fmail, tmail are providers
_LETTERS_FOR_TWO_SLIPS = 9  # protonmail, rediffmail; with fewer, hotmart.com would be taken for hotmail.com
_MAX_SLIPS = 2
_MAX_NAME_CHARS = 40  # bounds the work; no known provider comes near


@dataclass(frozen=True, slots=True)
class KnownDomains:
    """Domains that are certainly meant as they are written, and so also what a misspelt one may have meant."""

    ranks: dict[str, int]  # domain → its place in the order given; the earlier one wins a tie
    near: dict[str, dict[str, list[str]]]  # top-level domain → shortened name → known names under it
    undotted: dict[str, str]  # domain without its dots → domain
    suffixes: dict[str, list[str]]  # first label → what follows it, the most common first

    @classmethod
    def build(cls, domains: Iterable[str]) -> Self:
        """``domains`` (lower-case A-labels, as ``normalize`` gives them), the most common first."""
        ranks: dict[str, int] = {}
        near: dict[str, dict[str, list[str]]] = {}
        undotted: dict[str, str] = {}
        suffixes: dict[str, list[str]] = {}
        for domain in domains:
            if domain in ranks or "." not in domain:
                continue
            ranks[domain] = len(ranks)
            undotted.setdefault(domain.replace(".", ""), domain)
            first, _, suffix = domain.partition(".")
            suffixes.setdefault(first, []).append(suffix)
            name, _, top_level = domain.rpartition(".")
            if slips := _slips_allowed(name):
                names = near.setdefault(top_level, {})
                for key in shortened(name, slips):
                    names.setdefault(key, []).append(name)
        return cls(ranks, near, undotted, suffixes)


def suggest_domain(domain: str, known: KnownDomains) -> str | None:
    """The domain that ``domain`` is likely a misspelling of, or None.

    In this order: a known domain that differs only by a slip in the top-level domain (``gmail.con``), by its end said
    twice (``gmail.com.com``), or by a misplaced dot (``yahooco.uk``); a known one whose name is near, with the same or
    a mended top-level domain (``gmial.com``, ``hotmial.con``); for a top-level domain that does not exist, a known
    domain of that name with a near ending (``yahoo.co.ku``), or the same name under the one that was meant
    (``acme.con``). A known domain gets none, nor does a name directly below one: ``g.mail.com`` may be a host there.
    """
    if domain in known.ranks or domain.partition(".")[2] in known.ranks:
        return None
    name, _, top_level = domain.rpartition(".")
    if not name:
        return None
    slip = top_level_slips().get(top_level)
    mended = f"{name}.{slip.meant}" if slip else None
    if mended in known.ranks:
        return mended
    repeated = slip.meant if slip and slip.is_never_delegated else top_level
    if name in known.ranks and name.endswith(f".{repeated}"):
        return name
    if (same_letters := known.undotted.get(domain.replace(".", ""))) is not None:
        return same_letters
    near = _nearest(name, top_level, known)
    if near is None and slip:
        near = _nearest(name, slip.meant, known)
    if near is None and top_level not in top_level_domains():
        near = _with_near_ending(domain, known)
    return near or (mended if slip and slip.is_never_delegated else None)


def suggest_address(text: str, known: KnownDomains) -> str | None:
    """The address that an unusable string was probably meant to be, or None: a known domain whose dot is lost, doubled
    or another sign (``ann@gmailcom``, ``ann@gmail,com``).
    """
    local_part, at_sign, domain = text.strip().lower().rpartition("@")
    meant = known.undotted.get(re.sub(r"[.,;:_ -]+", "", domain)) if at_sign else None
    try:
        return f"{canonical_local_part(local_part)}@{meant}" if meant else None
    except UnusableError:
        return None


def suggest_domains(domains: pl.Series, known: KnownDomains) -> pl.Series:
    """``suggest_domain`` for each row (null for null), worked out once for each distinct domain."""
    distinct = domains.drop_nulls().unique()
    suggestions = pl.DataFrame(
        {"domain": distinct, "suggested_domain": [suggest_domain(domain, known) for domain in distinct]},
        schema={"domain": pl.String, "suggested_domain": pl.String},
    )
    rows = domains.cast(pl.String).alias("domain").to_frame()
    return rows.join(suggestions, on="domain", how="left", maintain_order="left").get_column("suggested_domain")


@dataclass(frozen=True, slots=True)
class TopLevelSlip:
    meant: str
    is_never_delegated: bool


def _with_near_ending(domain: str, known: KnownDomains) -> str | None:
    first, _, ending = domain.partition(".")
    near = [suffix for suffix in known.suffixes.get(first, ()) if edit_distance(ending, suffix) == 1]
    return f"{first}.{near[0]}" if near else None


def _nearest(name: str, top_level: str, known: KnownDomains) -> str | None:
    names = known.near.get(top_level)
    if names is None or not _LETTERS_FOR_ONE_SLIP - 1 <= len(name) <= _MAX_NAME_CHARS:
        return None
    slips = _MAX_SLIPS if len(name) >= _LETTERS_FOR_TWO_SLIPS - _MAX_SLIPS else 1
    candidates = {candidate for key in names.keys() & shortened(name, slips) for candidate in names[key]}
    distances = {candidate: _distance_if_near(name, candidate) for candidate in candidates}
    ranked = [
        (distance, known.ranks[f"{candidate}.{top_level}"], candidate)
        for candidate, distance in distances.items()
        if distance is not None
    ]
    return f"{min(ranked)[2]}.{top_level}" if ranked else None


def _distance_if_near(name: str, known_name: str) -> int | None:
    distance = edit_distance(name, known_name)
    if not 0 < distance <= _slips_allowed(known_name):
        return None
    has_same_start = name[0] == known_name[0] or name[:2] == known_name[1::-1]
    first_letter_may_differ = distance == 1 and len(known_name.partition(".")[0]) >= _LETTERS_FOR_ONE_SLIP_ANYWHERE
    return distance if has_same_start or first_letter_may_differ else None


def _slips_allowed(name: str) -> int:
    letters = len(name.partition(".")[0])
    if len(name) > _MAX_NAME_CHARS:
        return 0
    if letters >= _LETTERS_FOR_TWO_SLIPS:
        return 2
    return 1 if letters >= _LETTERS_FOR_ONE_SLIP else 0


@cache
def top_level_slips() -> dict[str, TopLevelSlip]:
    text = files("ct_pipeline.addresses").joinpath("top_level_slips.toml").read_text(encoding="utf-8")
    table: dict[str, dict[str, list[str]]] = tomllib.loads(text)
    return {
        typed: TopLevelSlip(meant, kind == "never_delegated")
        for kind, slips in table.items()
        for meant, typed_forms in slips.items()
        for typed in typed_forms
    }


@cache
def top_level_domains() -> frozenset[str]:
    """All that exist, by the public suffix list that tldextract carries: no network."""
    suffixes = TLDExtract(suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True).tlds
    return frozenset(suffix.rpartition(".")[2] for suffix in suffixes)
