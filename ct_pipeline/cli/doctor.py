"""``ct-pipeline doctor``: what must be right before a real list is verified, and how to mend what is not."""

import asyncio

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import Settings, load_settings

MARKS = {"ok": "[green]ok      [/green]", "problem": "[red]problem [/red]", "untested": "[yellow]untested[/yellow]"}


def doctor() -> None:
    """Look at database, disk, resolver, HELO name, MAIL FROM and outbound port 25. Exit status 1 on a problem."""
    console = Console(highlight=False)
    with told_plainly():
        settings = load_settings()
        with running_database(settings):
            problems = asyncio.run(_examine(settings, console))
    if problems:
        raise typer.Exit(1)


async def _examine(settings: Settings, console: Console) -> int:
    from ct_pipeline.stages.doctor import State, examine

    problems = 0
    async for finding in examine(settings):
        problems += finding.state is State.PROBLEM
        console.print(f"{MARKS[finding.state.value]} [bold]{finding.subject}[/bold]  ", end="")
        console.print(finding.what, markup=False)
        if finding.mend:
            console.print(f"         mend: {finding.mend}", markup=False)
    return problems
