"""``ct-pipeline approve``: let batches go that a brake holds."""

from typing import Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.batch_numbers import numbers
from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.login_name import login_name
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import load_settings

EXAMPLES = """Examples:

  ct-pipeline approve 12 --because "looked at 30 of them: the office was closed down"

  ct-pipeline approve 12-40 43 --because "first clean-up of the list" --by "Ann Lee"
"""


def approve(
    batches: Annotated[list[str], typer.Argument(metavar="BATCH…", help="Held batches: numbers, or ranges as 12-40.")],
    because: Annotated[str, typer.Option(metavar="TEXT", help="Why it is right; stays with the batch.")],
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who answers for it. Default: the login name.")] = None,
) -> None:
    """Approve batches that a brake holds, all of them or none. The next push sends them."""
    console = Console(highlight=False)
    batch_ids = numbers(batches)
    with told_plainly():
        settings = load_settings()
        with running_database(settings, console.print):
            from ct_pipeline.stages.plan import approve as approve_batches

            approved = approve_batches(settings, batch_ids, by or login_name(), because)
    change_count = sum(batch.change_count - sum(batch.outcomes.values()) for batch in approved)
    count = "1 batch" if len(approved) == 1 else f"{len(approved):,} batches"
    console.print(f"Approved {count} with {change_count:,} changes, by {approved[0].approved_by}.", markup=False)
    console.print("Next: ct-pipeline push shows what would go; ct-pipeline push --apply sends it.")
