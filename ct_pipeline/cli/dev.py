"""``ct-pipeline dev``: database, migrations, UI and daemon in one command."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from ct_pipeline.errors import CtPipelineError
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
    from ct_pipeline.orchestration.serve import serve

    console = Console(highlight=False)
    try:
        with _stop_on_signals(), _settings(state_dir, console) as settings, _database(settings, console):
            settings.inbox_dir.mkdir(parents=True, exist_ok=True)
            console.print("Starting the UI and the daemon …")
            with serve(settings, host, port) as server:
                console.print(f"\n  [bold]{server.url}[/bold]\n")
                console.print(f"State folder  {settings.state_dir}")
                console.print(f"Inbox         {settings.inbox_dir}   contact files put here are taken in")
                console.print("Ctrl-C stops everything.\n")
                while True:
                    server.wait(WATCH_SECONDS)
    except KeyboardInterrupt:
        console.print("Stopped.")
    except CtPipelineError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None


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
def _database(settings: Settings, console: Console) -> Iterator[None]:
    """The database, up to date; one that we started is stopped again."""
    from ct_pipeline.storage.database import resolve_database_url
    from ct_pipeline.storage.embedded_postgres import embedded_is_running, start_embedded, stop_embedded
    from ct_pipeline.storage.migrations import upgrade

    is_ours = settings.database_url is None and not embedded_is_running(settings)
    if is_ours:
        console.print("Starting the database …")
        start_embedded(settings)
    try:
        upgrade(resolve_database_url(settings))
        yield
    finally:
        if is_ours:
            stop_embedded(settings)


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C both end the block, also where a shell started us with interrupts ignored."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
