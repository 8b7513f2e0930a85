"""Raw strings become comparable addresses, in bulk and one by one, with the same result."""

import re
from dataclasses import dataclass, fields
from operator import attrgetter

import polars as pl

from ct_pipeline.addresses.local_part import canonical_local_part
from ct_pipeline.addresses.mail_domain import canonical_domain
from ct_pipeline.addresses.plain import MAX_RAW_CHARS, settle_plain
from ct_pipeline.addresses.unusable import WHITESPACE, UnusableError, printable_key
from ct_pipeline.addresses.unwrap import bare_address
from ct_pipeline.vocabulary import Reason

ADDRESS_MAX_OCTETS = 254  # RFC 3696 erratum 1690: a path of 256 octets, less its angle brackets
_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*") *@ *(.*)')


@dataclass(frozen=True, slots=True)
class NormalizedAddress:
    """One raw string, settled: either ``local_part`` and ``domain`` are given, or ``syntax_reason`` says why not.

    ``address`` is ``local_part@domain`` of a usable string. Of an unusable one it is a printable key of at most
    320 characters that equals no usable address; of a blank one it is empty.
    """

    raw_email: str
    address: str
    local_part: str | None
    domain: str | None
    syntax_reason: str | None  # a Reason value: syntax_error or unsupported_character


def normalize(raw: pl.Series) -> pl.DataFrame:
    """The fields of ``NormalizedAddress``, all ``String``, row for row with ``raw``; a null counts as blank.

    Plain rows are settled by polars expressions; only what they leave open goes through ``normalize_one``, once
    for each distinct string.
    """
    settled = settle_plain(raw.cast(pl.String).fill_null("").alias("raw_email"))
    open_strings = settled.filter(~pl.col("is_settled")).get_column("raw_email").unique()
    if open_strings.is_empty():
        return settled.select(_COLUMNS)
    by_hand = pl.DataFrame([_row(normalize_one(text)) for text in open_strings], schema=_SCHEMA, orient="row")
    joined = settled.join(by_hand, on="raw_email", how="left", suffix="_by_hand", maintain_order="left")
    return joined.select(
        "raw_email",
        *(
            pl.when("is_settled").then(pl.col(column)).otherwise(pl.col(f"{column}_by_hand")).alias(column)
            for column in _COLUMNS[1:]
        ),
    )


def normalize_one(raw: str) -> NormalizedAddress:
    """``raw`` settled by the full rules. Raises nothing, whatever the text."""
    try:
        local_part, domain = _parts(raw)
    except UnusableError as unusable:
        return NormalizedAddress(raw, printable_key(raw), None, None, unusable.reason.value)
    return NormalizedAddress(raw, f"{local_part}@{domain}", local_part, domain, None)


def _parts(raw: str) -> tuple[str, str]:
    if len(raw.strip(WHITESPACE)) > MAX_RAW_CHARS:
        raise UnusableError(Reason.SYNTAX_ERROR)
    text = bare_address(raw)
    quoted = _QUOTED.fullmatch(text)
    local_part, at_sign, domain = (quoted[1], "@", quoted[2]) if quoted else text.rpartition("@")
    if not at_sign:
        raise UnusableError(Reason.SYNTAX_ERROR)
    local_part = canonical_local_part(local_part.rstrip(" "))
    domain = canonical_domain(domain.lstrip(" "))
    if len(f"{local_part}@{domain}".encode()) > ADDRESS_MAX_OCTETS:
        raise UnusableError(Reason.SYNTAX_ERROR)
    return local_part, domain


_COLUMNS = [field.name for field in fields(NormalizedAddress)]
_row = attrgetter(*_COLUMNS)  # dataclasses.astuple copies deeply and takes as long as the rules themselves
_SCHEMA = dict.fromkeys(_COLUMNS, pl.String)
