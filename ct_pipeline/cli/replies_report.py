"""What a score of the reply rules says: on the terminal, as JSON, and as a block of a page of documentation."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.atomic_files import replacing
from ct_pipeline.errors import PermanentError
from ct_pipeline.verification.reply_ablation import CrossValidation
from ct_pipeline.verification.reply_corpus import Label
from ct_pipeline.verification.reply_score import ReplyScore, ScoredRow

BEGIN = "<!-- begin: ct-pipeline replies score FILE --cross-validate --page THIS_PAGE -->"
END = "<!-- end -->"
_UNCLEAR = "unclear"
_TEXT_SHOWN = 160
_LABEL_HEADER = ("label", "rows", "precision", "recall", "agreement")
_FOLD_HEADER = ("fold", "rows", "dangerous", "agreement", "unclear", "label agreement")


class Report(NamedTuple):
    """Everything that one call of ``replies score`` found."""

    score: ReplyScore
    cross_validations: list[CrossValidation]
    rules_version: str
    rule_count: int
    fault_count: int


def as_json(report: Report) -> dict[str, Any]:
    """One object: ``dangerous`` is a count; ``agreement``, ``label_agreement`` and ``unclear`` are rates, 0 to 1."""
    score = report.score
    return {
        **_rates(score),
        "rules_version": report.rules_version,
        "row_count": score.row_count,
        "unusable_line_count": report.fault_count,
        "sure_row_count": len(score.sure_rows),
        "scored_row_count": len(score.scored_rows),
        "labels": {
            line.label.value: {
                "row_count": line.row_count,
                "precision": line.precision,
                "recall": line.recall,
                "agreement": line.agreement,
            }
            for line in score.labels()
        },
        "confusion": [
            {"label": label.value, "answer": answer.value if answer else _UNCLEAR, "row_count": count}
            for (label, answer), count in sorted(score.confusion.items(), key=lambda item: -item[1])
        ],
        "dangerous_rows": [_row_as_json(row) for row in score.dangerous_rows],
        "wrong_rows": [_row_as_json(row) for row in score.wrong_rows],
        "other_label_rows": [_row_as_json(row) for row in _right_but_otherwise_named(score)],
        "cross_validation": [
            {
                "fold_count": len(found.folds),
                **_mean_rates(found),
                "folds": [{"scored_row_count": len(fold.scored_rows), **_rates(fold)} for fold in found.folds],
            }
            for found in report.cross_validations
        ],
    }


def show(report: Report, console: Console) -> None:
    """Tables, then the rows to look at: dangerous ones first."""
    score = report.score
    console.print(_summary(report))
    console.print(_table(_LABEL_HEADER, _label_cells(score)))
    console.print()
    console.print(_confusion_table(score))
    if report.cross_validations:
        console.print()
        console.print(_table(_FOLD_HEADER, _fold_cells(report.cross_validations)))
    for title, rows in (
        ("Dangerous: about us, a server or a message, read as a dead address", score.dangerous_rows),
        ("Wrong about the address", score.wrong_rows),
        ("Right about the address, by another label", _right_but_otherwise_named(score)),
    ):
        console.print(f"\n{title}: {len(rows):,}")
        for row in rows:
            console.print(Text(f"  {_row_in_words(row)}"))


def write_into(page: Path, report: Report) -> None:
    """Put the report between the markers of ``page``.

    Raises:
        PermanentError: the page has no markers, or more than one pair.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after:
        raise PermanentError(f"{page} needs one line {BEGIN!r} and after it one line {END!r}: the report goes between.")
    with replacing(page) as partial:
        partial.write_text(f"{before}{BEGIN}\n\n{as_markdown(report)}\n{END}{after}", encoding="utf-8")


def as_markdown(report: Report) -> str:
    """The report's figures; no reply of the corpus is quoted."""
    score = report.score
    parts = [
        _summary(report),
        _markdown_table(_LABEL_HEADER, _label_cells(score)),
        "Labels (rows) and what our reasons answer to (columns):",
        _markdown_table(*_confusion_cells(score)),
    ]
    if report.cross_validations:
        parts += ["Cross-validated:", _markdown_table(_FOLD_HEADER, _fold_cells(report.cross_validations))]
    return "\n".join(f"{part}\n" for part in parts)


def _summary(report: Report) -> str:
    score = report.score
    return (
        f"{report.rule_count} rules, version {report.rules_version}; {score.row_count:,} replies, "
        f"{len(score.sure_rows):,} gold or silver, {len(score.scored_rows):,} of them scored.\n"
        f"dangerous {len(score.dangerous_rows)} · agreement {_percent(score.agreement)} · "
        f"unclear {_percent(score.unclear)} · label agreement {_percent(score.label_agreement)}\n"
    )


def _label_cells(score: ReplyScore) -> list[list[str]]:
    return [
        [
            line.label.value,
            f"{line.row_count:,}",
            *("–" if rate is None else _percent(rate) for rate in (line.precision, line.recall, line.agreement)),
        ]
        for line in score.labels()
    ]


def _confusion_table(score: ReplyScore) -> Table:
    """Narrow enough for a terminal: a letter stands for each label."""
    header, cells = _confusion_cells(score)
    letter_of = dict(zip(header[1:], "abcdefghijklmnopqrst", strict=False))
    table = Table("label", "", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for letter in letter_of.values():
        table.add_column(letter, justify="right")
    for name, *counts in cells:
        table.add_row(name, letter_of.pop(name, ""), *counts)
    for name, letter in letter_of.items():
        table.add_row(name, letter)
    return table


def _confusion_cells(score: ReplyScore) -> tuple[tuple[str, ...], list[list[str]]]:
    meant = [label for label in Label if any(label is one for one, _ in score.confusion)]
    answers = [answer for answer in (*Label, None) if any(answer is one for _, one in score.confusion)]
    header = ("label", *(answer.value if answer else _UNCLEAR for answer in answers))
    return header, [
        [label.value, *(str(score.confusion[label, answer] or "") for answer in answers)] for label in meant
    ]


def _fold_cells(cross_validations: Iterable[CrossValidation]) -> list[list[str]]:
    cells: list[list[str]] = []
    for found in cross_validations:
        for number, fold in enumerate(found.folds, start=1):
            cells.append(_line_of_rates(f"{number} of {len(found.folds)}", len(fold.scored_rows), _rates(fold)))
        rows = sum(len(fold.scored_rows) for fold in found.folds)
        cells.append(_line_of_rates(f"all {len(found.folds)}", rows, _mean_rates(found)))
    return cells


def _line_of_rates(name: str, row_count: int, rates: dict[str, Any]) -> list[str]:
    shares = (_percent(rates[share]) for share in ("agreement", "unclear", "label_agreement"))
    return [name, f"{row_count:,}", str(rates["dangerous"]), *shares]


def _rates(score: ReplyScore) -> dict[str, Any]:
    return {
        "dangerous": len(score.dangerous_rows),
        "agreement": round(score.agreement, 4),
        "unclear": round(score.unclear, 4),
        "label_agreement": round(score.label_agreement, 4),
    }


def _mean_rates(found: CrossValidation) -> dict[str, Any]:
    shares: dict[str, Callable[[ReplyScore], float]] = {
        "agreement": lambda score: score.agreement,
        "unclear": lambda score: score.unclear,
        "label_agreement": lambda score: score.label_agreement,
    }
    dangerous = sum(len(fold.dangerous_rows) for fold in found.folds)
    return {"dangerous": dangerous, **{name: round(found.mean(share), 4) for name, share in shares.items()}}


def _right_but_otherwise_named(score: ReplyScore) -> list[ScoredRow]:
    return [row for row in score.scored_rows if row.agrees and not row.names_the_label]


def _row_as_json(scored: ScoredRow) -> dict[str, Any]:
    row, reading = scored.row, scored.reading
    return {
        "id": row.row_id,
        "stage": row.reply.stage.value,
        "code": row.reply.code,
        "enhanced": row.reply.enhanced,
        "text": row.raw_text,
        "label": row.label.value,
        "side": row.side.value,
        "reason": reading.reason.value,
        "about": reading.about.value,
        "rule": reading.rule,
    }


def _row_in_words(scored: ScoredRow) -> str:
    row, reading = scored.row, scored.reading
    text = " ".join(row.reply.text.split())[:_TEXT_SHOWN]
    codes = f"{row.reply.code} {row.reply.enhanced or ''}".strip()
    meant, read = f"{row.label.value} ({row.side.value})", f"{reading.reason.value} by {reading.rule}"
    return f"{row.row_id} {meant} read as {read}: {codes} {text}"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _table(header: tuple[str, ...], cells: Sequence[Sequence[str]]) -> Table:
    first, *others = header
    table = Table(first, box=None, pad_edge=False)
    for name in others:
        table.add_column(name, justify="right")
    for line in cells:
        table.add_row(*line)
    return table


def _markdown_table(header: tuple[str, ...], cells: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
