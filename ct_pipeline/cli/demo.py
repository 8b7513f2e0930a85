"""``ct-pipeline demo``: the whole round trip on the sandbox, and the truth beside what was found and done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.setting_values import default_state_dir
from ct_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from ct_pipeline.sandbox.process import SandboxProcess


def demo(
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the demo. What an earlier demo left there is removed.", file_okay=False),
    ] = None,
    profiles: Annotated[int, typer.Option(help="Profiles of the sandbox's CleverTap project.", min=1)] = 5000,
    patience: Annotated[
        int, typer.Option(help="Seconds to wait, in all, for hosts that want to be asked again later.", min=0)
    ] = 180,
) -> None:
    """Clean the CleverTap project of the sandbox, a small internet on this machine, and compare with the truth."""
    # Here, not above: importing Dagster takes seconds, and `ct-pipeline --help` needs none of it.
    from ct_pipeline.cli.demo_report import print_account, print_report
    from ct_pipeline.cli.demo_run import DemoRun

    console = Console(highlight=False)
    started = time.monotonic()
    folder = (state_dir or default_state_dir() / "demo").absolute()
    with (
        told_plainly(),
        stopped_by_signals(lambda: console.print("Stopped.")),
        _prepared(folder, profiles, console) as (settings, sandbox),
    ):
        outcome = DemoRun(settings, sandbox, profiles, console).run(patience)
    console.print()
    print_report(console, outcome.graded, outcome.traffic)
    print_account(console, outcome, time.monotonic() - started)
    console.print(
        f"\nThe UI    [bold]ct-pipeline dev --state-dir {folder}[/bold]   starts the sandbox too", soft_wrap=True
    )
    if not outcome.is_right:
        raise typer.Exit(1)


@contextmanager
def _prepared(folder: Path, profile_count: int, console: Console) -> Iterator[tuple[Settings, "SandboxProcess"]]:
    """An empty state folder with a database, and the sandbox."""
    from ct_pipeline.cli.demo_state import clear_demo_state, is_demo_state, sandbox_for
    from ct_pipeline.orchestration.serve import only_server
    from ct_pipeline.storage.embedded_postgres import stop_embedded

    if is_demo_state(folder):
        earlier = load_settings(state_dir=folder, database_url=None)
        with only_server(earlier):
            stop_embedded(earlier)  # a demo that was killed leaves it running
    clear_demo_state(folder, profile_count)
    console.print("Starting the database and the sandbox …")
    with sandbox_for(folder) as sandbox:
        settings = load_settings()
        with only_server(settings), running_database(settings):
            yield settings, sandbox
