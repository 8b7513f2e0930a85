"""``ct-pipeline push``: send what is planned and not held, or show what would be sent."""

from collections.abc import Iterator
from itertools import groupby
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
    from ct_pipeline.to_clevertap.push_summary import HeldBatch, PushedBatch, PushSummary

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
    held = list(_held(summary.held))
    for line in held[:ROWS_SHOWN]:
        console.print(line, markup=False, soft_wrap=True)
    if len(held) > ROWS_SHOWN:
        console.print("… and more held batches; ct-pipeline status lists them.")
    if held:
        how = 'Held batches are sent after `ct-pipeline approve BATCH --because "what you looked at"`.'
        console.print(how, markup=False, soft_wrap=True)


def _held(batches: "list[HeldBatch]") -> Iterator[str]:
    """A sentence for each run of neighbours that the same brake holds."""
    for because, run in groupby(batches, lambda one: one.held_because):
        members = list(run)
        changes = counted(sum(one.change_count for one in members), "change")
        if len(members) == 1:
            yield f"Batch {members[0].batch_id} ({changes}) is held: {because}"
        elif members[-1].batch_id - members[0].batch_id == len(members) - 1:
            yield f"Batches {members[0].batch_id}-{members[-1].batch_id} ({changes}) are held: {because}"
        else:
            names = ", ".join(str(one.batch_id) for one in members[:ROWS_SHOWN])
            rest = " …" * (len(members) > ROWS_SHOWN)
            yield f"Batches {names}{rest} ({changes}) are held: {because}"


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

    def counts_of(one: "PushedBatch") -> tuple[int, ...]:
        if summary.preview:
            return one.open_count - one.withdrawn_count, one.withdrawn_count
        return one.sent_count, one.processed_count, one.rejected_count, one.withdrawn_count

    for one in summary.batches[:ROWS_SHOWN]:
        undoes = f"undoes batch {one.undoes_batch_id}" if one.undoes_batch_id else ""
        state = undoes if summary.preview or one.is_done else f"{undoes} not finished".strip()
        numbers = [f"{count:,}" for count in counts_of(one)]
        table.add_row(str(one.batch_id), KIND_WORDS[one.kind], *numbers, Text(state, style="yellow"))
    if len(summary.batches) > ROWS_SHOWN:
        left = summary.batches[ROWS_SHOWN:]
        sums = (sum(column) for column in zip(*map(counts_of, left), strict=True))
        table.add_row("…", f"{len(left):,} more", *(f"{count:,}" for count in sums))
    return table


def _show_counts(title: str, counts: "dict[str, int]", console: Console) -> None:
    if counts:
        console.print(f"{title}:")
        for words, count in sorted(counts.items(), key=lambda item: -item[1])[:ROWS_SHOWN]:
            console.print(f"  {count:,} · {words}", markup=False, soft_wrap=True)
