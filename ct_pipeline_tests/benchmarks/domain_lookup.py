"""Domain look-ups a second on one core, against a responder in a process of its own.

Run it with ``python ct_pipeline_tests/benchmarks/domain_lookup.py [domains]``. Three lists are looked up: all domains
at a few large hosters, each domain with a mail host of its own, and the mixture that a real list resembles.
The CPU column is this process's own time, which other work on the machine does not change.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import load_settings
from ct_pipeline_tests.benchmarks.dns_responder import DnsResponder
from ct_pipeline_tests.benchmarks.figures import print_origin
from ct_pipeline_tests.benchmarks.made_up_list import HOST_NETWORK, domain_of

SHARED_HOST_COUNT = 20
OWN_HOST_EVERY = {"shared hosts": 0, "own hosts": 1, "two thirds shared": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domains", nargs="?", type=int, default=20_000)
    domain_count = parser.parse_args().domains
    print_origin()
    with DnsResponder() as responder:
        measure(domain_count, responder.port)


def measure(domain_count: int, port: int) -> None:
    titles = ("domains", "seconds", "look-ups/s", "queries/s", "queries/domain", "CPU µs/query")
    print(f"{'list':<20}" + "".join(f"{title:>15}" for title in titles))
    for title, own_every in OWN_HOST_EVERY.items():
        domains = list(domain_names(domain_count, own_every))
        started, cpu_started = time.perf_counter(), time.process_time()
        found, queries = asyncio.run(look_up(domains, port))
        elapsed, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        if found != domain_count:
            raise SystemExit(f"{domain_count - found} of {domain_count} domains were not found")
        print(
            f"{title:<20}{domain_count:>15,}{elapsed:>15.1f}{domain_count / elapsed:>15,.0f}{queries / elapsed:>15,.0f}"
            f"{queries / domain_count:>15.2f}{cpu_seconds / queries * 1e6:>15.0f}"
        )


async def look_up(domains: list[str], port: int) -> tuple[int, int]:
    """(domains that take mail, queries sent)."""
    settings = load_settings(nameservers=f"127.0.0.1:{port}", allowed_networks=HOST_NETWORK)
    found = 0
    async with DomainLookup(settings, load_providers()) as lookup:
        async for facts in lookup.look_up_many(domains, datetime.now(UTC)):
            found += facts.service.takes_mail
        return found, lookup.query_count


def domain_names(count: int, own_every: int) -> Iterator[str]:
    """Domains with a mail host of their own, and ``d…`` ones that share a hoster's."""
    for n in range(count):
        own = own_every and n % own_every == 0
        yield domain_of(SHARED_HOST_COUNT + n) if own else f"d{n}.{domain_of(n % SHARED_HOST_COUNT)}"


if __name__ == "__main__":
    main()
