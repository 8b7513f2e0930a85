"""``ct-pipeline verify FILE -o OUT``: a contact file in, the same file with verdicts out."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.cli.verify_report import counted, how_long, show_report, show_report_of_all, show_stops
from ct_pipeline.settings import Settings, load_settings

SHORTEST_PAUSE_SECONDS = 2.0
LONGEST_IDLE_PAUSE_SECONDS = 30.0  # for lanes that others work on
LONGEST_WAIT = timedelta(days=366)
SET_ASIDE_SHOWN = 5
EXAMPLES = """Examples:

  ct-pipeline verify contacts.csv -o verified.csv

  ct-pipeline verify contacts.csv.gz -o verified.parquet --wait 2h

  ct-pipeline verify --wait 30m
"""


def verify(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="CSV, gzipped CSV or Parquet with a column of email addresses. "
            "Without it: every address that is due, such as those of `ct-pipeline pull`.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="OUT", help="File to write for FILE: .csv, .csv.gz or .parquet."),
    ] = None,
    wait: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="When all have been asked, wait at most this long for hosts that want to be asked again later: "
            "90s, 30m, 2h or 1d.",
        ),
    ] = "0s",
    audience: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the list. Default: the file's name.")
    ] = None,
) -> None:
    """Verify every address of a contact file, and write the file again with the verdicts beside its own columns.

    Without a file: verify what was pulled from CleverTap.

    Ctrl-C stops; the same call goes on from there.

    Of a file verified before, only what is due or no longer fresh is asked.
    """
    console = Console(highlight=False)
    stopped = "Stopped. What was answered is kept; the same call goes on from here."
    patience = duration(wait)
    with told_plainly(), stopped_by_signals(lambda: console.print(stopped)):
        settings = load_settings()
        if file is None:
            if out is not None or audience is not None:
                raise typer.BadParameter("--out and --audience belong to a contact file", param_hint="FILE")
            with running_database(settings, console.print):
                _verify_due(settings, None, patience, console)
                show_report_of_all(settings, console)
            if settings.project_id:
                console.print("Next: ct-pipeline plan shows what would change in CleverTap, and sends nothing.")
            return
        if out is None:
            raise typer.BadParameter("say where the verified file goes, as in -o verified.csv", param_hint="--out")
        _check_out(file, out)
        with running_database(settings, console.print):
            pull_id = _take_in(settings, file, audience, console)
            _verify_due(settings, pull_id, patience, console)
            _write(settings, pull_id, out, console)


def duration(text: str) -> timedelta:
    """``30m`` as 30 minutes; also s, h and d, and sums such as ``1h30m``.

    Raises:
        typer.BadParameter: not such a text, or more than a year.
    """
    parts = re.findall(r"([0-9]{1,9})([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 30m, 2h or 1d", param_hint="--wait")
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    total = sum(int(number) * seconds[unit] for number, unit in parts)
    if total > LONGEST_WAIT.total_seconds():
        raise typer.BadParameter(f"{text!r} is more than a year", param_hint="--wait")
    return timedelta(seconds=total)


def _check_out(file: Path, out: Path) -> None:
    """Before hours of work, not after them."""
    from ct_pipeline.errors import ListFileError
    from ct_pipeline.to_clevertap.list_files import list_format

    list_format(out)
    if file.exists() and out.exists() and file.samefile(out):
        raise ListFileError(f"{out} is the contact file itself. Give OUT another name.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ListFileError(f"{out} cannot be written: {error.strerror or error}: {out.parent}.") from error


def _take_in(settings: Settings, file: Path, audience: str | None, console: Console) -> int:
    from ct_pipeline.stages.intake import normalize_new_pulls, take_in_contact_file

    pull = take_in_contact_file(settings, file, audience)
    known = " (taken in before)" if pull.was_known else ""
    rows = counted(pull.row_count, "row")
    console.print(f"{pull.source_name}: {rows}, addresses in column {pull.email_column!r}{known}", markup=False)
    if pull.set_aside_count:
        verb = "is" if pull.set_aside_count == 1 else "are"
        console.print(f"{counted(pull.set_aside_count, 'row')} cannot be read and {verb} set aside:")
        for row in pull.set_aside[:SET_ASIDE_SHOWN]:
            console.print(f"  line {row.line:,}: {row.problem}", markup=False)
        if pull.set_aside_count > SET_ASIDE_SHOWN:
            console.print("  …")
    normalize_new_pulls(settings, pull_id=pull.pull_id)
    return pull.pull_id


def _verify_due(settings: Settings, pull_id: int | None, patience: timedelta, console: Console) -> None:
    from ct_pipeline.cli.progress import ProgressDisplay
    from ct_pipeline.domains.lanes import lane_keys
    from ct_pipeline.domains.providers import load_providers
    from ct_pipeline.stages.domains import look_up_domains
    from ct_pipeline.stages.verify import verify_lanes

    lanes = lane_keys(load_providers())
    deadline: datetime | None = None
    idle_pause = SHORTEST_PAUSE_SECONDS
    while True:
        with ProgressDisplay(settings, pull_id, console) as display:
            display.looking_up()
            look_up_domains(settings, display.looked_up, pull_id)
            display.verifying()
            summaries = verify_lanes(settings, lanes, display.verified, pull_id)
        show_stops(summaries, console)
        next_at, now = _next_due(settings, pull_id), datetime.now(UTC)
        deadline = deadline or now + patience
        if next_at is None or max(next_at, now) > deadline:
            return
        # What is due already was left to another run, or another machine: give that one time.
        is_idle = not any(summary.session_count for summary in summaries)
        pause = max(idle_pause if is_idle else SHORTEST_PAUSE_SECONDS, (next_at - now).total_seconds() + 0.2)
        idle_pause = min(2 * idle_pause, LONGEST_IDLE_PAUSE_SECONDS) if is_idle else SHORTEST_PAUSE_SECONDS
        _wait(min(pause, max((deadline - now).total_seconds(), SHORTEST_PAUSE_SECONDS)), next_at, console)


def _wait(pause_seconds: float, next_at: datetime, console: Console) -> None:
    text = f"The next re-check is due at {next_at:%H:%M:%S} UTC: waiting {how_long(timedelta(seconds=pause_seconds))}."
    if not console.is_terminal:
        console.print(text)
        time.sleep(pause_seconds)
        return
    with console.status(text):
        time.sleep(pause_seconds)


def _next_due(settings: Settings, pull_id: int | None) -> datetime | None:
    from ct_pipeline.storage.due import next_due_at
    from ct_pipeline.storage.ledger import open_ledger

    with open_ledger(settings) as conn:
        return next_due_at(conn, pull_id)


def _write(settings: Settings, pull_id: int, out: Path, console: Console) -> None:
    from ct_pipeline.stages.lists import write_list

    show_report(settings, pull_id, write_list(settings, pull_id, out), console)
