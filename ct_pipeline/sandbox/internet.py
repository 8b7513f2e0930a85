"""The running sandbox: DNS, mail hosts and CleverTap together, and the settings that point a pipeline at them."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from ct_pipeline.sandbox.behaviours import DomainDns
from ct_pipeline.sandbox.clevertap.account import Access
from ct_pipeline.sandbox.clevertap.account_file import read_account_file, write_account_file
from ct_pipeline.sandbox.clevertap.faults import Faults, Switches
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.sandbox.command_log import CommandLog
from ct_pipeline.sandbox.crowd import with_crowd
from ct_pipeline.sandbox.dns_server import DnsServer
from ct_pipeline.sandbox.in_thread import run_in_thread
from ct_pipeline.sandbox.mail_hosts import MailHosts
from ct_pipeline.sandbox.people import address_count, people
from ct_pipeline.sandbox.population import (
    PACKAGED_FOLDER,
    Inhabitants,
    Mailbox,
    MailDomain,
    MailHost,
    read_inhabitants,
    with_addresses,
)
from ct_pipeline.sandbox.zones import HELO_NAME, MAIL_FROM, PROBER_DOMAIN, PROBER_HOST, zone_of

NETWORK = "127.77.0.0/16"
DNS_ADDRESS = "127.77.0.1"
DNS_PORT = 5353
SMTP_PORT = 2525
GREYLIST_SECONDS = 20.0


class Sandbox:
    """A small internet. Without ``population`` and ``domains`` it is that of the CSV files in ``folder``.

    A test makes its own in a few lines::

        async with Sandbox(
            hosts=[MailHost("mx.slow.test", behaviour="greylists")],
            domains=[MailDomain("acme.test"), MailDomain("slow.test"), MailDomain("gone.test", DomainDns.NXDOMAIN)],
            population=[Mailbox("anna@acme.test"), Mailbox("bob@slow.test", MailboxBehaviour.FULL)],
            records={"odd.test": ["MX 10 mx.acme.test.", "MX 5 localhost."]},
            smtp_port=0,
            dns_port=0,
        ) as sandbox:
            sandbox.environment  # CT_NAMESERVERS=127.77.0.1:41234, CT_SMTP_PORT=40001, ...

    A host that a domain names and ``hosts`` does not is a normal one; a domain that only ``population`` mentions has a
    normal host too. ``records`` are DNS names that are added or replaced. Port 0 takes a free port.
    ``greylist_seconds`` is the wait of the hosts that greylist, ``reply_seconds`` what every host takes to answer a
    command. ``log_path`` gets one line per command.

    With ``profiles`` (a few, by hand) or ``profile_count`` (that many, made of the population and a crowd around it) a
    CleverTap account is simulated too: ``sandbox.clevertap``, and its connection in ``environment``::

        profiles = [AccountProfile("cust-1", "anna@acme.test"), AccountProfile(email="bob@slow.test")]
        async with Sandbox(population=..., profiles=profiles, smtp_port=0, dns_port=0) as sandbox:
            sandbox.clevertap.opt_out(identity="cust-1")

    With ``account_path`` the account is left in that file at the end, and begins as it was left there.
    """

    def __init__(
        self,
        *,
        population: Sequence[Mailbox] | None = None,
        domains: Sequence[MailDomain] | None = None,
        hosts: Sequence[MailHost] = (),
        records: Mapping[str, Sequence[str]] | None = None,
        smtp_port: int = SMTP_PORT,
        dns_address: str = DNS_ADDRESS,
        dns_port: int = DNS_PORT,
        log_path: Path | None = None,
        greylist_seconds: float = GREYLIST_SECONDS,
        reply_seconds: float = 0.0,
        folder: Path = PACKAGED_FOLDER,
        profiles: Sequence[AccountProfile] | None = None,
        profile_count: int = 0,
        seed: int = 0,
        clevertap_port: int = 0,
        clevertap_log_path: Path | None = None,
        faults: Faults | None = None,
        switches: Switches | None = None,
        access: Access | None = None,
        account_path: Path | None = None,
    ) -> None:
        if population is None and domains is None:
            given = read_inhabitants(folder)
        else:
            given = Inhabitants(hosts, domains or (), population or ())
        self.inhabitants = _with_everyone(given, profile_count, seed)
        self._clevertap: CleverTapSimulator | None = None
        self._account_path = account_path
        if profiles is not None or profile_count:
            residents = self.inhabitants.mailboxes[1:]  # all but the prober
            if account_path is not None and account_path.exists():
                everyone: Iterable[AccountProfile] = read_account_file(account_path)
            else:
                everyone = [*(profiles or ()), *people(residents, profile_count, time.time(), seed)]
            self._clevertap = CleverTapSimulator(
                everyone,
                faults=faults or Faults(seed=seed),
                switches=switches,
                access=access,
                port=clevertap_port,
                log_path=clevertap_log_path,
            )
        self.log_path = log_path
        self._records = records or {}
        self._smtp_port, self._dns_address, self._dns_port = smtp_port, dns_address, dns_port
        self._greylist_seconds = greylist_seconds
        self._reply_seconds = reply_seconds
        self._log = CommandLog()
        self._mail_hosts: MailHosts | None = None
        self._dns: DnsServer | None = None

    @property
    def smtp_port(self) -> int:
        return self._mail_hosts.port if self._mail_hosts else self._smtp_port

    @property
    def nameserver(self) -> str:
        """``ip:port`` of the DNS server."""
        port = self._dns.port if self._dns else self._dns_port
        return f"{self._dns_address}:{port}"

    @property
    def clevertap(self) -> CleverTapSimulator:
        """The simulated CleverTap account; there is one when profiles were asked for."""
        assert self._clevertap is not None, "the sandbox was made without profiles"
        return self._clevertap

    @property
    def has_clevertap(self) -> bool:
        return self._clevertap is not None

    @property
    def environment(self) -> dict[str, str]:
        """The CT_ variables that point a pipeline at the sandbox, and connect it with the account if there is one."""
        account = self._clevertap.environment if self._clevertap else {}
        return sandbox_environment(self.smtp_port, self.nameserver) | account

    @property
    def data_offences(self) -> int:
        """How often someone tried to send a message."""
        return self._log.data_offences

    @property
    def machine_count(self) -> int:
        """Mail hosts that listen, once started."""
        return self._mail_hosts.machine_count if self._mail_hosts else 0

    def host_address(self, host: str) -> str:
        """The loopback address of a mail host by name."""
        return next(entry.address for entry in self.inhabitants.hosts if entry.host == host)

    def command_count(self, command: str) -> int:
        """How many commands of this name the mail hosts have seen, e.g. ``RCPT``."""
        return self._log.counts[command]

    async def __aenter__(self) -> Self:
        """Raises SettingsError when a port is taken; names the flag."""
        self._log = CommandLog(self.log_path)
        everyone = self.inhabitants
        mail_hosts = MailHosts(
            everyone,
            self._log,
            port=self._smtp_port,
            greylist_seconds=self._greylist_seconds,
            reply_seconds=self._reply_seconds,
        )
        dns = DnsServer(
            zone_of(everyone.hosts, everyone.domains) | _lists(self._records), self._dns_address, self._dns_port
        )
        try:
            await dns.start()
            self._dns = dns
            await mail_hosts.start()
            self._mail_hosts = mail_hosts
            if self._clevertap is not None:
                await self._clevertap.__aenter__()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._clevertap is not None:
            await self._clevertap.__aexit__()
            if self._account_path is not None:
                write_account_file(self._account_path, self._clevertap.account)
        if self._mail_hosts is not None:
            await self._mail_hosts.stop()
        if self._dns is not None:
            await self._dns.stop()
        self._log.close()

    @contextmanager
    def run_in_thread(self) -> "Iterator[Self]":
        """The same from code without an event loop: it runs in a thread of its own until the block ends."""
        with run_in_thread(self, "ct-sandbox"):
            yield self


def sandbox_environment(smtp_port: int = SMTP_PORT, nameserver: str = f"{DNS_ADDRESS}:{DNS_PORT}") -> dict[str, str]:
    """The CT_ variables that point a pipeline at a sandbox. The waits are short: nothing on loopback is far away."""
    return {
        "CT_NAMESERVERS": nameserver,
        "CT_SMTP_PORT": str(smtp_port),
        "CT_ALLOWED_NETWORKS": NETWORK,
        "CT_HELO_NAME": HELO_NAME,
        "CT_MAIL_FROM": MAIL_FROM,
        "CT_CONNECT_TIMEOUT_SECONDS": "3",
        "CT_GREETING_TIMEOUT_SECONDS": "5",
        "CT_REPLY_TIMEOUT_SECONDS": "5",
        "CT_DNS_TIMEOUT_SECONDS": "5",
    }


def sandbox_mailboxes(profile_count: int, folder: Path = PACKAGED_FOLDER, seed: int = 0) -> list[Mailbox]:
    """Who lives in a sandbox with so many profiles, with the truth: its population and the crowd around it."""
    return list(_with_everyone(read_inhabitants(folder), profile_count, seed).mailboxes[1:])


def _with_everyone(given: Inhabitants, profile_count: int, seed: int) -> Inhabitants:
    """The prober first, then the given inhabitants, then as large a crowd as the profiles need."""
    completed = _completed(given)
    prober, *residents = completed.mailboxes
    crowded = with_crowd(Inhabitants(completed.hosts, completed.domains, residents), address_count(profile_count), seed)
    return Inhabitants(crowded.hosts, crowded.domains, [prober, *crowded.mailboxes])


def _completed(given: Inhabitants) -> Inhabitants:
    """With the prober's own domain, a domain for every mailbox, a host for every domain, an address for every host."""
    domains = {domain.domain: domain for domain in [PROBER_DOMAIN, *given.domains]}
    for mailbox in given.mailboxes:
        domains.setdefault(mailbox.domain, MailDomain(mailbox.domain))
    hosts = {host.host: host for host in [PROBER_HOST, *given.hosts]}
    for domain in domains.values():
        if domain.dns in (DomainDns.MX, DomainDns.IMPLICIT_MX):
            for name in domain.hosts:
                hosts.setdefault(name, MailHost(name))
    everyone = [Mailbox(MAIL_FROM, note="the prober's own mailbox"), *given.mailboxes]
    return Inhabitants(with_addresses(hosts.values()), list(domains.values()), everyone)


def _lists(records: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(lines) for name, lines in records.items()}
