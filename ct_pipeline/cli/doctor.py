"""``ct-pipeline doctor``: what must be right before a real list is verified, and how to mend what is not."""

import asyncio
import contextlib
import os

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.errors import CtPipelineError
from ct_pipeline.settings import Settings, load_settings

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red", "untested": "yellow"}


def doctor() -> None:
    """Look at settings, database, disk, the age of each list, CleverTap, clock and resolver; and for each egress at
    HELO name, MAIL FROM, outbound port 25 and DNS block lists.

    Sends no mail and changes nothing. Exit status 1 when there is a problem.
    """
    console = Console(highlight=False)
    with told_plainly():
        settings = load_settings()
        with contextlib.ExitStack() as database:
            fault: CtPipelineError | None = None
            try:
                # An embedded database is ours to migrate; one of the user's own is only looked at.
                database.enter_context(running_database(settings, migrate=settings.database_url is None))
            except CtPipelineError as error:
                fault = error
            problems = asyncio.run(_examine(settings, fault, console))
    if problems:
        console.print(f"{problems} {'problem' if problems == 1 else 'problems'}. Mend from the top, then look again.")
        raise typer.Exit(1)
    console.print("No problems.")


async def _examine(settings: Settings, fault: CtPipelineError | None, console: Console) -> int:
    from ct_pipeline.stages.doctor import State, examine

    problems = 0
    async for finding in examine(settings, os.environ, fault):
        problems += finding.state is State.PROBLEM
        row = Table.grid(padding=(0, 1))
        row.add_column(width=8)
        row.add_column(width=19)
        row.add_column(overflow="fold")
        what = Text(finding.what)
        if finding.mend:
            what.append(f"\nmend: {finding.mend}", style="bold")
        row.add_row(Text(finding.state, style=COLOURS[finding.state]), Text(finding.subject, style="bold"), what)
        console.print(row)
    return problems
