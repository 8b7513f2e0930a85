"""``ct-pipeline undo BATCH``: take back what a batch did in CleverTap, as far as that is right."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.cli.verify_report import counted
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.stages.undo import UndoSummary

EXAMPLES = """Examples:

  ct-pipeline undo 12

  ct-pipeline undo 12 --apply
"""


def undo(
    batch: Annotated[int, typer.Argument(metavar="BATCH", help="Number of the batch, as `status` lists it.")],
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
    """Undo a batch: resubscribe whoever it unsubscribed, or give profiles their former properties back.

    Opt-outs are read from CleverTap first: who has opted out by themselves, before or after, stays so.
    """
    console = Console(highlight=False)
    stopped = "Stopped. What CleverTap has answered is kept; the same call goes on from here."
    with told_plainly(), stopped_by_signals(lambda: console.print(stopped)):
        settings = load_settings()
        with running_database(settings, console.print):
            from ct_pipeline.stages.undo import undo_batch

            with console.status("Reading who has opted out …"):
                summary = undo_batch(
                    settings, batch, include_unknown=include_unknown, apply=apply, by=by.strip() or _login_name()
                )
            show_undo(summary, console, include_unknown=include_unknown)
    if summary.stopped_because:
        raise typer.Exit(1)


def show_undo(summary: "UndoSummary", console: Console, *, include_unknown: bool = False) -> None:
    """Print how many were restored, or would be, and why the others are left alone."""
    from ct_pipeline.to_clevertap.undo import UNKNOWN
    from ct_pipeline.vocabulary import ChangeKind

    is_unsubscribe = summary.kind is ChangeKind.UNSUBSCRIBE
    what = "resubscribed" if is_unsubscribe else "given their former properties back"
    who = ("address", "addresses") if is_unsubscribe else ("profile", "profiles")
    if summary.preview:
        console.print("Preview: nothing was written.")
        console.print(f"{counted(summary.restorable_count, *who)} would be {what}.")
    else:
        console.print(f"{counted(summary.restored_count, *who)} {what}.")
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
    elif summary.preview and summary.restorable_count:
        unknown = " --include-unknown" * include_unknown
        console.print(f"Write it with `ct-pipeline undo {summary.batch_id} --apply{unknown}`.")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""
