"""The verifier's part of `status`: what waits and why, who turned us away, what it costs the mail hosts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ct_pipeline.cli.verify_report import counted

if TYPE_CHECKING:
    from ct_pipeline.stages.status import Status
    from ct_pipeline.storage.costs import SiteCost, TotalCost
    from ct_pipeline.storage.site_memory import OpenBreaker
    from ct_pipeline.verification.lane_summary import WaitingCount

ROWS_SHOWN = 8
TEXT_LENGTH = 120  # characters of a host's own words


def verifying_tables(found: "Status") -> Iterator[Table]:
    """Tables that have something to tell; each shows its first rows and says where the others are."""
    if found.waiting:
        yield _waiting(found.waiting)
    if found.breakers:
        yield _turned_away(found.breakers)
    if found.busiest_sites:
        assert found.cost is not None, "it is looked at first"
        yield _busiest(found.busiest_sites, found.cost.site_count)


def cost_in_words(cost: "TotalCost") -> Iterator[str]:
    """In all; and, where any has an answer, per address of the lists."""
    probes = cost.random_probe_count + cost.control_probe_count
    yield (
        f"{counted(cost.session_count, 'session')}, {counted(cost.rcpt_count, 'RCPT')} ({probes:,} of them about names "
        f"of ours), {counted(cost.dns_query_count, 'DNS query', 'DNS queries')}"
    )
    if cost.address_count:
        sessions, rcpts, queries = (
            count / cost.address_count for count in (cost.session_count, cost.rcpt_count, cost.dns_query_count)
        )
        yield f"per address {sessions:.2f} sessions, {rcpts:.2f} RCPTs, {queries:.2f} DNS queries"


def _waiting(waiting: "list[WaitingCount]") -> Table:
    table = Table("waiting in lane", "last answer", box=None, pad_edge=False)
    for heading in ("now", "in an hour", "later", "attempts"):
        table.add_column(heading, justify="right")
    table.add_column("next")
    now = datetime.now(UTC)
    for one in waiting[:ROWS_SHOWN]:
        next_at = "now" if one.next_at <= now else f"{one.next_at:%Y-%m-%d %H:%M} UTC"
        held = f"; {one.behind_breaker_count:,} behind a breaker" if one.behind_breaker_count else ""
        counts = (one.due_now_count, one.within_hour_count, one.later_count, one.max_attempt_count)
        lane = one.lane or "(not looked up)"
        table.add_row(lane, one.reason, *(f"{count:,}" for count in counts), f"{next_at}{held}")
    _and_more(table, len(waiting), "ledger.due_backlog")
    return table


def _turned_away(breakers: "list[OpenBreaker]") -> Table:
    from ct_pipeline.verification.unwelcome import why

    table = Table("turned us away", "why", "in their own words", "left alone until", box=None, pad_edge=False)
    table.add_column("waiting", justify="right")
    for one in breakers[:ROWS_SHOWN]:
        words = " ".join(one.note.text.split())[:TEXT_LENGTH]
        until = f"{one.note.until_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(Text(one.site), why(one.note.reason), Text(words), until, f"{one.waiting_count:,}")
    _and_more(table, len(breakers), "ledger.site_costs")
    return table


def _busiest(sites: "list[SiteCost]", site_count: int) -> Table:
    table = Table("busiest sites", box=None, pad_edge=False)
    for heading in ("sessions", "RCPTs", "addresses", "sessions each"):
        table.add_column(heading, justify="right")
    table.add_column("breaker")
    for one in sites:
        each = f"{one.session_count / one.address_count:.2f}" if one.address_count else "-"
        counts = (one.session_count, one.rcpt_count, one.address_count)
        table.add_row(Text(one.site), *(f"{count:,}" for count in counts), each, one.breaker_state)
    _and_more(table, site_count, "ledger.site_costs", len(sites))
    return table


def _and_more(table: Table, count: int, view: str, shown: int = ROWS_SHOWN) -> None:
    if count > shown:
        table.add_row(f"and {count - shown:,} more; all in {view}")
