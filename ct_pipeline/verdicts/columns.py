"""The columns that list files add to a contact file: name, type, meaning, and the verdict fields they show."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ct_pipeline.verdicts.clearout_codes import CLEAROUT_REASONS
from ct_pipeline.vocabulary import BounceType, Reason, SafeToSend, Status

UTC_DATETIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class ListColumn:
    """One added column. ``fields`` are those of :class:`~ct_pipeline.verdicts.verdict.Verdict` that it shows."""

    name: str
    fields: tuple[str, ...]
    dtype: pl.DataType
    meaning: str
    values: tuple[str, ...] = ()  # the closed word list, where there is one
    when_unjudged: str | None = None  # for a row without a verdict
    is_from_remote: bool = False  # a foreign host chose these words


LIST_COLUMNS: tuple[ListColumn, ...] = (
    ListColumn("email", ("address",), pl.String(), "The normalized address that was verified."),
    ListColumn("status", ("status",), pl.String(), "The judgement.", tuple(Status), Status.UNKNOWN),
    ListColumn("reason", ("reason",), pl.String(), "Why, in one word.", tuple(Reason), Reason.NOT_ASKED_YET),
    ListColumn(
        "safe_to_send",
        ("safe_to_send",),
        pl.String(),
        "What to do before the next campaign.",
        tuple(SafeToSend),
        SafeToSend.UNKNOWN,
    ),
    ListColumn(
        "bounce_type", ("bounce_type",), pl.String(), "How a message would bounce.", tuple(BounceType), BounceType.NONE
    ),
    ListColumn("clearout_code", ("clearout_code",), pl.Int32(), "Clearout's number for the reason: see verdicts.md."),
    ListColumn("clearout_reason", ("clearout_code",), pl.String(), "Clearout's words for that number."),
    ListColumn("score", ("score",), pl.Int32(), "Estimated chance of delivery, 0 to 100 percent: see verdicts.md."),
    ListColumn("score_basis", ("score_basis",), pl.String(), "What the score rests on."),
    ListColumn("verdict_text", ("verdict_text",), pl.String(), "The judgement as a sentence."),
    ListColumn("is_disposable", ("is_disposable",), pl.Boolean(), "The domain hands out throw-away addresses."),
    ListColumn("is_free", ("is_free",), pl.Boolean(), "The domain belongs to a free mail provider."),
    ListColumn("is_role", ("is_role",), pl.Boolean(), "The address names a function (info, sales), not a person."),
    ListColumn("is_gibberish", ("is_gibberish",), pl.Boolean(), "The name before the @ looks like random letters."),
    ListColumn(
        "is_catch_all_domain",
        ("is_catch_all_domain",),
        pl.Boolean(),
        "The domain accepts mail for every name; blank: not known.",
    ),
    ListColumn("suggested_email", ("suggested_email",), pl.String(), "What was probably meant, for a mistyped domain."),
    ListColumn(
        "canonical_email",
        ("canonical_email",),
        pl.String(),
        "The plainest spelling of the same mailbox, to spot duplicates; blank: the address itself.",
    ),
    ListColumn("account", ("address",), pl.String(), "The part before the @."),
    ListColumn("domain", ("address",), pl.String(), "The part after the @."),
    ListColumn("provider", ("provider",), pl.String(), "Who runs the domain's mail hosts.", is_from_remote=True),
    ListColumn("mx_record", ("mx_record",), pl.String(), "The domain's first mail host.", is_from_remote=True),
    ListColumn(
        "smtp_code", ("smtp_code",), pl.Int32(), "The mail host's answer, as a number; blank: none was received."
    ),
    ListColumn(
        "smtp_reply",
        ("smtp_enhanced", "smtp_text"),
        pl.String(),
        "The mail host's answer in its own words, with the enhanced status code in front.",
        is_from_remote=True,
    ),
    ListColumn(
        "time_taken_ms",
        ("elapsed_ms",),
        pl.Int32(),
        "How long the mail host took over the deciding answer; blank: no answer of its decided.",
    ),
    ListColumn("attempts", ("attempt_count",), pl.Int32(), "How often the mail host was asked."),
    ListColumn("verified_at", ("verified_at",), UTC_DATETIME, "When the deciding answer was received (UTC)."),
    ListColumn(
        "next_check_at",
        ("next_check_at",),
        UTC_DATETIME,
        "When it will be asked again (UTC); blank: the answer is final until it goes stale.",
    ),
    ListColumn("rule", ("rule",), pl.String(), "The rule that decided."),
)

LIST_SCHEMA = pl.Schema({column.name: column.dtype for column in LIST_COLUMNS})


def list_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of :data:`LIST_SCHEMA`, row for row, from the verdict fields in ``rows``.

    A row without a verdict (its ``status`` is null) says so: unknown, not asked yet.

    Raises:
        polars.exceptions.ColumnNotFoundError: ``rows`` lacks a field.
    """
    return rows.select(_shown(column).cast(column.dtype).alias(column.name) for column in LIST_COLUMNS)


def as_markdown() -> str:
    """The table for ``docs/reference/columns.md``."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{column.name}` | {_type_name(column)} | {_meaning(column)} |" for column in LIST_COLUMNS]
    return "\n".join(lines) + "\n"


def _shown(column: ListColumn) -> pl.Expr:
    special = _SPECIAL.get(column.name)
    if special is not None:
        return special()
    value = pl.col(column.fields[0])
    return value if column.when_unjudged is None else value.fill_null(pl.lit(str(column.when_unjudged)))


def _smtp_code() -> pl.Expr:
    return pl.when(pl.col("smtp_code") > 0).then(pl.col("smtp_code"))  # 0: the host did not answer


def _smtp_reply() -> pl.Expr:
    words = pl.concat_str("smtp_enhanced", "smtp_text", separator=" ", ignore_nulls=True).str.strip_chars(" ")
    return pl.when(words != "").then(words)


def _clearout_reason() -> pl.Expr:
    return pl.col("clearout_code").cast(pl.Int64).replace_strict(CLEAROUT_REASONS, default=None, return_dtype=pl.String)


def _account() -> pl.Expr:
    return pl.col("address").cast(pl.String).str.extract(r"^(.+)@")


def _domain() -> pl.Expr:
    return pl.col("address").cast(pl.String).str.extract(r"@([^@]+)$")


_SPECIAL: dict[str, Callable[[], pl.Expr]] = {
    "smtp_code": _smtp_code,
    "smtp_reply": _smtp_reply,
    "clearout_reason": _clearout_reason,
    "account": _account,
    "domain": _domain,
}


def _type_name(column: ListColumn) -> str:
    if isinstance(column.dtype, pl.Datetime):
        return "time, UTC"
    return {pl.String: "text", pl.Boolean: "true or false", pl.Int32: "whole number"}[type(column.dtype)]


def _meaning(column: ListColumn) -> str:
    return column.meaning + (f" One of {', '.join(f'`{value}`' for value in column.values)}." if column.values else "")
