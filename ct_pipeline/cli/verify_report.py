"""What `verify` says at the end: counts by status with their meaning, what is due again, where the file is."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.settings import Settings
from ct_pipeline.vocabulary import Reason, Status

if TYPE_CHECKING:
    from ct_pipeline.storage.due import DueAgain
    from ct_pipeline.to_clevertap.list_files import ListFileSummary
    from ct_pipeline.verification.lane_summary import LaneSummary

COLOURS = {Status.VALID: "green", Status.INVALID: "red", Status.CATCH_ALL: "yellow", Status.UNKNOWN: "cyan"}
MEANINGS = {
    Status.VALID: "the mailbox exists and takes mail",
    Status.INVALID: "mail would bounce: do not send",
    Status.CATCH_ALL: "the domain takes mail for every name: the mailbox may not exist",
    Status.UNKNOWN: "not found out, or not yet; no reason to unsubscribe anyone",
}
REASONS_SHOWN = 5
NAMES_SHOWN = 5
LABEL_WIDTH = 15


def show_report(settings: Settings, pull_id: int, summary: "ListFileSummary", console: Console) -> None:
    """Print the end of the verification of a contact file."""
    facts = _shown_counts(settings, pull_id, summary.statuses, "rows", console)
    facts.add_row("written", _path(summary.path, counted(summary.row_count, "row")))
    if summary.set_aside_path:
        facts.add_row("set aside", _path(summary.set_aside_path, "rows that could not be read, with line and problem"))
    console.print(facts)


def show_report_of_all(settings: Settings, console: Console) -> None:
    """Print the end of the verification of everything that was due."""
    from ct_pipeline.storage.ledger import open_ledger
    from ct_pipeline.storage.verdicts import verdict_counts

    with open_ledger(settings) as conn:
        statuses = {str(status): count for status, count in verdict_counts(conn).items()}
    console.print(_shown_counts(settings, None, statuses, "addresses", console))


def _shown_counts(
    settings: Settings, pull_id: int | None, statuses: Mapping[str, int], unit: str, console: Console
) -> Table:
    """Print the table of statuses; the lines that come below it, to which the caller may add."""
    from ct_pipeline.storage.due import due_again
    from ct_pipeline.storage.ledger import open_ledger
    from ct_pipeline.storage.verdicts import reason_counts

    now = datetime.now(UTC)
    with open_ledger(settings) as conn:
        reasons = {status: reason_counts(conn, pull_id, status) for status in (Status.INVALID, Status.UNKNOWN)}
        due = due_again(conn, pull_id, now)
    if any(statuses.values()):
        console.print()
        console.print(_statuses(statuses, unit))
        console.print()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(width=LABEL_WIDTH)
    for status, counts in reasons.items():
        if counts:
            facts.add_row(f"{status} because", _reasons(counts))
    if due.first_at is not None:
        facts.add_row("due again", _due(due, now))
    return facts


def show_stops(summaries: "Iterable[LaneSummary]", console: Console) -> None:
    """Print which sites turned us away, and which lanes were not ours to work on."""
    sites: set[str] = set()
    lanes: dict[str, list[str]] = {}
    for summary in summaries:
        for stop in summary.stopped_because:
            if ": " in stop:
                sites.add(stop.replace(": ", " (") + ")")
            else:
                lanes.setdefault(stop, []).append(summary.lane)
    for why, held in lanes.items():
        console.print(f"Left for now, {why}: {_some(held)}", markup=False)
    if sites:
        console.print(f"Left alone for now, because they turned us away: {_some(sorted(sites))}", markup=False)


def how_long(span: timedelta) -> str:
    """``45 s``, ``12 min``, ``4 h`` or ``3 days``: enough to decide how long to wait."""
    seconds = max(0, round(span.total_seconds()))
    for size, unit, most in ((1, "s", 90), (60, "min", 90 * 60), (3600, "h", 48 * 3600)):
        if seconds <= most:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / 86400)} days"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 row``, ``1,234 rows``."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _statuses(statuses: Mapping[str, int], unit: str) -> Table:
    table = Table("status", box=None, pad_edge=False)
    table.add_column(unit, justify="right")
    table.add_column("share", justify="right")
    table.add_column("meaning")
    for status in Status:
        count = statuses.get(status, 0)
        style = f"bold {COLOURS[status]}" if count else "dim"
        share = f"{count / sum(statuses.values()):.1%}"
        table.add_row(Text(status, style=style), f"{count:,}", share, Text(MEANINGS[status], style="dim"))
    return table


def _reasons(counts: dict[Reason, int]) -> str:
    shown = [f"{reason} {count:,}" for reason, count in list(counts.items())[:REASONS_SHOWN]]
    rest = sum(list(counts.values())[REASONS_SHOWN:])
    shown += [f"others {rest:,}"] if rest else []
    return f"of {counted(sum(counts.values()), 'address', 'addresses')}: {', '.join(shown)}"


def _some(names: list[str]) -> str:
    rest = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def _due(due: "DueAgain", now: datetime) -> str:
    assert due.first_at is not None, "asked only when something is due"
    if due.first_at <= now:
        when = "some of them now"
    else:
        when = f"the first in {how_long(due.first_at - now)} ({due.first_at:%Y-%m-%d %H:%M:%S} UTC)"
    hours = max(1, math.ceil((due.first_at - now).total_seconds() / 3600))
    return (
        f"{counted(due.address_count, 'address', 'addresses')}, {when}, {due.within_hour_count:,} within the hour. "
        f"The same call then asks only those; with --wait {hours}h it waits for them."
    )


def _path(path: Path, what: str) -> Text:
    return Text.assemble((str(path), "bold"), f"  {what}", no_wrap=True, overflow="ignore")
