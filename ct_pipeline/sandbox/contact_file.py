"""The population as a contact file, with the faults that real contact files have."""

import csv
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

from ct_pipeline.sandbox.population import PACKAGED_FOLDER, Mailbox, read_inhabitants

T = TypeVar("T")

SEED = 20261101
DUPLICATE_RATE = 0.02
MESSY_RATE = 0.05
COUNTRIES = ("AT", "BR", "CH", "DE", "ES", "FR", "IN", "KE", "NL", "PL", "SE", "SG", "US")

SYNTAX_FAULTS = (
    "",
    "none",
    "not an address",
    "anna.keller(at)acme.test",
    "@acme.test",
    "anna.keller@",
    "anna@@acme.test",
    "anna..keller@acme.test",
    "anna keller@acme.test",
    "anna@acme..test",
    "anna@-acme-.test",
    "anna@localhost",
)
"""Cells that are no address at all: Invalid, whatever the network says."""


class ContactFileSummary(NamedTuple):
    row_count: int
    address_count: int  # distinct, without the syntax faults
    syntax_fault_count: int


def write_contact_file(path: Path, folder: Path = PACKAGED_FOLDER, seed: int = SEED) -> ContactFileSummary:
    """Write name, country and email of everyone in ``folder``'s population; gzipped when ``path`` ends in ``.gz``.

    Some rows stand twice, some spell the address in another way, and :data:`SYNTAX_FAULTS` are mixed in. The same seed
    gives the same file.
    """
    mailboxes = read_inhabitants(folder).mailboxes
    random = Random(seed)  # noqa: S311 not for secrets
    rows = [row for mailbox in mailboxes for row in _rows(mailbox, random)]
    rows += [("Nobody", _pick(COUNTRIES, random), fault) for fault in SYNTAX_FAULTS]
    rows = [row for _, row in sorted((random.random(), row) for row in rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "country", "email"])
        writer.writerows(rows)
    return ContactFileSummary(len(rows), len({mailbox.address for mailbox in mailboxes}), len(SYNTAX_FAULTS))


def _rows(mailbox: Mailbox, random: Random) -> Iterator[tuple[str, str, str]]:
    name, country = _name(mailbox.address), _pick(COUNTRIES, random)
    spelling = _readable(mailbox.address)
    messy = random.random() < MESSY_RATE
    yield name, country, _pick(SPELLINGS, random)(spelling, name) if messy else spelling
    if random.random() < DUPLICATE_RATE:
        yield name, country, _pick(SPELLINGS, random)(spelling, name)


def _upper_domain(address: str, _name: str) -> str:
    local_part, _, domain = address.rpartition("@")
    return f"{local_part}@{domain.upper() if domain.isascii() else domain}"


SPELLINGS: tuple[Callable[[str, str], str], ...] = (
    lambda address, _: f"  {address} ",
    lambda address, _: f"{address}\t",
    lambda address, _: f"mailto:{address}",
    lambda address, _: f"<{address}>",
    lambda address, name: f"{name} <{address}>",
    lambda address, name: f'"{name}" <{address}>',
    lambda address, _: f"{address}.",
    lambda address, _: f"\u200b{address}",  # zero width space, as copied from a web page
    lambda address, _: address.title() if address.isascii() else address,
    _upper_domain,
)
"""Ways to write an address that a good normalizer takes for the same one."""


def _readable(address: str) -> str:
    """The domain as its owner writes it: ``xn--`` labels become letters again."""
    local_part, _, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    return f"{local_part}@{domain.encode('ascii').decode('idna')}"


def _name(address: str) -> str:
    words = address.rpartition("@")[0].replace("-", " ").replace(".", " ").split()
    return " ".join(word.capitalize() for word in words)


def _pick(choices: tuple[T, ...], random: Random) -> T:
    return choices[int(random.random() * len(choices))]
