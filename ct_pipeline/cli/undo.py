"""``ct-pipeline undo BATCH…``: take back what batches did in CleverTap, as far as that is right."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.batch_numbers import named, numbers
from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.login_name import login_name
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.cli.verify_report import counted
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.stages.undo import UndoSummary

EXAMPLES = """Examples:

  ct-pipeline undo 12

  ct-pipeline undo 12 --apply

  ct-pipeline undo 12-32 40 --apply
"""


def undo(
    batches: Annotated[
        list[str],
        typer.Argument(metavar="BATCH…", help="Batches as `status` lists them: numbers, or ranges as 12-40."),
    ],
    apply: Annotated[
        bool | None,
        typer.Option("--apply/--preview", help="Write, or only show. Default: as CT_EXPORT_MODE says (preview)."),
    ] = None,
    include_unknown: Annotated[
        bool,
        typer.Option(
            "--include-unknown",
            help="Resubscribe also those of whom it is not known whether they were subscribed before.",
        ),
    ] = False,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who asks for it. Default: the login name.")] = "",
) -> None:
    """Undo batches: resubscribe whoever they unsubscribed, or give profiles their former properties back.

    Opt-outs are read from CleverTap first: who has opted out by themselves, before or after, stays so. Of several
    batches the newest is undone first; when one cannot be undone, none is.
    """
    console = Console(highlight=False)
    batch_ids = numbers(batches)
    stopped = "Stopped. What CleverTap has answered is kept; the same call goes on from here."
    with told_plainly(), stopped_by_signals(lambda: console.print(stopped)):
        settings = load_settings()
        with running_database(settings, console.print):
            from ct_pipeline.stages.push import applies
            from ct_pipeline.stages.undo import check_undoable, undo_batch

            newest_first = check_undoable(settings, batch_ids)
            if not applies(settings, apply):
                console.print("Preview: nothing is written.")
            by = by.strip() or login_name()
            undo_one = partial(undo_batch, settings, include_unknown=include_unknown, apply=apply, by=by)
            summaries = _undo_each(newest_first, undo_one, console)
    if summaries[-1].stopped_because:
        raise typer.Exit(1)
    if any(summary.preview and summary.restorable_count for summary in summaries):
        unknown = " --include-unknown" * include_unknown
        call = f"ct-pipeline undo {' '.join(batches)} --apply{unknown}"
        console.print(f"Write it with `{call}`.", markup=False, soft_wrap=True)


def show_undo(summary: "UndoSummary", console: Console) -> None:
    """Print how many were restored, or would be, and why the others are left alone."""
    from ct_pipeline.to_clevertap.undo import UNKNOWN

    console.print(f"{_restored([summary])}.")
    if summary.left_alone:
        console.print("Left alone:")
        for words, count in sorted(summary.left_alone.items(), key=lambda item: -item[1]):
            console.print(f"  {count:,} · {words}", markup=False, soft_wrap=True)
    if summary.left_alone.get(UNKNOWN):
        console.print("Those of whom nothing is known are restored with --include-unknown.")
    if summary.withdrawn_count:
        console.print(
            f"{counted(summary.withdrawn_count, 'change')} of the batch had not been sent and will not be; the next "
            "plan may plan them again.",
            soft_wrap=True,
        )
    if summary.rejected_count:
        console.print(f"{counted(summary.rejected_count, 'change')} refused by CleverTap.")
    for words in (*summary.doubts, *summary.read_back):
        console.print(words, markup=False, soft_wrap=True)
    if summary.stopped_because:
        console.print(f"Stopped early: {summary.stopped_because}", style="red", markup=False, soft_wrap=True)
        console.print("The same call goes on from there.")


def _undo_each(
    newest_first: Sequence[int], undo_one: "Callable[[int], UndoSummary]", console: Console
) -> "list[UndoSummary]":
    """Undo one after the other until one stops early. What several came to is told however it ends."""
    summaries: list[UndoSummary] = []
    is_several = len(newest_first) > 1
    try:
        for batch_id in newest_first:
            if is_several:
                console.print(f"Batch {batch_id}", style="bold")
            with console.status("Reading who has opted out …"):
                summaries.append(undo_one(batch_id))
            show_undo(summaries[-1], console)
            if summaries[-1].stopped_because:
                break
    finally:
        if is_several:
            _show_totals(summaries, newest_first, console)
    return summaries


def _show_totals(summaries: "Sequence[UndoSummary]", newest_first: Sequence[int], console: Console) -> None:
    from ct_pipeline.to_clevertap.undo import CHANGED_SINCE

    finished_count = sum(not summary.stopped_because for summary in summaries)
    if remaining := newest_first[finished_count:]:
        console.print(f"Not done: {named(remaining)}.", style="red", soft_wrap=True)
    if not summaries:
        return
    parts = [_restored(summaries)]
    for words, count in (
        ("left alone", sum(sum(summary.left_alone.values()) for summary in summaries)),
        ("not sent and withdrawn", sum(summary.withdrawn_count for summary in summaries)),
        ("refused by CleverTap", sum(summary.rejected_count for summary in summaries)),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    of_all = f"{finished_count:,} of " if remaining else ""
    total = f"{of_all}{counted(len(newest_first), 'batch', 'batches')}"
    console.print(f"In all, {total}: {', '.join(parts)}.", soft_wrap=True)
    if any(summary.preview and summary.left_alone.get(CHANGED_SINCE) for summary in summaries):
        console.print("Shown as things stand: once a newer batch is undone, an older one may restore more.")


def _restored(summaries: "Sequence[UndoSummary]") -> str:
    """``2 addresses resubscribed, 1 profile given its former properties back``, or that they would be."""
    from ct_pipeline.vocabulary import ChangeKind

    words: list[str] = []
    for is_unsubscribe, one, many, what in (
        (True, "address", "addresses", "resubscribed"),
        (False, "profile", "profiles", "given their former properties back"),
    ):
        those = [summary for summary in summaries if (summary.kind is ChangeKind.UNSUBSCRIBE) is is_unsubscribe]
        if those:
            count = sum(s.restorable_count if s.preview else s.restored_count for s in those)
            words.append(f"{counted(count, one, many)} {'would be ' * those[0].preview}{what}")
    return ", ".join(words)
