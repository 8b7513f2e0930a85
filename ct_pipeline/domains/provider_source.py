"""Where the claims of a provider's row come from, and from which month: the tables ``[provider.source]``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NONE = "none"
MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
DATED = re.compile(r"(?P<text>.*\S) \((?P<month>[^()]*)\)")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a claim comes from. ``text`` is ``none`` where no source is known, so that a default stands in.

    ``month`` (``2026-11``) is that of the source where it has a date, else that of its reading; for ``none``, the month
    as of which none is known.
    """

    text: str
    month: str

    @property
    def is_none(self) -> bool:
        return self.text == NONE

    def __str__(self) -> str:
        return f"{self.text} ({self.month})"


def read_source(text: object) -> Source:
    """The source in ``where it is said (2026-11)``.

    Raises:
        ValueError: it says nothing, or does not end in a month.
    """
    found = DATED.fullmatch(text) if isinstance(text, str) else None
    if found is None or not MONTH.fullmatch(found["month"]):
        raise ValueError(f'{text!r} does not end in its month: write it as "where it is said (2026-11)"')
    return Source(found["text"], found["month"])


def read_sources(table: Mapping[str, object], claims: tuple[str, ...]) -> Mapping[str, Source]:
    """The source of each of ``claims``, in their order.

    The key ``none`` holds the month as of which no source is known of the claims that are not named.

    Raises:
        ValueError: a claim has no source, a source has no month, or a key is no claim.
    """
    if unknown := sorted(table.keys() - {*claims, NONE}):
        raise ValueError(f"these are no claims: {', '.join(unknown)}; claims are {', '.join(claims)}")
    missing = [claim for claim in claims if claim not in table]
    if missing and NONE not in table:
        raise ValueError(
            f'no source of: {", ".join(missing)}; name it, or the month as of which none is known: none = "2026-11"'
        )
    sources = {}
    for claim in claims:
        try:
            sources[claim] = read_source(table.get(claim, f"{NONE} ({table.get(NONE)})"))
        except ValueError as error:
            raise ValueError(f"source of {claim}: {error}") from None
    return MappingProxyType(sources)
