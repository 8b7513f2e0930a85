"""The domain that was probably meant: proposed to the user, never applied."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Self

import polars as pl

from ct_pipeline.addresses.edit_distance import edit_distance, shortened

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

    @classmethod
    def build(cls, domains: Iterable[str]) -> Self:
        """``domains`` (lower-case A-labels, as ``normalize`` gives them), the most common first."""
        ranks: dict[str, int] = {}
        near: dict[str, dict[str, list[str]]] = {}
        for domain in domains:
            if domain in ranks or "." not in domain:
                continue
            ranks[domain] = len(ranks)
            name, _, top_level = domain.rpartition(".")
            if slips := _slips_allowed(name):
                names = near.setdefault(top_level, {})
                for key in shortened(name, slips):
                    names.setdefault(key, []).append(name)
        return cls(ranks, near)


def suggest_domain(domain: str, known: KnownDomains) -> str | None:
    """The domain that ``domain`` is likely a misspelling of, or None.

    In this order: a known domain that differs only by a slip in the top-level domain (``gmail.con``); a known one whose
    name is near, with the same or a mended top-level domain (``gmial.com``, ``hotmial.con``); for a top-level domain
    that does not exist, the same name under the one that was meant (``acme.con``). A known domain gets none.
    """
    if domain in known.ranks:
        return None
    name, _, top_level = domain.rpartition(".")
    if not name:
        return None
    slip = top_level_slips().get(top_level)
    mended = f"{name}.{slip.meant}" if slip else None
    if mended in known.ranks:
        return mended
    near = _nearest(name, top_level, known)
    if near is None and slip:
        near = _nearest(name, slip.meant, known)
    return near or (mended if slip and slip.is_never_delegated else None)


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
