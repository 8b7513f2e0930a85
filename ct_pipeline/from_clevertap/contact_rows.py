"""The records that contact files come in as: the file's shape, batches of rows, rows set aside."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

ROW_SCHEMA = pl.Schema({"row_number": pl.Int64(), "raw_email": pl.String(), "other_columns": pl.String()})
"""Of ``ContactBatch.rows`` and of the lake. ``row_number`` counts the kept rows from 1 without gaps;
``other_columns`` is a JSON object of column name to text or null, see :mod:`ct_pipeline.from_clevertap.typed_cells`."""

MAX_ROW_CHARACTERS = 1_000_000  # a longer row is set aside; an address has 254, a CleverTap profile a few thousand


class ContactFormat(StrEnum):
    CSV = "csv"
    CSV_GZ = "csv.gz"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class SetAsideRow:
    """A row that could not be taken in. ``line`` is where it starts (1 is the first); in Parquet the row, from 1."""

    line: int
    problem: str  # in words
    text: str  # the start of the row, printable


@dataclass(frozen=True, slots=True)
class ContactBatch:
    """Rows in the order of the file, of :data:`ROW_SCHEMA`, and what was set aside among them."""

    rows: pl.DataFrame
    set_aside: list[SetAsideRow]


@dataclass(frozen=True, slots=True)
class ContactFileShape:
    """How a contact file is built, and everything that is needed to write its columns again.

    ``columns`` are unique names; ``headers`` are the same columns as the file spells them, where names may be blank or
    occur twice. ``dtypes`` are polars' (all String in CSV): a list file in Parquet gives each column its dtype back.
    """

    email_column: str  # one of columns
    columns: tuple[str, ...]
    format: ContactFormat
    delimiter: str | None  # None: Parquet
    encoding: str | None  # a Python codec; None: Parquet
    headers: tuple[str, ...]
    dtypes: tuple[pl.DataType, ...]
    has_header: bool = True
    has_delimiter_line: bool = False  # Excel's "sep=;" before the header

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema(dict(zip(self.columns, self.dtypes, strict=True)))

    @property
    def other_columns(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name != self.email_column)

    def to_json(self) -> dict[str, Any]:
        """For the ledger. The dtypes travel as an empty Arrow file, since no text form of them can be read back."""
        empty = io.BytesIO()
        pl.DataFrame(schema=self.schema).write_ipc(empty)
        return {
            "email_column": self.email_column,
            "columns": list(self.columns),
            "format": self.format.value,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "headers": list(self.headers),
            "dtypes": base64.b64encode(empty.getvalue()).decode("ascii"),
            "has_header": self.has_header,
            "has_delimiter_line": self.has_delimiter_line,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "ContactFileShape":
        empty = pl.read_ipc(io.BytesIO(base64.b64decode(kept["dtypes"])))
        return cls(
            email_column=kept["email_column"],
            columns=tuple(kept["columns"]),
            format=ContactFormat(kept["format"]),
            delimiter=kept["delimiter"],
            encoding=kept["encoding"],
            headers=tuple(kept["headers"]),
            dtypes=tuple(empty.dtypes),
            has_header=kept["has_header"],
            has_delimiter_line=kept["has_delimiter_line"],
        )


def json_objects(columns: Mapping[str, pl.Series], row_count: int) -> pl.Series:
    """One JSON object a row, of column name to text or null. (In an expression the name ``*`` would be all of them.)"""
    table = pl.DataFrame(columns)
    if not table.width:
        return pl.repeat("{}", row_count, dtype=pl.String, eager=True)
    return table.to_struct("other_columns").struct.json_encode()


def printable(text: str, longest: int = 200) -> str:
    r"""``text`` for people: at most ``longest`` characters, control characters and undecodable bytes as ``\x..``."""
    shown = "".join(c if c.isprintable() else _escaped(c) for c in text[:longest])
    return shown + "…" if len(text) > longest else shown


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC00 <= code <= 0xDCFF:  # a byte that could not be decoded, see text_lines
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
