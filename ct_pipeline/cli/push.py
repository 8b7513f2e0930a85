"""``ct-pipeline push``: send what is planned and not held, or show what would be sent."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.cli.verify_report import counted
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.to_clevertap.push_summary import PushedBatch, PushSummary

ROWS_SHOWN = 20
EXAMPLES = """Examples:

  ct-pipeline push

  ct-pipeline push --apply

  ct-pipeline push --apply --batch 12 --batch 13
"""


def push(
    apply: Annotated[
        bool | None,
        typer.Option("--apply/--preview", help="Send, or only show. Default: as CT_EXPORT_MODE says (preview)."),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Only this batch; may be given several times.")
    ] = None,
) -> None:
    """Send planned changes to CleverTap, each once and with a receipt; what a brake holds is never sent.

    Ctrl-C stops when the calls in flight are answered; the next push sends the rest.
    """
    console = Console(highlight=False)
    stopped = "Stopped. What CleverTap has answered is kept; the next push sends the rest."
    with told_plainly(), stopped_by_signals(lambda: console.print(stopped)):
        settings = load_settings()
        with running_database(settings, console.print):
            from ct_pipeline.stages.push import push as send

            with console.status("Looking at the batches …") as spinner:

                def tell(done: "PushedBatch") -> None:
                    spinner.update(f"Batch {done.batch_id}: {done.processed_count:,} taken by CleverTap …")

                summary = send(settings, batch_ids=batch, apply=apply, on_batch=tell)
            show_push(summary, console)
    if summary.stopped_because:
        raise typer.Exit(1)


def show_push(summary: "PushSummary", console: Console) -> None:
    """Print what was sent, or would be, and what to do next."""
    if summary.preview:
        _show_preview(summary, console)
    else:
        _show_sent(summary, console)
    for held in summary.held[:ROWS_SHOWN]:
        console.print(
            f"Batch {held.batch_id} ({counted(held.change_count, 'change')}) is held: {held.held_because}", markup=False
        )
    if len(summary.held) > ROWS_SHOWN:
        console.print(f"… and {len(summary.held) - ROWS_SHOWN:,} more held batches.")
    if summary.held:
        console.print(
            'Held batches are sent after `ct-pipeline approve BATCH --because "what you looked at"`.', markup=False
        )


def _show_preview(summary: "PushSummary", console: Console) -> None:
    console.print(f"Preview: nothing was sent to project {summary.project}.", markup=False)
    if summary.batches:
        console.print(_table(summary))
    _show_counts("Would not be sent", summary.withdrawals, console)
    if summary.would_send_count:
        verb = "is" if summary.would_send_count == 1 else "are"
        console.print(
            f"{counted(summary.would_send_count, 'change')} {verb} ready. Send with `ct-pipeline push --apply`, or set "
            "CT_EXPORT_MODE=apply.",
            soft_wrap=True,
        )
    elif not summary.held:
        console.print("Nothing is ready to be sent. `ct-pipeline plan` looks for what is owed.")


def _show_sent(summary: "PushSummary", console: Console) -> None:
    if summary.batches:
        console.print(_table(summary))
    _show_counts("Not sent, because", summary.withdrawals, console)
    _show_counts("Refused by CleverTap", summary.rejections, console)
    for words in summary.read_back:
        console.print(f"Read back. {words}.".replace("..", "."), markup=False, soft_wrap=True)
    if summary.stopped_because:
        console.print(f"Stopped early: {summary.stopped_because}", style="red", markup=False, soft_wrap=True)
        console.print("What CleverTap has answered is kept; the next push sends the rest.")
    elif summary.batches:
        console.print(
            f"{counted(summary.processed_count, 'change')} taken by CleverTap in {summary.seconds:.1f} s. "
            "Take one back with `ct-pipeline undo BATCH`."
        )
    elif not summary.held:
        console.print("Nothing is ready to be sent. `ct-pipeline plan` looks for what is owed.")


def _table(summary: "PushSummary") -> Table:
    from ct_pipeline.to_clevertap.preview import KIND_WORDS

    table = Table("batch", "what", box=None, pad_edge=False)
    counts = ("would send",) if summary.preview else ("sent", "taken", "refused")
    for name in (*counts, "withdrawn"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in summary.batches[:ROWS_SHOWN]:
        shown = (
            (one.open_count - one.withdrawn_count,)
            if summary.preview
            else (one.sent_count, one.processed_count, one.rejected_count)
        )
        undoes = f"undoes batch {one.undoes_batch_id}" if one.undoes_batch_id else ""
        state = undoes if summary.preview or one.is_done else f"{undoes} not finished".strip()
        numbers = [f"{count:,}" for count in (*shown, one.withdrawn_count)]
        table.add_row(str(one.batch_id), KIND_WORDS[one.kind], *numbers, Text(state, style="yellow"))
    if len(summary.batches) > ROWS_SHOWN:
        table.add_row("…", f"{len(summary.batches) - ROWS_SHOWN:,} batches more")
    return table


def _show_counts(title: str, counts: "dict[str, int]", console: Console) -> None:
    if counts:
        console.print(f"{title}:")
        for words, count in sorted(counts.items(), key=lambda item: -item[1])[:ROWS_SHOWN]:
            console.print(f"  {count:,} · {words}", markup=False, soft_wrap=True)
