"""``ct-pipeline plan``: what is owed to CleverTap, as a preview; the batches of it wait for a push."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.to_clevertap.preview import PlanSummary

BATCH_ROWS_SHOWN = 20
EXAMPLES = """Examples:

  ct-pipeline plan

  ct-pipeline plan --audience "gold customers"
"""


def plan(
    audience: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Plan for the profiles of an audience that was pulled. Default: all."),
    ] = None,
    include_undone: Annotated[
        bool,
        typer.Option("--include-undone", help="Plan also what an undo has taken back."),
    ] = False,
) -> None:
    """Plan what CleverTap should be told: whom to unsubscribe and why, what to append, and what is held back.

    Nothing is sent. A plan after a plan adds only what is new, and withdraws what is no longer right.
    """
    console = Console(highlight=False)
    stopped = "Stopped. What was planned is kept; the same call goes on from here."
    with told_plainly(), stopped_by_signals(lambda: console.print(stopped)):
        settings = load_settings()
        with running_database(settings, console.print):
            from ct_pipeline.stages.judge import judge_unjudged
            from ct_pipeline.stages.plan import make_plan

            with console.status("Planning …"):
                judge_unjudged(settings)
                summary = make_plan(settings, audience, includes_undone=include_undone)
            show_plan(summary, console)


def show_plan(summary: "PlanSummary", console: Console) -> None:
    """Print a preview: numbers, reasons, what is held back, masked samples, batches, and what to do next."""
    from ct_pipeline.to_clevertap.preview import batch_rows, overview, table

    console.print(f"Plan {summary.plan_id} of project {summary.project}", markup=False)
    console.print(_grid(overview(summary)))
    for rows in (
        table("addresses by status", summary.by_status),
        table("unsubscribe because of", summary.by_reason),
        table("unsubscribe at provider", summary.by_provider),
        table("held back because", summary.held_back),
    ):
        if rows:
            console.print()
            console.print(_counts(rows))
    if summary.samples:
        console.print()
        samples = [(sample.address, f"{sample.status}, {sample.reason}") for sample in summary.samples]
        console.print(_grid([("for example", ""), *samples]))
    if summary.batches:
        console.print()
        console.print(_batches(batch_rows(summary.batches)))
    console.print()
    for line in _next_steps(summary):
        console.print(line, markup=False, soft_wrap=True)


def _next_steps(summary: "PlanSummary") -> list[str]:
    from ct_pipeline.storage.plan_question import HeldBack
    from ct_pipeline.to_clevertap.preview import batch_rows

    steps: list[str] = []
    if held := summary.held_batches:
        names = " ".join(name for name, *_ in batch_rows(held))
        steps.append(
            "Held batches send nothing until somebody has looked and says so: "
            f'ct-pipeline approve {names} --because "what was looked at"'
        )
    if not summary.profile_count:
        steps.append(
            f"No profile with an email was ever pulled from the project {summary.project}: ct-pipeline pull does it."
        )
    elif not summary.batches:
        steps.append("Nothing new is owed. ct-pipeline status shows what earlier plans have left to send.")
    elif summary.is_preview:
        steps.append("Nothing was sent. ct-pipeline push shows what would go; ct-pipeline push --apply sends it.")
    else:
        steps.append("Nothing was sent yet. ct-pipeline push sends what is not held.")
    if HeldBack.WAS_UNDONE in summary.held_back:
        steps.append("What an undo took back is planned again by ct-pipeline plan --include-undone.")
    return steps


def _grid(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        grid.add_row(*(_plain(cell) for cell in row))
    return grid


def _counts(rows: list[tuple[str, str]]) -> Table:
    (title, count), *rest = rows
    shown = Table(title, box=None, pad_edge=False)
    shown.add_column(count, justify="right")
    for name, number in rest:
        shown.add_row(_plain(name), number)
    return shown


def _batches(rows: list[tuple[str, str, str, str]]) -> Table:
    shown = Table("batch", "changes", "state", "why", box=None, pad_edge=False)
    for row in rows[:BATCH_ROWS_SHOWN]:
        shown.add_row(*(_plain(cell) for cell in row))
    if len(rows) > BATCH_ROWS_SHOWN:
        shown.add_row("…", f"{len(rows) - BATCH_ROWS_SHOWN:,} rows more", "", "")
    return shown


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
