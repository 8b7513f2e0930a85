"""Who lives in the sandbox: mail hosts, mail domains and mailboxes, and the three CSV files that hold them.

The files are the only source of truth. Mail hosts and DNS server behave as the first two say and as ``behaviour`` in
the third one says; the ``truth_`` columns are what a perfect and honest verifier says of each address.
"""

import csv
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.behaviours import (
    HOST_BEHAVIOURS,
    Accepts,
    Decidable,
    DomainDns,
    HostBehaviour,
    MailboxBehaviour,
)
from ct_pipeline.vocabulary import Reason, Status

PACKAGED_FOLDER = Path(__file__).parent / "inhabitants"


@dataclass(frozen=True, slots=True)
class MailHost:
    """A name that MX records can point at. Names with the same address are one machine.

    ``address`` may be left empty: :func:`with_addresses` then gives a free one.
    """

    host: str
    behaviour: str = "normal"  # a key of HOST_BEHAVIOURS
    style: str = "postfix"  # a table of reply_styles.toml
    address: str = ""
    note: str = ""

    @property
    def does(self) -> HostBehaviour:
        return HOST_BEHAVIOURS[self.behaviour]


@dataclass(frozen=True, slots=True)
class MailDomain:
    """A mail domain. ``mail_hosts`` are in order of preference; empty with dns ``mx`` means ``mx.<domain>``."""

    domain: str
    dns: DomainDns = DomainDns.MX
    mail_hosts: tuple[str, ...] = ()
    accepts: Accepts = Accepts.KNOWN_NAMES
    note: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names whose A records lead to the mail hosts of this domain."""
        if self.dns is DomainDns.MX:
            return self.mail_hosts or (f"mx.{self.domain}",)
        return (self.domain,) if self.dns is DomainDns.IMPLICIT_MX else ()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address of the population and the truth about it. ``address`` is normalized: lower case, A-label domain."""

    address: str
    behaviour: MailboxBehaviour = MailboxBehaviour.EXISTS
    truth_status: Status = Status.VALID
    truth_reason: Reason = Reason.ACCEPTED
    truth_flags: tuple[str, ...] = ()  # of: disposable, free, role
    decidable: Decidable = Decidable.YES
    note: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True)
class Inhabitants:
    """A whole sandbox internet, as data."""

    hosts: Sequence[MailHost]
    domains: Sequence[MailDomain]
    mailboxes: Sequence[Mailbox]


def population() -> list[Mailbox]:
    """The mailboxes that come with the package, in file order."""
    return list(read_inhabitants().mailboxes)


def read_inhabitants(folder: Path = PACKAGED_FOLDER) -> Inhabitants:
    """Hosts, domains and mailboxes from the files of ``folder``.

    Raises:
        SettingsError: a file is missing, or a cell holds a word that is on no list; names file, line and word.
    """
    return Inhabitants(
        hosts=_read(folder / "hosts.csv", _host),
        domains=_read(folder / "domains.csv", _domain),
        mailboxes=_read(folder / "population.csv", _mailbox),
    )


def write_inhabitants(inhabitants: Inhabitants, folder: Path) -> None:
    """Write the three files into ``folder``, which is made when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "hosts.csv", ["host", "address", "behaviour", "style", "note"], inhabitants.hosts)
    _write(folder / "domains.csv", ["domain", "dns", "mail_hosts", "accepts", "note"], inhabitants.domains)
    _write(
        folder / "population.csv",
        ["address", "domain", "behaviour", "truth_status", "truth_reason", "truth_flags", "decidable", "note"],
        inhabitants.mailboxes,
    )


def serving_hosts(domain: MailDomain, domains: Mapping[str, MailDomain]) -> tuple[str, ...]:
    """The mail hosts that serve ``domain``; those of the other domain when it is an alias."""
    if domain.dns is DomainDns.ALIAS:
        return domains[domain.mail_hosts[0]].hosts
    return domain.hosts


def with_addresses(hosts: Iterable[MailHost]) -> list[MailHost]:
    """The hosts, with a loopback address from 127.77.200.0/21 for each that has none."""
    numbered = []
    for number, host in enumerate(hosts):
        address = host.address or f"127.77.{200 + number // 250}.{1 + number % 250}"
        numbered.append(dataclasses.replace(host, address=address))
    return numbered


def _host(row: dict[str, str]) -> MailHost:
    if row["behaviour"] not in HOST_BEHAVIOURS:
        raise ValueError(f"{row['behaviour']!r} is no behaviour of a mail host; one of {', '.join(HOST_BEHAVIOURS)}")
    return MailHost(row["host"], row["behaviour"], row["style"], row["address"], row["note"])


def _domain(row: dict[str, str]) -> MailDomain:
    hosts = tuple(row["mail_hosts"].split())
    return MailDomain(row["domain"], DomainDns(row["dns"]), hosts, Accepts(row["accepts"]), row["note"])


def _mailbox(row: dict[str, str]) -> Mailbox:
    return Mailbox(
        address=row["address"],
        behaviour=MailboxBehaviour(row["behaviour"]),
        truth_status=Status(row["truth_status"]),
        truth_reason=Reason(row["truth_reason"]),
        truth_flags=tuple(row["truth_flags"].split()),
        decidable=Decidable(row["decidable"]),
        note=row["note"],
    )


def _read(path: Path, build: Any) -> list[Any]:
    records = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                try:
                    records.append(build(row))
                except (KeyError, ValueError) as error:
                    raise SettingsError(f"{path}, line {line}: {error}") from None
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror}. The folder needs hosts.csv, domains.csv, population.csv"
        ) from None
    return records


def _write(path: Path, columns: list[str], records: Iterable[object]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(getattr(record, column)) for column in columns] for record in records)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return value.value if isinstance(value, StrEnum) else str(value)
