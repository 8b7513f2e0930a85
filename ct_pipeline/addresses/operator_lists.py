"""Allow and block lists of the operator: addresses, domains, everything below a domain, top-level domains.

A list is plain text, one entry a line; blank lines count for nothing, nor does what follows a ``#`` at the start of a
line or after a blank::

    # partners, always mailed
    ann@example.com        one address, as normalized: case does not matter, a plus tag does
    example.com            every address at this domain, not at domains below it
    *.example.com          every domain below example.com, not example.com itself
    .ru                    a whole top-level domain

The most exact entry decides, in the order above; of several ``*.`` entries the longest. Where both lists hold the same
entry, allow wins.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from ct_pipeline.addresses.mail_domain import canonical_domain
from ct_pipeline.addresses.normalize import normalize_one
from ct_pipeline.addresses.unusable import UnusableError
from ct_pipeline.vocabulary import Reason

MOST_ENTRIES = 500_000  # of one list: about 100 MB of memory
MOST_FAULTS_TOLD = 10
_LONGEST_LINE = 1_000
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ENTRY_FORMS = "an address, a domain, *.domain, or a top-level domain such as .ru"


class Listing(NamedTuple):
    """The entry that decides on an address, as it is compared: lower case, A-labels."""

    is_allowed: bool  # False: it is on the block list
    covers: Literal["address", "domain"]
    entry: str


class ListFaultsError(ValueError):
    """Lines that are no entries: one text a line, the first ten."""


@dataclass(frozen=True)
class OperatorLists:
    """What the operator wants taken for good, and for bad, without asking. Entries as :func:`read_entries` gives them.

    >>> lists = OperatorLists(allow=frozenset({"ann@shop.example"}), block=frozenset({"shop.example"}))
    >>> lists.listing_of("ann@shop.example")
    Listing(is_allowed=True, covers='address', entry='ann@shop.example')
    >>> lists.listing_of("joe@shop.example").is_allowed
    False
    """

    allow: frozenset[str] = frozenset()
    block: frozenset[str] = frozenset()

    def listing_of(self, address: str) -> Listing | None:
        """The entry that decides on ``address`` (normalized), or None where there is none."""
        if not self.allow and not self.block:
            return None
        for entry in _entries_that_cover(address):
            if entry in self.allow or entry in self.block:
                return Listing(entry in self.allow, "address" if "@" in entry else "domain", entry)
        return None

    @property
    def entry_count(self) -> int:
        return len(self.allow) + len(self.block)

    @cached_property
    def version(self) -> str:
        """Changes whenever an entry does; comments and the order of lines do not matter. Of empty lists ``none``."""
        if not self.entry_count:
            return "none"
        text = "\n".join([*sorted(self.allow), "", *sorted(self.block)])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


NO_LISTS = OperatorLists()


def read_entries(lines: Iterable[str], place: str) -> frozenset[str]:
    """The entries of one list, made comparable. ``place`` names the list in faults, which never repeat an entry.

    Raises:
        ListFaultsError: lines that are no entries, or more entries than a list may have.
    """
    entries: set[str] = set()
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = "" if len(line) > _LONGEST_LINE else _COMMENT.sub("", line).strip()
        if len(line) > _LONGEST_LINE:
            faults.append(f"{place}, line {number}: longer than any entry. Write one entry a line.")
        elif text:
            try:
                entries.add(_comparable(text))
            except UnusableError:
                faults.append(f"{place}, line {number}: {_fault_of(text)}")
        if len(entries) > MOST_ENTRIES:
            raise ListFaultsError(f"{place}: more than {MOST_ENTRIES:,} entries. List whole domains.")
        if len(faults) > MOST_FAULTS_TOLD:
            faults[-1] = f"{place}: further lines do not fit either."
            break
    if faults:
        raise ListFaultsError("\n".join(faults))
    return frozenset(entries)


def _entries_that_cover(address: str) -> Iterator[str]:
    """Every entry that would cover ``address``, the most exact first."""
    domain = address.rpartition("@")[2]
    yield address
    yield domain
    above = domain
    while (dot := above.find(".")) != -1:
        above = above[dot + 1 :]
        yield f"*.{above}"
    yield f".{above}"


def _comparable(text: str) -> str:
    """``text`` in the spelling of addresses; ``*.ru`` is ``.ru``, and ``*@example.com`` the domain.

    Raises ``UnusableError`` when it is no entry.
    """
    wildcard = "*." if text.startswith("*.") else "." if text.startswith(".") else ""
    below = text.removeprefix(wildcard)
    if wildcard and "." not in below:
        return canonical_domain(f"any.{below}").removeprefix("any")
    if wildcard == "*.":
        return f"*.{canonical_domain(below)}"
    domain = text.removeprefix("*@").removeprefix("@")
    if "@" not in domain:
        return canonical_domain(domain)
    found = normalize_one(text)
    if found.syntax_reason is not None or "*" in text:
        raise UnusableError(Reason(found.syntax_reason or Reason.SYNTAX_ERROR))
    return found.address


def _fault_of(text: str) -> str:
    if re.search(r"[,;\s]", text):
        return f"more than one word. Write one entry a line: {_ENTRY_FORMS}."
    if text.startswith(".") and text.count(".") > 1:
        return "a leading dot is for a top-level domain alone. Write *.domain for everything below a domain."
    if "*" in text:
        return "a * stands only at the front, as in *.example.com."
    return f"no entry. Write {_ENTRY_FORMS}."
