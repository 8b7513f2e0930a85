"""Some dozens of domains whose mail hosts do everything wrong but lie, in a process of their own, and what they noted.

``python -m ct_pipeline_tests.end_to_end.chaos_world LOG`` is the process: it takes one JSON object, then serves until
its input ends.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ct_pipeline.sandbox.dns_server import DnsServer
from ct_pipeline.sandbox.internet import DNS_ADDRESS, NETWORK
from ct_pipeline.vocabulary import Status
from ct_pipeline_tests.verification.chaos_host import FAULTS, ChaosHost

ROOT = Path(__file__).parents[2]
SILENT_HOST = 0  # this one never greets: everybody there stays due


@dataclass(frozen=True)
class Plan:
    seed: int
    address_count: int
    domain_count: int
    host_count: int
    reply_seconds: float

    def domains(self) -> list[str]:
        """Two of them accept every name; those of the silent host are recognized by their name."""
        names = [f"{'mute' if self.host_of(n) == SILENT_HOST else 'd'}{n}.test" for n in range(self.domain_count)]
        return ["all1.test", *names[1:-1], f"all{self.domain_count - 1}.test"]

    def host_of(self, domain_number: int) -> int:
        return (domain_number + 1) % self.host_count

    def truth(self) -> dict[str, Status]:
        domains, truth = self.domains(), {}
        for n in range(self.address_count):
            # Three in ten of each domain are dead: where nobody is accepted, refusals have to be heard twice.
            domain, is_live = domains[n % len(domains)], (n // len(domains) + n) * 7 % 10 < 7
            status = Status.VALID if is_live else Status.INVALID
            truth[f"{'live' if is_live else 'dead'}{n}@{domain}"] = (
                Status.CATCH_ALL if domain.startswith("all") else status
            )
        return truth


@dataclass(frozen=True)
class Noted:
    """One line of the log: what happened in a session, and when (seconds since the epoch)."""

    at: float
    host: int
    session: int
    what: str  # begin, said, quit, end
    detail: str  # the fault, or the address


@dataclass
class ChaosWorld:
    plan: Plan
    environment: dict[str, str]
    log_path: Path

    def notes(self) -> list[Noted]:
        lines = self.log_path.read_text().splitlines(keepends=True)
        return [Noted(*json.loads(line)) for line in lines if line.endswith("\n")]

    def answers_since(self, offset: int) -> int:
        """How many questions were answered after the first ``offset`` bytes of the log."""
        with self.log_path.open("rb") as log:
            log.seek(offset)
            return log.read().count(b'"said"')


@contextmanager
def chaos_world(plan: Plan, folder: Path) -> Iterator[ChaosWorld]:
    """The world, for the length of a block."""
    log_path = folder / "chaos.jsonl"
    log_path.touch()
    command = [sys.executable, "-m", "ct_pipeline_tests.end_to_end.chaos_world", str(log_path)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(vars(plan)) + "\n")
        process.stdin.flush()
        yield ChaosWorld(plan, json.loads(process.stdout.readline()), log_path)
    finally:
        process.communicate(timeout=60)


# -- the process ---


async def serve(plan: Plan, log_path: Path) -> None:
    domains = plan.domains()
    zone = {f"mx{n}.test": [f"A {address_of(n)}"] for n in range(plan.host_count)}
    zone |= {domain: [f"MX 10 mx{plan.host_of(n)}.test."] for n, domain in enumerate(domains)}
    with log_path.open("a") as log:

        def note(host: int, session: int, what: str, detail: str) -> None:
            log.write(json.dumps([time.time(), host, session, what, detail]) + "\n")
            log.flush()

        async with AsyncExitStack() as servers:
            dns = DnsServer(zone, DNS_ADDRESS, 0)
            await dns.start()
            servers.push_async_callback(dns.stop)
            port = 0
            for n in range(plan.host_count):
                faults = ["no greeting"] if n == SILENT_HOST else FAULTS
                host = ChaosHost(plan.seed * 1000 + n, faults, plan.reply_seconds, partial(note, n))
                server = await asyncio.start_server(host.serve, address_of(n), port)
                servers.callback(server.close)
                port = server.sockets[0].getsockname()[1]
            print(json.dumps(environment(f"{DNS_ADDRESS}:{dns.port}", port)), flush=True)
            await asyncio.to_thread(sys.stdin.read)


def address_of(host: int) -> str:
    return f"127.77.9.{host + 1}"


def environment(nameserver: str, port: int) -> dict[str, str]:
    return {
        "CT_NAMESERVERS": nameserver,
        "CT_SMTP_PORT": str(port),
        "CT_ALLOWED_NETWORKS": NETWORK,
        "CT_HELO_NAME": "prober.test",
        "CT_HELO_UNCHECKED": "true",
        "CT_MAIL_FROM": "probe@prober.test",
        "CT_CONNECT_TIMEOUT_SECONDS": "3",
        "CT_GREETING_TIMEOUT_SECONDS": "1",
        "CT_REPLY_TIMEOUT_SECONDS": "1",
    }


if __name__ == "__main__":
    asyncio.run(serve(Plan(**json.loads(sys.stdin.readline())), Path(sys.argv[1])))
