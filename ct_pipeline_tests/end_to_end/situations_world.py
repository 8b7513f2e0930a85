"""All situations at once, on loopback: their DNS, their mail hosts, and the settings that lead a verifier there."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from ct_pipeline.sandbox.dns_server import DnsServer
from ct_pipeline.sandbox.in_thread import run_in_thread
from ct_pipeline.sandbox.internet import DNS_ADDRESS, NETWORK
from ct_pipeline_tests.end_to_end.situations import SITUATIONS, Situation
from ct_pipeline_tests.verification.scripted_host import ScriptedHost, listening

HOST_ADDRESSES = [f"127.77.20.{n}" for n in range(1, 250)]
NOBODY_LISTENS = "127.77.20.250"


@dataclass
class SituationsWorld:
    """All of ``situations`` at once; ``hosts`` has the mail hosts of each by its name."""

    situations: list[Situation]
    environment: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, list[ScriptedHost]] = field(default_factory=dict)

    def commands(self, name: str) -> list[str]:
        """What the hosts of one situation have heard."""
        return [command for host in self.hosts.get(name, ()) for command in host.commands]

    def addresses(self) -> list[str]:
        """As the ledger has them."""
        return [situation.address(local) for situation in self.situations for local in situation.should_be]

    def contacts(self) -> str:
        """A contact file, with all addresses as their owners spell them."""
        rows = [f"{local}@{one.mail_domain}" for one in self.situations for local in one.should_be]
        return "".join(f"{row}\n" for row in ("email", *rows))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve all that has a name here."""
        async with AsyncExitStack() as servers:
            port, free_addresses = 0, iter(HOST_ADDRESSES)
            zone: dict[str, list[str]] = {}
            for situation in self.situations:
                name = situation.dns_name
                addresses, records = [], []
                for place, script in enumerate(situation.hosts, start=1):
                    address = NOBODY_LISTENS if script is None else next(free_addresses)
                    addresses.append(address)
                    mx_name = situation.mx_name or f"mx{place}.{name}"
                    records.append(f"MX {place} {mx_name}.")
                    zone[mx_name] = [f"A {address}"]
                    if script is not None:
                        host = await servers.enter_async_context(listening(script, address, port))
                        port = host.port
                        self.hosts.setdefault(situation.name, []).append(host)
                if situation.dns is not None:
                    records = [record.format(*addresses) for record in situation.dns]
                if records:
                    zone[name] = records
            dns = DnsServer(zone, DNS_ADDRESS, 0)
            await dns.start()
            servers.push_async_callback(dns.stop)
            self.environment = environment(f"{DNS_ADDRESS}:{dns.port}", port)
            yield


@contextmanager
def situations_world(situations: list[Situation] = SITUATIONS) -> Iterator[SituationsWorld]:
    world = SituationsWorld(situations)
    with run_in_thread(world.running(), "situations"):
        yield world


def environment(nameserver: str, port: int) -> dict[str, str]:
    return {
        "nameservers": nameserver,
        # for the silent ones; all others have that long on a busy machine
        "dns_timeout_seconds": "3",
        "smtp_port": str(port),
        "allowed_networks": NETWORK,
        "helo_name": "prober.test",
        "helo_unchecked": "true",
        "mail_from": "probe@prober.test",
        "connect_timeout_seconds": "3",
        "greeting_timeout_seconds": "3",
        "reply_timeout_seconds": "3",
    }
