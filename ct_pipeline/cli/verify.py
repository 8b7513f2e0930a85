"""``ct-pipeline verify FILE -o OUT``: a contact file in, the same file with verdicts out."""

import contextlib
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings, load_settings

JUDGE_EVERY_SECONDS = 2.0
SHORTEST_PAUSE_SECONDS = 2.0


def verify(
    file: Annotated[Path, typer.Argument(help="CSV, CSV.gz or Parquet with a column of email addresses.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write: .csv, .csv.gz or .parquet.")],
    wait: Annotated[str, typer.Option(help="Keep re-checking what is due until then, such as 30m, 2h or 90s.")] = "0s",
    audience: Annotated[str | None, typer.Option(help="Name of the list; default: the file's name.")] = None,
) -> None:
    """Verify every address of a contact file. Ctrl-C stops; the same call again goes on from there."""
    console = Console(highlight=False)
    stopped = "Stopped. What was answered is kept; the same call goes on from here."
    with told_plainly(), stopped_by_signals(lambda: console.print(stopped)):
        deadline = datetime.now(UTC) + duration(wait)
        settings = load_settings()
        _check_out(out)
        with running_database(settings, console.print):
            pull_id = _take_in(settings, file, audience, console)
            _verify_pull(settings, pull_id, deadline, console)
            _write(settings, pull_id, out, console)


def duration(text: str) -> timedelta:
    """``30m`` as 30 minutes; also s, h and d, and sums such as ``1h30m``.

    Raises:
        typer.BadParameter: not such a text.
    """
    parts = re.findall(r"(\d+)([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 30m, 2h or 1d", param_hint="--wait")
    names = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return sum((timedelta(**{names[unit]: int(number)}) for number, unit in parts), timedelta())


def _check_out(out: Path) -> None:
    from ct_pipeline.to_clevertap.list_files import list_format

    list_format(out)


def _take_in(settings: Settings, file: Path, audience: str | None, console: Console) -> int:
    from ct_pipeline.stages.intake import normalize_new_pulls, take_in_contact_file

    pull = take_in_contact_file(settings, file, audience)
    known = " (taken in before)" if pull.was_known else ""
    console.print(f"{pull.source_name}: {pull.row_count:,} rows, addresses in column {pull.email_column!r}{known}")
    if pull.set_aside_count:
        console.print(f"{pull.set_aside_count:,} rows cannot be read and are set aside:")
        for row in pull.set_aside[:5]:
            console.print(f"  line {row.line}: {row.problem}")
    normalize_new_pulls(settings)
    return pull.pull_id


def _verify_pull(settings: Settings, pull_id: int, deadline: datetime, console: Console) -> None:
    from ct_pipeline.domains.lanes import lane_keys
    from ct_pipeline.domains.providers import load_providers
    from ct_pipeline.stages.domains import look_up_domains
    from ct_pipeline.stages.verify import verify_lanes

    lanes = lane_keys(load_providers())
    while True:
        with _Display(settings, pull_id, console) as display:
            look_up_domains(settings, display.looked_up, pull_id)
            display.start_verifying()
            summaries = verify_lanes(settings, lanes, display.verified, pull_id)
        for stop in sorted({stop for summary in summaries for stop in summary.stopped_because}):
            console.print(f"Stopped early at {stop}", markup=False)
        next_at, now = _next_due(settings, pull_id), datetime.now(UTC)
        if next_at is None or max(next_at, now) > deadline:
            return
        # What is due already was left by a lane that another run holds: give that one time.
        pause = max(SHORTEST_PAUSE_SECONDS, (next_at - now).total_seconds() + 0.2)
        console.print(f"The next re-check is due at {next_at:%H:%M:%S} UTC; waiting {pause:.0f} s.")
        time.sleep(pause)


def _next_due(settings: Settings, pull_id: int) -> datetime | None:
    from ct_pipeline.storage.due import next_due_at
    from ct_pipeline.storage.ledger import open_ledger

    with open_ledger(settings) as conn:
        return next_due_at(conn, pull_id)


def _write(settings: Settings, pull_id: int, out: Path, console: Console) -> None:
    from ct_pipeline.stages.lists import write_list

    summary = write_list(settings, pull_id, out)
    table = Table("status", "rows", "share", box=None, pad_edge=False)
    for status, count in sorted(summary.statuses.items(), key=lambda item: -item[1]):
        table.add_row(status, f"{count:,}", f"{count / max(1, summary.row_count):.1%}")
    console.print(table)
    console.print(f"Wrote {summary.row_count:,} rows to {out}")
    if summary.set_aside_path:
        console.print(f"Rows that could not be read: {summary.set_aside_path}")
    next_at = _next_due(settings, pull_id)
    if next_at is not None:
        console.print(
            f"Some addresses are due again, the first at {next_at:%Y-%m-%d %H:%M:%S} UTC. "
            "The same call then asks only those; --wait waits for them."
        )


class _Display:
    """Progress on the terminal. A second thread judges what has come in, so that the counts are real verdicts."""

    def __init__(self, settings: Settings, pull_id: int, console: Console) -> None:
        self._settings = settings
        self._pull_id = pull_id
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
            console=console,
        )
        self._task = self._bar.add_task("looking up domains", total=None, rate="", counts="")
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._judge = threading.Thread(target=self._judge_regularly, name="judge", daemon=True)

    def __enter__(self) -> "_Display":
        self._bar.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        if self._judge.is_alive():
            self._judge.join()
        try:
            self._judge_once()
        finally:
            self._bar.stop()

    def looked_up(self, count: int) -> None:
        self._bar.advance(self._task, count)

    def start_verifying(self) -> None:
        from ct_pipeline.storage.ledger import open_ledger
        from ct_pipeline.storage.verdicts import progress

        with open_ledger(self._settings) as conn:
            due = progress(conn, self._pull_id, datetime.now(UTC)).due_now_count
        self._started = time.monotonic()
        self._bar.reset(self._task, description="verifying", total=due, completed=0, rate="", counts="")
        self._judge.start()

    def verified(self, count: int) -> None:
        self._bar.advance(self._task, count)
        done = self._bar.tasks[0].completed
        rate = done / max(0.001, time.monotonic() - self._started)
        self._bar.update(self._task, rate=f"{rate:,.0f}/s")

    def _judge_regularly(self) -> None:
        while not self._ended.wait(JUDGE_EVERY_SECONDS):
            with contextlib.suppress(LedgerUnavailableError):  # the last round, which is not here, says so
                self._judge_once()

    def _judge_once(self) -> None:
        from ct_pipeline.stages.judge import judge_unjudged
        from ct_pipeline.storage.ledger import open_ledger
        from ct_pipeline.storage.verdicts import verdict_counts

        judge_unjudged(self._settings)
        with open_ledger(self._settings) as conn:
            counts = verdict_counts(conn, self._pull_id)
        self._bar.update(self._task, counts="  ".join(f"{status} {count:,}" for status, count in counts.items()))
