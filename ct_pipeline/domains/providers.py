"""Who runs the mail hosts of a domain, and how to behave there: the rows of ``providers.toml``."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any


class RandomProbe(StrEnum):
    """When the name that cannot exist is asked for, to see whether a domain is a catch-all."""

    SAME_SESSION = "same_session"
    OWN_SESSION = "own_session"  # the provider punishes unknown recipients: keep the punishment out of the real session
    NEVER = "never"  # its answer would prove nothing, or asking is forbidden


class Probing(StrEnum):
    """What the provider says of being asked about addresses without a message to deliver."""

    ALLOWED = "allowed"
    DISCOURAGED = "discouraged"
    FORBIDDEN = "forbidden"  # not probed unless the operator opts in


@dataclass(frozen=True, slots=True)
class Provider:
    """One row. Limits (``connections`` to ``addresses_per_second``) are None where only the settings' default is known.

    ``source`` says for each claim (``mx``, ``limits``, ``random_probe``, ``probing``, ``hides_answer``, ``free``) where
    it comes from; ``none`` where nowhere.
    """

    name: str
    title: str
    mx_suffixes: tuple[str, ...]  # with the leading dot; the longest one that fits decides
    mx_hosts: tuple[str, ...]
    free_domains: tuple[str, ...]
    has_lane: bool
    connections: int | None
    session_addresses: int | None
    window: int | None  # RCPTs in one pipelined group; 1: it is not to be pipelined
    connections_per_minute: float | None
    addresses_per_second: float | None
    random_probe: RandomProbe
    probing: Probing
    hides_answer: bool  # a 250 or a 550 at RCPT says nothing about the mailbox
    source: Mapping[str, str]
    date: str  # year and month of the reading


CLAIMS = ("mx", "limits", "random_probe", "probing", "hides_answer", "free")
NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")  # no dot: a provider's name never equals a registrable domain


class Providers:
    """All rows, found by name or by mail host."""

    def __init__(self, rows: Iterable[Provider], further_free_domains: Iterable[str] = ()) -> None:
        self.rows = tuple(rows)
        self._by_name = {row.name: row for row in self.rows}
        self._by_host = {host: row for row in self.rows for host in row.mx_hosts}
        self._by_suffix = {suffix: row for row in self.rows for suffix in row.mx_suffixes}
        self._free = frozenset(further_free_domains) | {domain for row in self.rows for domain in row.free_domains}

    def named(self, name: str) -> Provider | None:
        return self._by_name.get(name)

    def of_host(self, mx_host: str) -> Provider | None:
        """The provider that runs ``mx_host``, or None."""
        host = mx_host.lower().rstrip(".")
        if host in self._by_host:
            return self._by_host[host]
        dot = host.find(".")
        while dot != -1:
            if (row := self._by_suffix.get(host[dot:])) is not None:
                return row
            dot = host.find(".", dot + 1)
        return None

    def is_free(self, domain: str) -> bool:
        """Whether anyone can have a mailbox at ``domain``, so that it does not tell who employs them."""
        return domain.lower() in self._free

    def free_domains(self) -> frozenset[str]:
        return self._free


@cache
def load_providers() -> Providers:
    """The rows of ``providers.toml``, checked.

    Raises:
        ValueError: the file contradicts itself; the text names the row.
    """
    text = files("ct_pipeline.domains").joinpath("providers.toml").read_text(encoding="utf-8")
    return read_providers(text)


def read_providers(text: str) -> Providers:
    """Providers from the text of a TOML file: ``[[provider]]`` rows, and ``[[free]]`` lists of further free domains.

    Raises:
        ValueError: a row lacks a claim's source, has an unknown key, or takes what another row has.
    """
    document = tomllib.loads(text)
    rows = [_read_row(table) for table in document.get("provider", [])]
    further = [domain for table in document.get("free", []) for domain in _read_free(table)]
    _refuse_twice("provider", [row.name for row in rows])
    _refuse_twice("mail host", [pattern for row in rows for pattern in row.mx_suffixes + row.mx_hosts])
    _refuse_twice("free domain", [domain for row in rows for domain in row.free_domains] + further)
    return Providers(rows, further)


def _read_row(table: dict[str, Any]) -> Provider:
    name = table.get("name", "")
    try:
        row = Provider(
            name=name,
            title=table.pop("title"),
            mx_suffixes=tuple(table.pop("mx_suffixes", ())),
            mx_hosts=tuple(table.pop("mx_hosts", ())),
            free_domains=tuple(table.pop("free_domains", ())),
            has_lane=table.pop("has_lane"),
            connections=table.pop("connections", None),
            session_addresses=table.pop("session_addresses", None),
            window=table.pop("window", None),
            connections_per_minute=table.pop("connections_per_minute", None),
            addresses_per_second=table.pop("addresses_per_second", None),
            random_probe=RandomProbe(table.pop("random_probe")),
            probing=Probing(table.pop("probing")),
            hides_answer=table.pop("hides_answer"),
            source=MappingProxyType(table.pop("source")),
            date=table.pop("date"),
        )
    except KeyError as error:
        raise ValueError(f"provider {name!r} lacks {error}") from None
    if unknown := table.keys() - {"name"}:
        raise ValueError(f"provider {name!r} has unknown keys: {', '.join(sorted(unknown))}")
    if not NAME.fullmatch(name) or name.startswith("small"):
        raise ValueError(f"provider {name!r}: a name is lower-case letters, digits and underscores, and not a lane's")
    if not row.mx_suffixes and not row.mx_hosts:
        raise ValueError(f"provider {name!r} has no mail hosts")
    if any(not suffix.startswith(".") for suffix in row.mx_suffixes):
        raise ValueError(f"provider {name!r}: a suffix starts with a dot")
    if missing := [claim for claim in CLAIMS if not row.source.get(claim)]:
        raise ValueError(f"provider {name!r} lacks the source of: {', '.join(missing)}")
    return row


def _read_free(table: dict[str, Any]) -> list[str]:
    if not table.get("source") or not table.get("date"):
        raise ValueError("a list of free domains lacks its source or date")
    return table["domains"]


def _refuse_twice(what: str, values: list[str]) -> None:
    if twice := sorted({value for value in values if values.count(value) > 1}):
        raise ValueError(f"{what} listed twice: {', '.join(twice)}")
