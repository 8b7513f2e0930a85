"""How fast whole lanes are: real look-ups, real sessions, every answer in a real ledger, and read back from there.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/lane.py [--full] [--million] [SHAPE ...]``.
Mail hosts and DNS are processes of their own; Postgres is the embedded server with the settings that users get. Limits
are the defaults, or what ``CT_…`` variables say. ``addresses/s`` is of the lanes alone, ``with look-ups/s`` counts the
DNS before them too. The memory is that of the process that verifies.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline_tests.benchmarks.dns_responder import DnsResponder
from ct_pipeline_tests.benchmarks.figures import Table, print_origin
from ct_pipeline_tests.benchmarks.ledger_of_list import embedded_server
from ct_pipeline_tests.benchmarks.made_up_list import zipf_sizes
from ct_pipeline_tests.benchmarks.smtp_responder import Behaviour, SmtpResponder
from ct_pipeline_tests.benchmarks.whole_lane import WholeLane, verify_list

DOMAIN_ADDRESSES = 50  # of each domain in the lists that memory is measured with
COLUMNS = (
    *("shape", "addresses", "domains", "take-up s", "look-up s", "lanes s", "addresses/s", "with look-ups/s"),
    *("CPU µs/address", "sessions/address", "RCPTs/address", "MX queries/domain", "at most"),
    *("right", "wrong", "undecided", "MiB before", "look-up peak", "peak MiB"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A list, by the size of each of its domains, and how the hosts behave."""

    name: str
    sizes: Sequence[int]
    behaviour: Behaviour


def shapes(*, is_full: bool, with_million: bool) -> list[Shape]:
    """The lists of the default run, or those of full size, which take some minutes."""
    zipf_domains, one_address_domains = (50_000, 20_000) if is_full else (5_000, 3_000)
    even = [50] * 80
    found = [
        Shape("even_0ms", even, Behaviour(0)),
        Shape("even_20ms", even, Behaviour(20)),
        Shape("even_150ms", even, Behaviour(150)),
        Shape("even_unpipelined_20ms", even, Behaviour(20, offers_pipelining=False)),
        Shape("large_0ms", [1000] * 20, Behaviour(0)),
        Shape("large_20ms", [1000] * 20, Behaviour(20)),
        Shape("zipf_0ms", zipf_sizes(zipf_domains, zipf_domains // 5), Behaviour(0)),
        Shape("one_address_0ms", [1] * one_address_domains, Behaviour(0)),
        Shape("one_address_20ms", [1] * one_address_domains, Behaviour(20)),
    ]
    for due_count in (10_000, *([100_000] if is_full or with_million else []), *([1_000_000] if with_million else [])):
        sizes = [DOMAIN_ADDRESSES] * (due_count // DOMAIN_ADDRESSES)
        found.append(Shape(f"due_{due_count}", sizes, Behaviour(0)))
    return found


def main() -> None:
    arguments = _arguments()
    chosen = shapes(is_full=arguments.full, with_million=arguments.million)
    if arguments.shapes:
        chosen = [shape for shape in chosen if shape.name in arguments.shapes]
    print_origin()
    table = Table(COLUMNS, 22)
    with SmtpResponder() as hosts, DnsResponder() as dns, embedded_server() as server_url:
        for shape in chosen:
            outcome = verify_list(shape.sizes, shape.behaviour, server_url, hosts, dns)
            table.row(shape.name, *_cells(shape, outcome))
            if stopped := outcome.lanes.stopped_because:
                print(f"  {len(stopped)} sites were left alone, such as {stopped[0]}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="50,000 domains with a Zipf tail, 20,000 of one address")
    parser.add_argument("--million", action="store_true", help="memory at 100 thousand and a million due too")
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help="only these, such as even_20ms or due_1000000")
    arguments = parser.parse_args()
    names = [shape.name for shape in shapes(is_full=arguments.full, with_million=arguments.million)]
    if unknown := set(arguments.shapes) - set(names):
        parser.error(f"no such shape: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return arguments


def _cells(shape: Shape, outcome: WholeLane) -> list[str]:
    score, sent, queries, figures = outcome.score, outcome.hosts, outcome.dns, outcome.lanes
    return [
        f"{score.count:,}",
        f"{len(shape.sizes):,}",
        f"{outcome.take_up_seconds:.1f}",
        f"{figures.look_up_seconds:.1f}",
        f"{figures.seconds:.1f}",
        f"{score.count / figures.seconds:,.0f}",
        f"{score.count / (figures.seconds + figures.look_up_seconds):,.0f}",
        f"{figures.cpu_seconds / score.count * 1e6:,.0f}",
        f"{sent.connections / score.count:.3f}",
        f"{sent.rcpts / score.count:.3f}",
        f"{queries.mx_queries / len(shape.sizes):.3f}",
        f"{queries.most_mx_queries}",
        f"{score.right_share:.2%}",
        f"{score.wrong:,}",
        f"{score.undecided:,}",
        f"{figures.mib_before:.0f}",
        f"{figures.look_up_peak_mib:.0f}",
        f"{figures.peak_mib:.0f}",
    ]


if __name__ == "__main__":
    main()
