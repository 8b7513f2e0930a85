"""``ct-pipeline status``: where everything stands, and what to do next."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.cli.verify_report import COLOURS, counted
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.stages.status import Status
    from ct_pipeline.storage.due import DueAgain
    from ct_pipeline.to_clevertap.changes import Batch

BATCH_ROWS_SHOWN = 20  # of the open ones the first, of the done ones the last


def status() -> None:
    """Show pulls, addresses by status, what is due and why, who turned us away, batches, receipts, and the next step.

    Asks nobody but the database.
    """
    console = Console(highlight=False)
    with told_plainly():
        settings = load_settings()
        with running_database(settings, lambda text: typer.echo(text, err=True)):
            from ct_pipeline.stages.status import status as look

            show_status(look(settings), console)


def show_status(found: "Status", console: Console) -> None:
    """Print it all, the next steps last, where a reader's eye is."""
    from ct_pipeline.cli.verifying_status import verifying_tables
    from ct_pipeline.stages.status import nothing_to_do

    facts = Table.grid(padding=(0, 2))
    facts.add_column(width=14)
    facts.add_column(overflow="fold")
    for label, text in _facts(found):
        facts.add_row(Text(label), text if isinstance(text, Text) else Text(text))
    console.print(facts)
    for section in verifying_tables(found):
        console.print()
        console.print(section)
    if found.open_batches:
        console.print()
        console.print(_batches("open batches", found.open_batches))
    if found.done_batches:
        console.print()
        console.print(_batches("last batches", found.done_batches, are_last=True))
    console.print()
    console.print("What to do next", style="bold")
    for number, step in enumerate(found.next_steps, start=1):
        console.print(f"{number}. {step}", markup=False, soft_wrap=True)
    if not found.next_steps:
        console.print(nothing_to_do(found))


def _facts(found: "Status") -> Iterator[tuple[str, "str | Text"]]:
    if found.project:
        mode = "pushes send" if found.applies else "pushes only show what they would send (CT_EXPORT_MODE=preview)"
        yield "project", f"{found.project}; {mode}"
        yield "profiles", f"{found.profile_count:,}, of them {found.with_email_count:,} with an email"
    else:
        yield "project", "none (CT_PROJECT_ID is not set)"
    label = "last pulls"
    for pull in found.pulls:
        name = pull.audience.removeprefix(f"{found.project}/") if found.project else pull.audience
        source = f", {pull.source_name}" if pull.source_name not in (name, "") else ""
        state = "" if pull.is_taken_up else "; not taken up yet"
        what = "profile" if pull.is_profiles else "row"
        yield label, f"{name}{source}: {counted(pull.row_count, what)} on {_when(pull.pulled_at)}{state}"
        label = ""
    yield "addresses", _statuses(found)
    if found.due is not None and found.due.address_count:
        yield "to be asked", _due(found, found.due)
    if found.cost is not None and found.cost.session_count:
        from ct_pipeline.cli.verifying_status import cost_in_words

        label = "cost to others"
        for text in cost_in_words(found.cost):
            yield label, text
            label = ""
    if found.unjudged_count:
        yield "unjudged", f"{counted(found.unjudged_count, 'address', 'addresses')} with new evidence"
    if found.project:
        stale = "; there are newer verdicts" if found.is_plan_stale else ""
        yield "last plan", f"{_when(found.planned_at)}{stale}" if found.planned_at else "none"
        label = "receipts"
        for receipt in found.receipts:
            from ct_pipeline.to_clevertap.preview import KIND_WORDS

            words = f"{KIND_WORDS[receipt.kind]}: {receipt.receipt_count:,} {receipt.outcome}"
            yield label, f"{words}, the last on {_when(receipt.last_at)}"
            label = ""


def _due(found: "Status", due: "DueAgain") -> str:
    later = due.address_count - found.due_now_count
    if found.unknown_domain_count and due.first_at and due.first_at <= datetime.now(UTC):
        return f"{found.due_now_count:,} now, {later:,} after their domains are looked up, or later"
    first = f", the first at {_when(due.first_at)}" if due.first_at else ""
    return f"{found.due_now_count:,} now, {later:,} not yet{first}"


def _statuses(found: "Status") -> Text:
    total = sum(found.statuses.values())
    shown = Text(f"{total:,}")
    for one, count in found.statuses.items():
        if count:
            shown.append(" · ")
            shown.append(f"{one} {count:,}", style=COLOURS[one])
    return shown


def _batches(title: str, batches: "list[Batch]", *, are_last: bool = False) -> Table:
    from ct_pipeline.to_clevertap.preview import batch_rows
    from ct_pipeline.vocabulary import BatchState

    table = Table(title, "changes", "state", "why", box=None, pad_edge=False)
    rows = batch_rows(batches)
    for name, what, state, why in rows[-BATCH_ROWS_SHOWN:] if are_last else rows[:BATCH_ROWS_SHOWN]:
        style = {BatchState.HELD: "yellow", BatchState.SENDING: "cyan"}.get(BatchState(state), "")
        table.add_row(name, what, Text(state, style=style), Text(why))
    if len(rows) > BATCH_ROWS_SHOWN and not are_last:
        table.add_row("…", f"{len(rows) - BATCH_ROWS_SHOWN:,} rows more", "", "")
    return table


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "an unknown time"
