"""The DNS of :mod:`made_up_list`, in a process of its own, that counts what it is asked.

It answers MX and A straight from the bytes of the question, so that it is never the limit.
"""

import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection

from ct_pipeline_tests.benchmarks.made_up_list import packed_address_of
from ct_pipeline_tests.benchmarks.own_process import OwnProcess

TTL_SECONDS = 3600
_MX, _A = 15, 1
_NAME_STARTS_AT = 12  # after the header
_ANSWERED, _NO_SUCH_NAME = 0x8180, 0x8183


@dataclass(frozen=True, slots=True)
class QueryCounters:
    """What was asked since the counting began."""

    queries: int
    mx_queries: int
    most_mx_queries: int  # for one name


class DnsResponder(OwnProcess):
    """The name server, between ``with`` and its end; see :class:`OwnProcess`."""

    def __init__(self) -> None:
        super().__init__(serve)

    def count_anew(self) -> None:
        self.ask(True)

    def counters(self) -> QueryCounters:
        return self.ask(False)


def serve(pipe: Connection) -> None:
    """Runs in the responder's own process until it is ended."""
    asked: Counter[tuple[int, bytes]] = Counter()  # by kind and question
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind(("127.0.0.1", 0))
        pipe.send(server.getsockname()[1])
        threading.Thread(target=_tell, args=(pipe, asked), daemon=True).start()
        while True:
            query, client = server.recvfrom(4096)
            server.sendto(_response(query, asked), client)


def _tell(pipe: Connection, asked: Counter[tuple[int, bytes]]) -> None:
    while True:
        counts_anew = pipe.recv()
        mx_counts = [number for (kind, _), number in asked.copy().items() if kind == _MX]
        counters = QueryCounters(asked.total(), sum(mx_counts), max(mx_counts, default=0))
        if counts_anew:
            asked.clear()
        pipe.send(counters)


def _response(query: bytes, asked: Counter[tuple[int, bytes]]) -> bytes:
    labels_at, name_end = _labels(query)
    question = query[_NAME_STARTS_AT : name_end + 4]
    (kind,) = struct.unpack_from("!H", query, name_end)
    asked[kind, question] += 1
    host = _host(query, labels_at)
    if host is None:
        return query[:2] + struct.pack("!HHHHH", _NO_SUCH_NAME, 1, 0, 0, 0) + question
    data = b""
    if kind == _MX:
        # preference, "mx", and a pointer to the host's own label in the question
        data = struct.pack("!H", 10) + b"\x02mx" + struct.pack("!H", 0xC000 | labels_at[-2])
    elif kind == _A and query[_NAME_STARTS_AT : _NAME_STARTS_AT + 3] == b"\x02mx":
        data = packed_address_of(host)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, TTL_SECONDS, len(data)) + data if data else b""
    return query[:2] + struct.pack("!HHHHH", _ANSWERED, 1, 1 if answer else 0, 0, 0) + question + answer


def _labels(query: bytes) -> tuple[list[int], int]:
    """Where each label of the name begins, and where the name ends."""
    starts, at = [], _NAME_STARTS_AT
    while query[at]:
        starts.append(at)
        at += query[at] + 1
    return starts, at + 1


def _host(query: bytes, labels_at: list[int]) -> int | None:
    """The number in ``h7.test`` and in every name below it."""
    if len(labels_at) < 2 or query[labels_at[-1] : labels_at[-1] + 5].lower() != b"\x04test":
        return None
    label = query[labels_at[-2] + 1 : labels_at[-1]]
    return int(label[1:]) if label[:1] in b"hH" and label[1:].isdigit() else None
