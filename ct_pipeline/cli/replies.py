"""``ct-pipeline replies``: how well the reply rules read replies whose meaning is known."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly

if TYPE_CHECKING:
    from ct_pipeline.verification.reply_corpus import CorpusFault

FAULTS_SHOWN = 20
EXAMPLES = """Examples:

  ct-pipeline replies score labelled_replies.jsonl

  ct-pipeline replies score labelled_replies.jsonl --cross-validate --page docs/reference/replies.md
"""

replies = typer.Typer(no_args_is_help=True, help="The rules that read mail hosts' replies: score them.")


@replies.callback()
def _group() -> None:
    """The rules that read mail hosts' replies: score them."""


@replies.command(epilog=EXAMPLES)
def score(
    file: Annotated[
        Path,
        typer.Argument(
            help="Labelled replies, one JSON object a line: id, text, label, side, confidence; code, enhanced, stage, "
            "provider where known.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    cross_validate: Annotated[
        bool,
        typer.Option(
            "--cross-validate", help="Also score each of five folds, and two halves, without what only they teach."
        ),
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            help="Write the report into this page of documentation, between its markers.", exists=True, dir_okay=False
        ),
    ] = None,
) -> None:
    """Read labelled replies with the reply rules and show where readings and labels part.

    Lines that are no labelled reply are named on standard error and left out; with any of them the command ends with 1.
    """
    from ct_pipeline.cli import replies_report
    from ct_pipeline.verification.replies import ReplyReader
    from ct_pipeline.verification.reply_ablation import FOLDS, HALVES, cross_validation
    from ct_pipeline.verification.reply_corpus import read_corpus
    from ct_pipeline.verification.reply_rules import load_rules
    from ct_pipeline.verification.reply_score import score_replies

    with told_plainly():
        rows, faults = read_corpus(_lines(file))
        rules = load_rules()
        scored = score_replies(rows, ReplyReader(rules).read)
        folds = [cross_validation(rules, rows, count) for count in (FOLDS, HALVES)] if cross_validate else []
        report = replies_report.Report(scored, folds, rules.version, len(rules.rules), len(faults))
        if page:
            replies_report.write_into(page, report)
        if as_json:
            typer.echo(json.dumps(replies_report.as_json(report), ensure_ascii=False))
        elif not page:
            replies_report.show(report, Console(highlight=False, soft_wrap=True))
        _tell(faults)


def _lines(file: Path) -> Iterator[bytes]:
    from ct_pipeline.errors import PermanentError
    from ct_pipeline.verification.reply_corpus import MAX_FILE_BYTES

    if (size := file.stat().st_size) > MAX_FILE_BYTES:
        raise PermanentError(f"{file} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read. Split it.")
    with file.open("rb") as stream:
        yield from stream


def _tell(faults: "list[CorpusFault]") -> None:
    if not faults:
        return
    console = Console(stderr=True, highlight=False)
    for fault in itertools.islice(faults, FAULTS_SHOWN):
        console.print(f"line {fault.line_number:,}: {fault.problem}", markup=False, soft_wrap=True)
    if len(faults) > FAULTS_SHOWN:
        console.print(f"… and {len(faults) - FAULTS_SHOWN:,} lines more", markup=False)
    console.print(f"{len(faults):,} lines were left out.", style="red", markup=False)
    raise typer.Exit(1)
