"""The bulk path: rows that polars expressions can settle exactly as the full rules would.

Everything here is a shortcut and may give up at will: a row that is not settled goes to ``normalize_one``. What it does
settle must be the same there; a property test holds the two together.
"""

import polars as pl

from ct_pipeline.addresses.local_part import ATEXT, LOCAL_PART_MAX_OCTETS
from ct_pipeline.addresses.mail_domain import LABEL_MAX_OCTETS, RESERVED_TLDS
from ct_pipeline.addresses.unusable import KEY_MAX_CHARS, WHITESPACE
from ct_pipeline.addresses.unwrap import SEPARATORS
from ct_pipeline.vocabulary import Reason

MAX_RAW_CHARS = 1000  # no real cell is longer; bounds the work that one hostile cell can cause

_PRINTABLE_ASCII = r"^[ -~]*$"
_LAST_BRACKETS = r"^[^<>]*<([^<>]*)>$"
_MAILTO = r"^mailto:([^?%]*)(?:\?.*)?$"  # percent-encoding is left to the full rules
_DOT_ATOM_ADDRESS = (
    rf"^(?P<local_part>[{ATEXT}]+(?:\.[{ATEXT}]+)*)"
    r"@(?P<domain>(?:[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9\-]*[a-z])?)$"
)


def settle_plain(raw: pl.Series) -> pl.DataFrame:
    """``raw`` (named raw_email, no nulls) with address, local_part, domain, syntax_reason and is_settled beside it.

    Settled are printable ASCII cells that hold a dot-atom address, bare or as ``Name <a@b>`` or ``mailto:a@b``, and
    those that hold no @ at all.
    """
    return (
        raw.to_frame()
        .with_columns(trimmed=pl.col("raw_email").str.strip_chars(WHITESPACE))
        .with_columns(is_plain=_is_plain(pl.col("trimmed")), bare=_bare(pl.col("trimmed").str.to_lowercase()))
        .with_columns(pl.col("bare").str.extract_groups(_DOT_ATOM_ADDRESS).alias("parts"))
        .unnest("parts")
        .with_columns(
            is_usable=pl.col("is_plain") & _is_usable().fill_null(value=False),
            is_hopeless=pl.col("is_plain") & _is_hopeless(pl.col("trimmed")),
        )
        .select(
            "raw_email",
            pl.when("is_usable")
            .then(pl.concat_str("local_part", pl.lit("@"), "domain"))
            .otherwise("trimmed")
            .alias("address"),
            pl.when("is_usable").then("local_part").alias("local_part"),
            pl.when("is_usable").then("domain").alias("domain"),
            pl.when("is_hopeless").then(pl.lit(Reason.SYNTAX_ERROR.value)).alias("syntax_reason"),
            (pl.col("is_usable") | pl.col("is_hopeless")).alias("is_settled"),
        )
    )


def _is_plain(trimmed: pl.Expr) -> pl.Expr:
    return trimmed.str.contains(_PRINTABLE_ASCII) & (trimmed.str.len_bytes() <= MAX_RAW_CHARS)


def _bare(lowered: pl.Expr) -> pl.Expr:
    margin = WHITESPACE + SEPARATORS
    bracketed = lowered.str.strip_chars(margin)
    inner = pl.when(bracketed.str.ends_with(">")).then(bracketed.str.extract(_LAST_BRACKETS)).otherwise(bracketed)
    inner = inner.str.strip_chars(margin)
    bare = pl.when(inner.str.starts_with("mailto:")).then(inner.str.extract(_MAILTO)).otherwise(inner)
    return bare.str.strip_chars(margin).str.strip_suffix(".")


def _is_usable() -> pl.Expr:
    domain = pl.col("domain")
    return (
        (pl.col("local_part").str.len_bytes() <= LOCAL_PART_MAX_OCTETS)
        & (domain.str.len_bytes() <= LABEL_MAX_OCTETS)  # so every label fits, and so does the whole address
        & ~domain.str.split(".").list.last().is_in(list(RESERVED_TLDS))
    )


def _is_hopeless(trimmed: pl.Expr) -> pl.Expr:
    """No @, nor one in percent-encoding; and a cell that is its own printable key."""
    return ~trimmed.str.contains(r"[@%\\]") & (trimmed.str.len_bytes() <= KEY_MAX_CHARS)
