"""DNS block lists: what to ask them, and what their answers mean. Pure; the lists are rows of ``block_lists.toml``.

An answer is a listing only where it cannot be anything else. Lists refuse public resolvers by answers that look like
listings, close down by listing everyone, and are sold on to people who answer whatever they like. So each list is tried
first on an entry that is always listed and on one that never is (RFC 5782 section 5).
"""

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from ct_pipeline.domains.answers import AddressAnswer, Outcome

ANSWERS = ipaddress.IPv4Network("127.0.0.0/8")
REFUSALS = ipaddress.IPv4Network("127.255.255.0/24")
_LISTED_ADDRESS, _CLEAN_ADDRESS = "2.0.0.127", "1.0.0.127"  # reversed: RFC 5782 section 5
_CLEAN_DOMAIN = "invalid"


class ListOf(StrEnum):
    """What a list holds."""

    ADDRESS = "address"
    DOMAIN = "domain"


class Standing(StrEnum):
    LISTED = "listed"
    CLEAN = "clean"
    UNKNOWN = "unknown"  # the list did not say, or may not be believed


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """What one list says. ``what`` is the meaning of a listing, or why nothing is known; empty where it is clean."""

    standing: Standing
    what: str = ""


@dataclass(frozen=True, slots=True)
class BlockList:
    """One row."""

    title: str
    zone: str
    of: ListOf
    test_point: str
    codes: Mapping[str, str]
    bits: Mapping[int, str]
    refusals: Mapping[str, str]
    removal: str
    source: str
    date: str
    has_ipv6: bool

    @property
    def listed_name(self) -> str:
        """To ask for an entry that is always listed."""
        return f"{self.test_point}.{self.zone}"

    @property
    def clean_name(self) -> str:
        """To ask for an entry that is never listed."""
        return f"{_CLEAN_ADDRESS if self.of is ListOf.ADDRESS else _CLEAN_DOMAIN}.{self.zone}"

    def name_for(self, subject: str) -> str | None:
        """To ask about an address, or a domain; None where the list knows no such addresses."""
        if self.of is ListOf.DOMAIN:
            return f"{subject}.{self.zone}"
        address = ipaddress.ip_address(subject)
        if address.version == 6 and not self.has_ipv6:
            return None
        reverse = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
        return f"{reverse}.{self.zone}"

    def read(self, answer: AddressAnswer) -> ListAnswer:
        """What the A records of a name below the zone mean."""
        if answer.outcome.is_temporary:
            return ListAnswer(Standing.UNKNOWN, answer.detail or answer.outcome)
        if answer.outcome is not Outcome.RECORDS:
            return ListAnswer(Standing.CLEAN)
        for address in answer.addresses:
            if refusal := self._refusal(address):
                return ListAnswer(Standing.UNKNOWN, refusal)
        codes = sorted(answer.addresses, key=ipaddress.IPv4Address)
        return ListAnswer(Standing.LISTED, "; ".join(map(self._meaning, codes)))

    def doubts(self, listed: AddressAnswer, clean: AddressAnswer) -> str:
        """Why the list is not to be believed from here, by its answers about the two test entries; empty if it is."""
        always, never = self.read(listed), self.read(clean)
        for answer in (always, never):
            if answer.standing is Standing.UNKNOWN:
                return answer.what
        if always.standing is Standing.CLEAN:
            return "it does not answer from here"
        return "it lists everyone" if never.standing is Standing.LISTED else ""

    def _refusal(self, address: str) -> str:
        parsed = ipaddress.IPv4Address(address)
        if parsed not in ANSWERS:
            return f"it answers {address}, which no block list does"
        return self.refusals.get(address, "it refuses the question" if parsed in REFUSALS else "")

    def _meaning(self, address: str) -> str:
        last = int(address.rpartition(".")[2])
        known = [meaning for bit, meaning in self.bits.items() if last & bit]
        meaning = " and ".join(known) or self.codes.get(address, "a reason that it does not publish")
        return f"{meaning} ({address})"


@cache
def load_block_lists() -> tuple[BlockList, ...]:
    """The rows of ``block_lists.toml``, checked.

    Raises:
        ValueError: a row does not fit; the text names it.
    """
    return read_block_lists(files("ct_pipeline.domains").joinpath("block_lists.toml").read_text(encoding="utf-8"))


def read_block_lists(text: str) -> tuple[BlockList, ...]:
    """Block lists from the text of a TOML file with ``[[list]]`` rows.

    Raises:
        ValueError: a row lacks a field, has an unknown one, or a zone is listed twice.
    """
    lists = tuple(map(_read_row, tomllib.loads(text)["list"]))
    zones = [one.zone for one in lists]
    if twice := sorted({zone for zone in zones if zones.count(zone) > 1}):
        raise ValueError(f"block lists listed twice: {', '.join(twice)}")
    return lists


def _read_row(table: dict[str, Any]) -> BlockList:
    title = table.get("title", "")
    try:
        row = BlockList(
            title=table.pop("title"),
            zone=table.pop("zone"),
            of=ListOf(table.pop("of")),
            test_point=table.pop("test_point", _LISTED_ADDRESS),
            codes=table.pop("codes", {}),
            bits={int(bit): meaning for bit, meaning in table.pop("bits", {}).items()},
            refusals=table.pop("refusals", {}),
            removal=table.pop("removal"),
            source=table.pop("source"),
            date=table.pop("date"),
            has_ipv6=table.pop("has_ipv6", False),
        )
    except KeyError as error:
        raise ValueError(f"block list {title!r} lacks {error}") from None
    if table:
        raise ValueError(f"block list {title!r} has unknown keys: {', '.join(sorted(table))}")
    if not row.codes and not row.bits:
        raise ValueError(f"block list {title!r} says of no answer what it means")
    if row.of is ListOf.DOMAIN and row.test_point == _LISTED_ADDRESS and not row.bits:
        raise ValueError(f"block list {title!r} of domains needs a test_point")
    return row
