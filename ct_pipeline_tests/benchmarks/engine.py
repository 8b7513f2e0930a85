"""How fast the engine asks, without a ledger, against hosts in a process of their own; and what that costs the hosts.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/engine.py [--scale X] [SHAPE ...]``. Above
the engine's rows stand those of a raw client that sends prepared bytes: no client can be faster here. On a shared
machine the processor time tells more than the seconds. ``of limit`` is addresses a second divided by connections ÷
reply time (as the hosts measured it), which an unpipelined client could reach if sessions cost nothing.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline_tests.benchmarks.engine_alone import EngineFigures, ask_list
from ct_pipeline_tests.benchmarks.figures import Table, print_origin
from ct_pipeline_tests.benchmarks.raw_client import drive
from ct_pipeline_tests.benchmarks.smtp_responder import Behaviour, Counters, SmtpResponder

PIPELINED, UNPIPELINED = True, False
# reply time in ms, is it pipelined, sessions, addresses of each, connections
RAW_RUNS = (
    (0, PIPELINED, 1600, 50, 160),
    (0, UNPIPELINED, 1600, 50, 160),
    (20, PIPELINED, 320, 50, 160),
    (20, UNPIPELINED, 320, 50, 160),
    (20, UNPIPELINED, 160, 100, 40),
    (0, PIPELINED, 10_000, 1, 160),
    (0, UNPIPELINED, 10_000, 1, 160),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A list and hosts to ask. Limits are the settings' defaults where they are not given."""

    name: str
    domains: int
    addresses: int  # of each domain
    reply_ms: float
    offers_pipelining: bool
    site_connections: int = 5
    connections: int = 200  # to all sites
    cap: int = 0  # connections that a host bears
    kind: str = "user"  # of names: one in five is dead; of "client", one in twenty
    is_rate_limited: bool = True  # by the default addresses a second and connections a minute of one site

    @property
    def behaviour(self) -> Behaviour:
        return Behaviour(self.reply_ms, self.offers_pipelining, connections_per_client=self.cap)

    @property
    def connections_at_most(self) -> int:
        """Sessions that our limits, or the hosts, let be open at once."""
        at_each = min(self.site_connections, self.cap or self.site_connections, self.addresses)
        return min(self.connections, self.domains * at_each)


SHAPES = (
    Shape("pipelined_0ms", 400, 50, 0, PIPELINED),
    Shape("pipelined_0ms_large", 32, 1000, 0, PIPELINED, 5, 160, is_rate_limited=False),
    Shape("pipelined_20ms_large", 32, 1000, 20, PIPELINED, 5, 160, is_rate_limited=False),
    Shape("unpipelined_0ms", 80, 50, 0, UNPIPELINED, 2, 160),
    Shape("unpipelined_20ms", 80, 50, 20, UNPIPELINED, 2, 160),
    Shape("unpipelined_20ms_many", 1000, 50, 20, UNPIPELINED, 5, 160),
    Shape("unpipelined_20ms_large", 32, 1000, 20, UNPIPELINED, 5, 160, is_rate_limited=False),
    Shape("unpipelined_150ms", 80, 50, 150, UNPIPELINED, 2, 160),
    Shape("default_limits_20ms", 4, 1000, 20, PIPELINED),
    Shape("cap10_ours10", 4, 500, 20, UNPIPELINED, 10, cap=10, is_rate_limited=False),
    Shape("cap10_ours20", 4, 500, 20, UNPIPELINED, 20, cap=10, is_rate_limited=False),
    Shape("cap10_ours10_large", 4, 15_000, 20, UNPIPELINED, 10, cap=10, is_rate_limited=False),
    Shape("cap10_few_dead", 4, 25_000, 20, UNPIPELINED, 10, cap=10, kind="client", is_rate_limited=False),
    Shape("cap10_one_host", 1, 25_000, 20, UNPIPELINED, 10, cap=10, kind="client", is_rate_limited=False),
    Shape("cap10_ours20_large", 4, 15_000, 20, UNPIPELINED, 20, cap=10, is_rate_limited=False),
    Shape("one_address_0ms", 10_000, 1, 0, PIPELINED),
    Shape("one_address_20ms", 5000, 1, 20, PIPELINED),
)


def main() -> None:
    arguments = _arguments()
    print_origin()
    chosen = [
        replace(shape, domains=max(1, round(shape.domains * arguments.scale)))
        for shape in SHAPES
        if not arguments.shapes or shape.name in arguments.shapes
    ]
    with SmtpResponder() as responder:
        _print_raw_limits(responder, arguments.scale)
        columns = (
            *("shape", "addresses", "seconds", "addresses/s", "CPU µs/address", "hosts' CPU µs", "sessions/address"),
            *("RCPTs/address", "right", "wrong", "undecided", "421s", "no QUIT", "reply ms", "of limit"),
        )
        table = Table(columns, 26)
        for shape in chosen:
            responder.behave(shape.behaviour)
            figures = ask_list(_settings(shape, responder.port), [shape.addresses] * shape.domains, shape.kind)
            table.row(shape.name, *_cells(shape, figures, responder.counters()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="this many times as many domains and raw sessions")
    names = [shape.name for shape in SHAPES]
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"only these, of {', '.join(names)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.shapes) - set(names):
        parser.error(f"no such shape: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return arguments


def _settings(shape: Shape, port: int) -> Settings:
    return load_settings(
        smtp_port=port,
        helo_name="verifier.test",
        mail_from="",
        site_connections=shape.site_connections,
        smtp_concurrency=shape.connections,
        **(
            {} if shape.is_rate_limited else {"site_addresses_per_second": 100_000, "site_connections_per_minute": 6000}
        ),
    )


def _cells(shape: Shape, figures: EngineFigures, counters: Counters) -> list[str]:
    """What the engine says of itself, and what the hosts counted."""
    if not counters.is_proper:
        raise SystemExit(f"{shape.name}: the engine did not keep to SMTP: {counters}")
    score, rate = figures.score, figures.score.count / figures.seconds
    return [
        f"{score.count:,}",
        f"{figures.seconds:.2f}",
        f"{rate:,.0f}",
        f"{figures.cpu_seconds / score.count * 1e6:,.0f}",
        f"{counters.cpu_seconds / score.count * 1e6:,.0f}",
        f"{counters.connections / score.count:.3f}",
        f"{counters.rcpts / score.count:.3f}",
        f"{score.right_share:.2%}",
        f"{score.wrong:,}",
        f"{score.undecided:,}",
        f"{counters.refused_connections:,}",
        f"{counters.left_without_quit:,}",
        *_share_of_limit(rate, shape.connections_at_most, counters.mean_reply_ms, is_pipelined=shape.offers_pipelining),
    ]


def _print_raw_limits(responder: SmtpResponder, scale: float) -> None:
    measured = ("addresses", "seconds", "addresses/s", "CPU µs/address", "hosts' CPU µs", "reply ms", "of limit")
    table = Table(("raw client", *measured), 56)
    for reply_ms, is_pipelined, sessions, session_addresses, connections in RAW_RUNS:
        raw = drive(
            responder,
            Behaviour(reply_ms, is_pipelined),
            hosts=80,
            sessions=max(1, round(sessions * scale)),
            session_addresses=session_addresses,
            connections=connections,
            is_pipelined=is_pipelined,
        )
        rate = raw.rcpt_count / raw.seconds
        name = "pipelined" if is_pipelined else "unpipelined"
        table.row(
            f"{name}, {reply_ms} ms, {session_addresses} a session, {connections} connections",
            f"{raw.rcpt_count:,}",
            f"{raw.seconds:.2f}",
            f"{rate:,.0f}",
            f"{raw.cpu_seconds / raw.rcpt_count * 1e6:.1f}",
            f"{raw.hosts_cpu_seconds / raw.rcpt_count * 1e6:.1f}",
            *_share_of_limit(rate, connections, raw.mean_reply_ms, is_pipelined=is_pipelined),
        )


def _share_of_limit(rate: float, connections: int, reply_ms: float, *, is_pipelined: bool) -> list[str]:
    """The reply time, and how much of connections ÷ reply time was reached, where each reply is waited for."""
    if not reply_ms:
        return ["", ""]
    return [f"{reply_ms:.1f}", "" if is_pipelined else f"{rate * reply_ms / 1000 / connections:.0%}"]


if __name__ == "__main__":
    main()
