"""``python -m ct_pipeline.sandbox.generate``: write the packaged hosts, domains and population again.

The same seed gives the same files, on every supported Python. All names end in the reserved ``.test``, but for the
hosts and consumer domains of large providers and disposable services, which must be recognised by name; there the local
part is ``ct-sandbox-0001`` and so on, which is nobody's.
"""

from collections.abc import Sequence
from random import Random

from ct_pipeline.sandbox.behaviours import Accepts, DomainDns, MailboxBehaviour
from ct_pipeline.sandbox.business_plan import HOSTERS, SMALL_BUSINESSES, SPECIAL_BUSINESSES, SmallBusinesses
from ct_pipeline.sandbox.invented_names import DOMAIN_WORDS, FIRST_NAMES, LAST_NAMES, ROLES, TRADES
from ct_pipeline.sandbox.population import (
    PACKAGED_FOLDER,
    Inhabitants,
    Mailbox,
    MailDomain,
    MailHost,
    serving_hosts,
    write_inhabitants,
)
from ct_pipeline.sandbox.provider_plan import DISPOSABLE, PROVIDERS, TYPOS, LargeProvider
from ct_pipeline.sandbox.truth import tell_truth

SEED = 20261123
ROLE_RATE = 0.5  # of the small businesses list a role address


def generate(seed: int = SEED) -> Inhabitants:
    """About 4,000 mailboxes of about 450 domains, six in ten of them at large providers."""
    world = _World(seed)
    for provider in PROVIDERS:
        world.add_provider(provider)
    for hoster in HOSTERS:
        for number in (1, 2):
            world.add_host(f"mx{number}.{hoster.name}", hoster.behaviour, hoster.style, note=hoster.note)
    for kind in SMALL_BUSINESSES:
        for _ in range(kind.domain_count):
            world.add_business(world.business_name(), kind)
    for name, kind in SPECIAL_BUSINESSES:
        world.add_business(name, kind)
    world.add_disposable()
    world.add_typos()
    return Inhabitants(list(world.hosts.values()), world.domains, world.mailboxes)


class _World:
    def __init__(self, seed: int) -> None:
        self.hosts: dict[str, MailHost] = {}
        self.domains: list[MailDomain] = []
        self.mailboxes: list[Mailbox] = []
        self._random = Random(seed)  # noqa: S311 not for secrets
        self._machine_count = 0
        self._nobody_count = 0
        self._used_names: set[str] = set()
        self._domains_by_name: dict[str, MailDomain] = {}

    def add_provider(self, provider: LargeProvider) -> None:
        machines = [self._next_address() for _ in range(2)]
        for consumer in provider.consumer:
            names = self._provider_hosts(consumer.mail_hosts, provider, machines)
            domain = self._add_domain(MailDomain(consumer.domain, mail_hosts=names, note=provider.title))
            for _ in range(consumer.mailbox_count):
                self._add_mailbox(self._nobody(), self._behaviour(provider.mix), domain, ["free"])
        for number in range(provider.customer_domain_count):
            name = self.business_name()
            patterns = [pattern.format(name=name.replace(".", "-")) for pattern in provider.customer_hosts]
            names = self._provider_hosts(patterns, provider, machines)
            is_catch_all = number < provider.catch_all_count
            accepts = Accepts.EVERY_NAME if is_catch_all else Accepts.KNOWN_NAMES
            note = f"customer of {provider.title}" + (", catch-all" if is_catch_all else "")
            domain = self._add_domain(MailDomain(name, mail_hosts=names, accepts=accepts, note=note))
            self._add_people(domain, self._about(provider.customer_mailbox_count), provider.mix)

    def add_business(self, name: str, kind: SmallBusinesses) -> None:
        domain = MailDomain(name, kind.dns, self._business_hosts(name, kind), kind.accepts, kind.note)
        self._add_domain(domain)
        for local_part in kind.local_parts:
            self._add_mailbox(local_part, MailboxBehaviour.EXISTS, domain)
        if not kind.local_parts:
            self._add_people(domain, self._about(kind.mailbox_count), kind.mix)
        if kind.lists_roles and self._random.random() < ROLE_RATE:
            self._add_mailbox(self._pick(ROLES), MailboxBehaviour.EXISTS, domain, ["role"])

    def add_disposable(self) -> None:
        for name, accepts in DISPOSABLE:
            host = self.add_host(f"mail.{name}", note="a disposable service")
            domain = self._add_domain(MailDomain(name, mail_hosts=(host,), accepts=accepts, note="disposable"))
            for _ in range(3):
                self._add_mailbox(self._nobody(), MailboxBehaviour.EXISTS, domain, ["disposable"])

    def add_typos(self) -> None:
        for typo, meant in TYPOS:
            domain = self._add_domain(MailDomain(typo, DomainDns.NXDOMAIN, note=f"a typing error for {meant}"))
            for _ in range(2):
                self._add_mailbox(self._nobody(), MailboxBehaviour.MISSING, domain, note=f"probably {meant}")

    def add_host(
        self, name: str, behaviour: str = "normal", style: str = "postfix", address: str = "", note: str = ""
    ) -> str:
        self.hosts.setdefault(name, MailHost(name, behaviour, style, address or self._next_address(), note))
        return name

    def business_name(self) -> str:
        while True:
            name = f"{self._pick(DOMAIN_WORDS)}-{self._pick(TRADES)}.test"
            if name not in self._used_names:
                self._used_names.add(name)
                return name

    def _provider_hosts(self, names: Sequence[str], provider: LargeProvider, machines: list[str]) -> tuple[str, ...]:
        return tuple(
            self.add_host(
                name, provider.behaviour, provider.style, machines[place % 2], f"{provider.title} {provider.manner}"
            )
            for place, name in enumerate(names)
        )

    def _business_hosts(self, name: str, kind: SmallBusinesses) -> tuple[str, ...]:
        if kind.hoster:
            return (f"mx1.{kind.hoster}", f"mx2.{kind.hoster}")
        if kind.dns is DomainDns.ALIAS:
            return (next(domain.domain for domain in self.domains if not domain.note and domain.dns is DomainDns.MX),)
        if kind.dns is DomainDns.IMPLICIT_MX:
            self.add_host(name, kind.behaviour, self._pick(kind.styles))
        if kind.dns is not DomainDns.MX:
            return ()
        if kind.address:
            return (self.add_host(f"mail.{name}", "dead", address=kind.address, note=kind.note),)
        hosts = [self.add_host(f"mx1.{name}", "dead", note="down; mx2 stands in")] if kind.has_fallback else []
        label = "mx2" if kind.has_fallback else self._pick(("mail", "mx", "smtp"))
        return (*hosts, self.add_host(f"{label}.{name}", kind.behaviour, self._pick(kind.styles), note=kind.note))

    def _add_domain(self, domain: MailDomain) -> MailDomain:
        self.domains.append(domain)
        self._domains_by_name[domain.domain] = domain
        return domain

    def _add_people(self, domain: MailDomain, count: int, mix: Sequence[tuple[float, MailboxBehaviour]]) -> None:
        taken: set[str] = set()
        while len(taken) < count:
            first, last = self._pick(FIRST_NAMES), self._pick(LAST_NAMES)
            local_part = self._pick(
                (f"{first}.{last}", f"{first}.{last}", f"{first[0]}.{last}", first, f"{last}.{first}")
            )
            if local_part not in taken:
                taken.add(local_part)
                behaviour = MailboxBehaviour.EXISTS if domain.accepts is Accepts.EVERY_NAME else self._behaviour(mix)
                self._add_mailbox(local_part, behaviour, domain)

    def _add_mailbox(
        self,
        local_part: str,
        behaviour: MailboxBehaviour,
        domain: MailDomain,
        flags: Sequence[str] = (),
        note: str = "",
    ) -> None:
        hosts = [self.hosts[name] for name in serving_hosts(domain, self._domains_by_name)]
        self.mailboxes.append(tell_truth(f"{local_part}@{domain.domain}", behaviour, domain, hosts, flags, note))

    def _behaviour(self, mix: Sequence[tuple[float, MailboxBehaviour]]) -> MailboxBehaviour:
        drawn = self._random.random()
        for share, behaviour in mix:
            if drawn < share:
                return behaviour
            drawn -= share
        return MailboxBehaviour.EXISTS

    def _nobody(self) -> str:
        self._nobody_count += 1
        return f"ct-sandbox-{self._nobody_count:04}"

    def _about(self, count: int) -> int:
        """``count``, give or take a half."""
        return max(1, round(count * (0.5 + self._random.random())))

    def _next_address(self) -> str:
        self._machine_count += 1
        return f"127.77.{1 + self._machine_count // 250}.{1 + self._machine_count % 250}"

    def _pick(self, choices: Sequence[str]) -> str:
        # Random.random() is the one method whose sequence Python promises to keep
        return choices[int(self._random.random() * len(choices))]


if __name__ == "__main__":
    write_inhabitants(generate(), PACKAGED_FOLDER)
