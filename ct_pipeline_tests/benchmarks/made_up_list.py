"""The list that the SMTP benchmarks verify, and the truth about it. Both follow from the names alone, so the list, the
responders and whoever checks the answers agree without a word, in whatever process they are.

``h7.test`` is a domain whose mail host ``mx.h7.test`` is host 7; any name below it, as ``d3.h7.test``, has the same
host. Each host has an address of its own on loopback and is a site of its own.
"""

import socket
import struct
from collections.abc import Iterator
from zlib import crc32

HOST_NETWORK = "127.64.0.0/10"
_FIRST_HOST = (127 << 24) + (64 << 16) + 1


def domain_of(host: int) -> str:
    return f"h{host}.test"


def packed_address_of(host: int) -> bytes:
    return struct.pack("!I", _FIRST_HOST + host)


def address_of(host: int) -> str:
    return socket.inet_ntoa(packed_address_of(host))


DEAD_ONE_IN = {"user": 5, "client": 20}  # of the names that begin so


def mailboxes(domain: str, count: int, kind: str = "user") -> Iterator[str]:
    """``count`` addresses of the list at ``domain``; one in ``DEAD_ONE_IN[kind]`` has no mailbox."""
    for number in range(count):
        yield f"{kind}{number}@{domain}"


def is_mailbox(address: bytes) -> bool:
    """Whether ``address`` exists. Names that are not of the list do not; ``postmaster`` does everywhere."""
    if address.startswith(b"user"):
        return crc32(address) % DEAD_ONE_IN["user"] != 0
    if address.startswith(b"client"):
        return crc32(address) % DEAD_ONE_IN["client"] != 0
    return address.startswith(b"postmaster@")


def zipf_sizes(domain_count: int, largest: int) -> list[int]:
    """Addresses of each domain: the n-th largest has an n-th of the largest's, and every domain has one."""
    return [max(1, largest // rank) for rank in range(1, domain_count + 1)]
