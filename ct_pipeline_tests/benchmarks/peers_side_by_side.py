"""What another verifier makes of the same lists, beside ours: right answers a second, and what they cost the hosts.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/peers_side_by_side.py [--peer-python P]``.
The peer is py3-validate-email, the comparable one on PyPI: Python, DNS and SMTP, one address a call, here in threads.
Ours are whole lanes under default limits, look-ups and ledger included; the peer keeps nothing. It runs in a process of
its own under the Python ``P``, which has it installed. Without it, its rows say FAILED.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline_tests.benchmarks.dns_responder import DnsResponder
from ct_pipeline_tests.benchmarks.figures import Table, print_origin
from ct_pipeline_tests.benchmarks.ledger_of_list import embedded_server
from ct_pipeline_tests.benchmarks.peer_process import PeerError, run_peer
from ct_pipeline_tests.benchmarks.score import Score
from ct_pipeline_tests.benchmarks.smtp_responder import Behaviour, SmtpResponder
from ct_pipeline_tests.benchmarks.whole_lane import verify_list

COLUMNS = (
    *("who", "addresses", "seconds", "addresses/s", "right", "wrong", "undecided", "right/s"),
    *("sessions/address", "RCPTs/address", "MX queries/domain", "ours/theirs"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    title: str
    domains: int
    addresses: int  # of each domain
    behaviour: Behaviour
    threads: tuple[int, ...]  # of the peer; ours takes no such number


SHAPES = (
    Shape("80 domains of 50 addresses, 20 ms a reply", 80, 50, Behaviour(20), (100,)),
    Shape(
        "4 domains of 500 addresses, 20 ms a reply, 10 connections a host",
        4, 500, Behaviour(20, connections_per_client=10), (20, 100),
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peer installed")
    peer_python = parser.parse_args().peer_python
    print_origin()
    with SmtpResponder() as hosts, DnsResponder() as dns, embedded_server() as server_url:
        for shape in SHAPES:
            print(f"\n{shape.title}", end="")
            table = Table(COLUMNS, 44)
            ours = verify_list([shape.addresses] * shape.domains, shape.behaviour, server_url, hosts, dns)
            seconds = ours.lanes.look_up_seconds + ours.lanes.seconds
            table.row("ct_pipeline", *_cells(shape, seconds, ours.score, hosts, dns))
            for threads in shape.threads:
                hosts.behave(shape.behaviour)
                dns.count_anew()
                try:
                    peer = run_peer(peer_python, shape.domains, shape.addresses, threads, hosts.port, dns.port)
                except PeerError as error:
                    table.row(f"py3-validate-email, {threads} threads", "FAILED", f"  {error}")
                    continue
                cells = _cells(shape, peer.seconds, peer.score, hosts, dns)
                theirs = peer.score.right / peer.seconds
                ratio = f"{ours.score.right / seconds / theirs:.1f}" if theirs else "none right"
                table.row(f"{peer.name}, {threads} threads", *cells, ratio)


def _cells(shape: Shape, seconds: float, score: Score, hosts: SmtpResponder, dns: DnsResponder) -> list[str]:
    seen, queries = hosts.counters(), dns.counters()
    return [
        f"{score.count:,}",
        f"{seconds:.1f}",
        f"{score.count / seconds:,.0f}",
        f"{score.right_share:.2%}",
        f"{score.wrong:,}",
        f"{score.undecided:,}",
        f"{score.right / seconds:,.0f}",
        f"{(seen.connections + seen.refused_connections) / score.count:.3f}",
        f"{seen.rcpts / score.count:.3f}",
        f"{queries.mx_queries / shape.domains:.1f}",
    ]


if __name__ == "__main__":
    main()
