"""Domain look-ups a second on one core, against a responder in a process of its own.

Run it with ``python ct_pipeline_tests/benchmarks/domain_lookup.py [domains]``. Three lists are looked up: all domains
at a few large hosters, each domain with a mail host of its own, and the mixture that a real list resembles.
The CPU column is this process's own time, which other work on the machine does not change.
"""

import argparse
import asyncio
import multiprocessing
import socket
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection

from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import load_settings

SHARED_HOST_COUNT = 20
OWN_HOST_EVERY = {"shared hosts": 0, "own hosts": 1, "two thirds shared": 3}
MX, A = 15, 1
TTL_SECONDS = 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domains", nargs="?", type=int, default=20_000)
    domain_count = parser.parse_args().domains
    ours, theirs = multiprocessing.Pipe()
    responder = multiprocessing.get_context("spawn").Process(target=respond, args=(theirs,), daemon=True)
    responder.start()
    port: int = ours.recv()
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
    responder.terminate()
    responder.join()


async def look_up(domains: list[str], port: int) -> tuple[int, int]:
    """(domains that take mail, queries sent)."""
    settings = load_settings(nameservers=f"127.0.0.1:{port}", allowed_networks="127.0.0.0/8")
    found = 0
    async with DomainLookup(settings, load_providers()) as lookup:
        async for facts in lookup.look_up_many(domains, datetime.now(UTC)):
            found += facts.service.takes_mail
        return found, lookup.query_count


def domain_names(count: int, own_every: int) -> Iterator[str]:
    """``own…`` domains have a mail host of their own, ``shared…`` ones a hoster's, as the responder reads the names."""
    for n in range(count):
        yield f"own{n}.test" if own_every and n % own_every == 0 else f"shared{n}.test"


def respond(ready: Connection) -> None:
    """Answers MX and A straight from the bytes of the question, so that the responder is never the limit."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind(("127.0.0.1", 0))
        ready.send(server.getsockname()[1])
        while True:
            query, client = server.recvfrom(4096)
            server.sendto(_response(query), client)


def _response(query: bytes) -> bytes:
    name_end = query.index(b"\0", 12) + 1
    (kind,) = struct.unpack_from("!H", query, name_end)
    question = query[12 : name_end + 4]
    data = b""
    if kind == MX:
        data = struct.pack("!H", 10) + _mail_host(query[13 : 13 + query[12]])
    elif kind == A:
        data = bytes((127, 0, 0, 9))
    answer = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, TTL_SECONDS, len(data)) + data if data else b""
    header = query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1 if answer else 0, 0, 0)
    return header + question + answer


def _mail_host(first_label: bytes) -> bytes:
    if first_label.startswith(b"own"):
        return b"\x02mx\xc0\x0c"  # mx, and a pointer to the name in the question
    number = int(first_label.removeprefix(b"shared")) % SHARED_HOST_COUNT
    return b"\x04mx%02d\x06hoster\x04test\x00" % number


if __name__ == "__main__":
    main()
