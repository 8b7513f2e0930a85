"""``ct-pipeline demo``: the whole pipeline on the sandbox, and the truth beside its verdicts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import Settings, default_state_dir, load_settings

if TYPE_CHECKING:
    from ct_pipeline.cli.demo_report import Graded
    from ct_pipeline.orchestration.job_runs import JobRuns

CONTACT_FILE = "sandbox_contacts.csv"
SOONEST_SECONDS = 2.0  # addresses of one host fall due within moments of each other: wait for their company


def demo(
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the demo. What an earlier demo left there is removed.", file_okay=False),
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Seconds to wait, in all, for hosts that want to be asked again later.", min=0)
    ] = 180,
) -> None:
    """Verify everyone in the sandbox, a small internet on this machine, and compare the verdicts with the truth."""
    # Here, not above: importing Dagster takes seconds, and `ct-pipeline --help` needs none of it.
    from ct_pipeline.cli.demo_report import print_report, read_traffic
    from ct_pipeline.sandbox.grading import Grade

    console = Console(highlight=False)
    started = time.monotonic()
    folder = (state_dir or default_state_dir() / "demo").absolute()
    with (
        told_plainly(),
        stopped_by_signals(lambda: console.print("Stopped.")),
        _prepared(folder, console) as (settings, command_log),
    ):
        graded = _run_pipeline(settings, console, started, patience)
        traffic = read_traffic(command_log)
    console.print()
    print_report(console, graded, traffic, time.monotonic() - started)
    console.print(f"\nThe list  {settings.lists_dir / CONTACT_FILE}", soft_wrap=True)
    console.print(
        f"The UI    [bold]ct-pipeline dev --state-dir {folder}[/bold]   starts the sandbox too", soft_wrap=True
    )
    if any(entry.grade is Grade.WRONG for entry in graded):
        raise typer.Exit(1)


@contextmanager
def _prepared(folder: Path, console: Console) -> Iterator[tuple[Settings, Path]]:
    """An empty state folder with a database, and the sandbox; the settings, and the mail hosts' log."""
    from ct_pipeline.cli.demo_state import clear_demo_state, is_demo_state, sandbox_for
    from ct_pipeline.orchestration.serve import only_server
    from ct_pipeline.storage.embedded_postgres import stop_embedded

    if is_demo_state(folder):
        earlier = load_settings(state_dir=folder, database_url=None)
        with only_server(earlier):
            stop_embedded(earlier)  # a demo that was killed leaves it running
    clear_demo_state(folder)
    console.print("Starting the database and the sandbox …")
    with sandbox_for(folder) as sandbox:
        settings = load_settings()
        with only_server(settings), running_database(settings):
            yield settings, sandbox.log_path


def _run_pipeline(settings: Settings, console: Console, started: float, patience: int) -> list["Graded"]:
    """The jobs, as a server would run them, until nothing that can be found out is open or patience ends."""
    from ct_pipeline.orchestration.instance import dagster_instance
    from ct_pipeline.orchestration.job_runs import JobRuns
    from ct_pipeline.sandbox.contact_file import write_contact_file

    def tell(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        console.print(f"[dim]{minutes}:{seconds:02d}[/dim]  {text}")

    written = write_contact_file(settings.inbox_dir / CONTACT_FILE)
    with dagster_instance(settings) as instance:
        runs = JobRuns(instance)
        tell(f"job [bold]intake[/bold]: {written.row_count} rows, {written.address_count} addresses")
        runs.intake(CONTACT_FILE)
        deadline = time.monotonic() + patience
        lane_range = None
        while True:
            tell(
                "job [bold]verify[/bold]: every lane"
                if lane_range is None
                else "job [bold]verify[/bold]: what is due again"
            )
            runs.verify(lane_range)
            graded = _judge(settings, runs)
            open_count = sum(entry.is_open for entry in graded)
            tell(f"job [bold]judge[/bold]: {len(graded) - open_count} addresses judged, {open_count} to be asked again")
            if not open_count or not _wait_until_due(settings, deadline, tell):
                return graded
            lane_range = _due_lanes(settings)


def _judge(settings: Settings, runs: "JobRuns") -> list["Graded"]:
    from ct_pipeline.cli.demo_report import grade_list
    from ct_pipeline.sandbox.population import population

    runs.judge()
    runs.lists(CONTACT_FILE)
    return grade_list(settings.lists_dir / CONTACT_FILE, population())


def _wait_until_due(settings: Settings, deadline: float, tell: Callable[[str], None]) -> bool:
    """Sleep until the next address is due; False when none is, or not before ``deadline`` (monotonic)."""
    from ct_pipeline.storage.due import next_due_at
    from ct_pipeline.storage.ledger import open_ledger

    with open_ledger(settings) as ledger:
        next_at = next_due_at(ledger)
    if next_at is None:
        return False
    wait_seconds = max((next_at - datetime.now(UTC)).total_seconds(), 0) + SOONEST_SECONDS
    if time.monotonic() + wait_seconds > deadline:
        return False
    tell(f"waiting {wait_seconds:.0f} s for hosts that said: try again later")
    time.sleep(wait_seconds)
    return True


def _due_lanes(settings: Settings) -> tuple[str, str] | None:
    from ct_pipeline.orchestration.partitions import covering_range
    from ct_pipeline.storage.due import lanes_due
    from ct_pipeline.storage.ledger import open_ledger

    with open_ledger(settings) as ledger:
        return covering_range(set(lanes_due(ledger, datetime.now(UTC))))
