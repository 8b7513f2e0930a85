"""Reads the rows of ``providers.toml``, and refuses those that are not sourced or contradict another."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ct_pipeline.domains.provider import CLAIMS, LIMITS, Accepts, FreeList, Probing, Provider, RandomProbe, Refuses
from ct_pipeline.domains.provider_source import read_source, read_sources

NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")  # no dot: a provider's name never equals a registrable domain
HOST = re.compile(r"([a-z0-9_-]+\.)+[a-z0-9-]*[a-z][a-z0-9-]*")


def read_rows(text: str) -> tuple[list[Provider], list[FreeList]]:
    """The providers and the further free domains of a TOML file, in its order.

    Raises:
        ValueError: a claim lacks its source, a row has an unknown key, or takes what another row has.
    """
    document = tomllib.loads(text)
    rows = [_read_row(table) for table in document.pop("provider", [])]
    free_lists = [_read_free_list(table) for table in document.pop("free", [])]
    if document:
        raise ValueError(f"unknown tables: {', '.join(sorted(document))}; there are [[provider]] and [[free]]")
    _refuse_twice("provider", [row.name for row in rows])
    _refuse_twice("mail host", [pattern for row in rows for pattern in row.mx_suffixes + row.mx_hosts])
    _refuse_twice(
        "free domain",
        [domain for row in rows for domain in row.free_domains]
        + [domain for free in free_lists for domain in free.domains],
    )
    return rows, free_lists


def _read_row(table: dict[str, Any]) -> Provider:
    name = table.pop("name", "")
    try:
        row = Provider(
            name=name,
            title=table.pop("title"),
            mx_suffixes=tuple(table.pop("mx_suffixes", ())),
            mx_hosts=tuple(table.pop("mx_hosts", ())),
            free_domains=tuple(table.pop("free_domains", ())),
            has_lane=table.pop("has_lane", False),
            connections=table.pop("connections", None),
            session_addresses=table.pop("session_addresses", None),
            window=table.pop("window", None),
            connections_per_minute=table.pop("connections_per_minute", None),
            addresses_per_second=table.pop("addresses_per_second", None),
            random_probe=RandomProbe(table.pop("random_probe", RandomProbe.SAME_SESSION)),
            probing=Probing(table.pop("probing", Probing.ALLOWED)),
            accepts=Accepts(table.pop("accepts", Accepts.BELIEVED)),
            refuses=Refuses(table.pop("refuses", Refuses.BELIEVED)),
            source=read_sources(table.pop("source", {}), CLAIMS),
        )
        _refuse_unknown(table)
        _check_names(row)
        _check_limits(row)
        _check_answers(row)
        _check_sourced(row)
    except KeyError as error:
        raise ValueError(f"provider {name!r} lacks {error}") from None
    except ValueError as error:
        raise ValueError(f"provider {name!r}: {error}") from None
    return row


def _check_names(row: Provider) -> None:
    if not NAME.fullmatch(row.name) or row.name.startswith("small"):
        raise ValueError("a name is lower-case letters, digits and underscores, and not a lane's")
    if not row.mx_suffixes and not row.mx_hosts:
        raise ValueError("it has no mail hosts")
    for suffix in row.mx_suffixes:
        if not suffix.startswith("."):
            raise ValueError(f"a suffix starts with a dot, unlike {suffix!r}")
    _check_hosts((*(suffix[1:] for suffix in row.mx_suffixes), *row.mx_hosts, *row.free_domains))


def _check_limits(row: Provider) -> None:
    for limit in LIMITS:
        value = getattr(row, limit)
        if value is not None and value <= 0:
            raise ValueError(f"{limit} is {value}; a limit is above 0, and left out where none is known")


def _check_answers(row: Provider) -> None:
    never = row.random_probe is RandomProbe.NEVER
    if row.accepts is Accepts.HIDDEN and not never:
        raise ValueError('accepts = "hidden" needs random_probe = "never": its answer would be taken for a catch-all')
    if row.accepts is Accepts.IN_DOUBT and never:
        raise ValueError('accepts = "in_doubt" needs a random probe: only its refusal makes a 250 an answer')


def _check_sourced(row: Provider) -> None:
    """What departs from the behaviour toward a host that nobody knows is sourced."""
    departures = {
        "limits": any((row.connections, row.session_addresses, row.connections_per_minute, row.addresses_per_second)),
        "pipelining": row.window is not None,
        "random_probe": row.random_probe is not RandomProbe.SAME_SESSION,
        "probing": row.probing is not Probing.ALLOWED,
        "accepts": row.accepts is not Accepts.BELIEVED,
        "refuses": row.refuses is not Refuses.BELIEVED,
    }
    if unsourced := [claim for claim, departs in departures.items() if departs and row.source[claim].is_none]:
        raise ValueError(f"departs from the default without a source in: {', '.join(unsourced)}")


def _read_free_list(table: dict[str, Any]) -> FreeList:
    domains = tuple(table.pop("domains", ()))
    try:
        free = FreeList(domains, read_source(table.pop("source", None)))
        _refuse_unknown(table)
        _check_hosts(domains)
    except ValueError as error:
        raise ValueError(f"list of free domains that begins with {', '.join(domains[:2])}: {error}") from None
    return free


def _refuse_unknown(left: dict[str, Any]) -> None:
    if left:
        raise ValueError(f"unknown keys: {', '.join(sorted(left))}")


def _check_hosts(names: Iterable[str]) -> None:
    for name in names:
        if not HOST.fullmatch(name):
            raise ValueError(f"{name!r} is no host name in lower case")


def _refuse_twice(what: str, values: list[str]) -> None:
    if twice := sorted(value for value, count in Counter(values).items() if count > 1):
        raise ValueError(f"{what} listed twice: {', '.join(twice)}")
