"""``ct-pipeline dev``: database, migrations, UI and daemon in one command."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import Settings, load_settings

WATCH_SECONDS = 3600.0


def dev(
    host: Annotated[
        str, typer.Option(help="Address to serve the UI on. Whoever reaches it controls the pipeline.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65535)] = 3000,
    state_dir: Annotated[
        Path | None, typer.Option(help="State folder to work in, instead of CT_STATE_DIR.", file_okay=False)
    ] = None,
) -> None:
    """Serve the Dagster UI with everything that runs by itself. Ctrl-C stops all of it."""
    # Here, not above: importing Dagster takes seconds, and `ct-pipeline --help` needs none of it.
    from ct_pipeline.atomic_files import private_folder
    from ct_pipeline.orchestration.serve import serve

    console = Console(highlight=False)
    with (
        told_plainly(),
        _stop_on_signals(console),
        _settings(state_dir, console) as settings,
        running_database(settings, console.print),
    ):
        private_folder(settings.inbox_dir)
        console.print("Starting the UI and the daemon …")
        with serve(settings, host, port) as server:
            console.print(f"\n  [bold]{server.url}[/bold]\n")
            console.print(f"State folder  {settings.state_dir}", soft_wrap=True)
            console.print(f"Inbox         {settings.inbox_dir}   contact files put here are taken in", soft_wrap=True)
            console.print("Ctrl-C stops everything.\n")
            while True:
                server.wait(WATCH_SECONDS)


@contextlib.contextmanager
def _settings(state_dir: Path | None, console: Console) -> Iterator[Settings]:
    """The settings of the state folder; with one that the demo has made, the sandbox runs too."""
    from ct_pipeline.cli.demo_state import is_demo_state, sandbox_for

    settings = load_settings(**({"state_dir": state_dir} if state_dir else {}))
    if not is_demo_state(settings.state_dir):
        yield settings
        return
    console.print("This is the demo's state folder: starting the sandbox …")
    with sandbox_for(settings.state_dir):
        yield load_settings()


@contextlib.contextmanager
def _stop_on_signals(console: Console) -> Iterator[None]:
    """SIGTERM and Ctrl-C both end the block, also where a shell started us with interrupts ignored."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        console.print("Stopped.")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
