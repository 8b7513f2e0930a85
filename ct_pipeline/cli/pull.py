"""``ct-pipeline pull``: profiles come in from CleverTap."""

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.cli.verify_report import counted
from ct_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from ct_pipeline.stages.intake import NormalizeSummary
    from ct_pipeline.stages.pull import PullSummary
    from ct_pipeline.stages.pull_reading import PullProgress

LOG_EVERY_SECONDS = 15.0
EXAMPLES = """Examples:

  ct-pipeline pull

  ct-pipeline pull --day 2026-11-20

  ct-pipeline pull --audience "gold customers"
"""


def pull(
    day: Annotated[
        datetime | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            formats=["%Y-%m-%d"],
            help="Pull whoever raised CT_DAILY_EVENT on this day, or had an email added or changed.",
        ),
    ] = None,
    audience: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Pull the people of a query: the file CT_AUDIENCE or audiences/NAME.json."),
    ] = None,
) -> None:
    """Pull profiles from CleverTap, and take up their addresses. Default: everyone with an email.

    Ctrl-C stops; the same call goes on from there. Nothing in CleverTap is changed.
    """
    if day is not None and audience is not None:
        raise typer.BadParameter("either a day or an audience", param_hint="--day, --audience")
    console = Console(highlight=False)
    stopped = "Stopped. The pages that came are kept; the same call goes on from here."
    with told_plainly(), stopped_by_signals(lambda: console.print(stopped)):
        settings = load_settings()
        with running_database(settings, console.print):
            _pull(settings, day, audience, console)


def _pull(settings: Settings, day: datetime | None, audience: str | None, console: Console) -> None:
    from ct_pipeline.from_clevertap.audiences import EVERYONE
    from ct_pipeline.stages.intake import normalize_new_pulls
    from ct_pipeline.stages.pull import pull_audience, pull_day

    with _Progress(console) as progress:
        if day is not None:
            summary = pull_day(settings, day.date(), progress.read)
        else:
            summary = pull_audience(settings, audience or EVERYONE, progress.read)
        progress.say("taking up addresses")
        taken = normalize_new_pulls(settings, progress.taken_up)  # also what an interrupted call has left
    _report(summary, taken, console)


def _report(summary: "PullSummary", taken: "NormalizeSummary", console: Console) -> None:
    name = (
        summary.source_name if summary.source_name == summary.audience else f"{summary.audience} {summary.source_name}"
    )
    resumed = ", gone on from where it was interrupted" if summary.resumed else ""
    console.print(f"Pulled {name} of project {summary.project}{resumed}.", markup=False)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("profiles", _profiles(summary))
    facts.add_row("with an email", f"{summary.with_email_count:,}")
    facts.add_row("new addresses", _new_addresses(taken))
    facts.add_row("opt-outs and returns", counted(summary.subscription_event_count, "event"))
    if summary.without_identifier_count:
        facts.add_row("unnamed", f"{summary.without_identifier_count:,} can be verified, but not written to")
    if summary.set_aside_count:
        facts.add_row("set aside", f"{counted(summary.set_aside_count, 'record')} that made no sense")
    console.print(facts)
    for note in summary.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(
        "Next: ct-pipeline verify asks about the addresses that are due; ct-pipeline plan shows what follows."
    )


def _profiles(summary: "PullSummary") -> str:
    counts = ""
    if summary.expected_count is not None:
        # A day has two queries, and CleverTap counts each by itself: the larger number is known.
        least = "at least " if summary.profile_count > summary.expected_count else ""
        counts = f"; CleverTap counts {least}{summary.expected_count:,}"
    return f"{summary.profile_count:,} in {counted(summary.page_count, 'page')}{counts}"


def _new_addresses(taken: "NormalizeSummary") -> str:
    unusable = sum(taken.unusable.values())
    return f"{taken.new_address_count:,}" + (f"; of all, {unusable:,} cannot be addresses" if unusable else "")


class _Progress:
    """A line that changes on a terminal, a line now and then in a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("asking CleverTap", console=console) if console.is_terminal else None
        self._said_at = time.monotonic()
        self._row_count = 0

    def __enter__(self) -> "_Progress":
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._status is not None:
            self._status.stop()

    def read(self, progress: "PullProgress") -> None:
        what = "opt-outs" if progress.query_number == progress.query_count else "profiles"
        self.say(
            f"reading {what}: {counted(progress.record_count, 'record')} in {counted(progress.page_count, 'page')}"
        )

    def taken_up(self, count: int) -> None:
        self._row_count += count
        self.say(f"taking up addresses: {counted(self._row_count, 'profile')}")

    def say(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._said_at > LOG_EVERY_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(text)
