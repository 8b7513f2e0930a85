"""Rows out of CSV text, strictly: a damaged row is set aside with its line number and the rest goes on.

A quote that is opened and never closed would make the rest of the file one cell. So a row that ends badly gives back
every line but its first, and reading resumes there: one stray quote costs one line.
"""

import csv
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from ct_pipeline.from_clevertap.contact_rows import MAX_ROW_CHARACTERS, SetAsideRow, printable
from ct_pipeline.from_clevertap.text_lines import MARKED_BYTE


class LineSource(Protocol):
    def readline(self, size: int = -1, /) -> str: ...


def csv_rows(
    source: LineSource, delimiter: str, cell_count: int | None, first_line: int = 1
) -> Iterator[tuple[list[str], int] | SetAsideRow]:
    """(cells, characters) of each good row, and a :class:`SetAsideRow` for each bad one, in the order of the file.

    Args:
        source: text opened with ``newline=""``; its first line has the number ``first_line``.
        cell_count: rows of another width are bad; None takes any width.

    Empty lines are skipped; a line of blank cells is a row. The source is read by lines of at most
    ``MAX_ROW_CHARACTERS``, and so much is held in memory.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_CHARACTERS))  # the row's bound is ours, below
    feed = _Feed(source)
    line = first_line
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin_row()
        ends_badly = False
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            problem, ends_badly = _quote_problem(line, feed.row), True
        except _RowTooLongError:
            problem, ends_badly = _length_problem(feed.row), True
        else:
            problem = _problem_of(cells, cell_count, feed.row)
            ends_badly = problem is not None and len(cells) != cell_count
            if problem is None:
                if cells:
                    yield cells, feed.characters
                line += len(feed.row)
                continue
        yield SetAsideRow(line, problem or "", printable(feed.row[0].rstrip("\r\n")))
        if ends_badly:
            line += 1
            feed.give_back()
        else:
            line += len(feed.row)
        reader = csv.reader(feed, delimiter=delimiter, strict=True)


class _RowTooLongError(Exception):
    """The row has more than ``MAX_ROW_CHARACTERS``."""


class _Feed:
    """Hands lines to csv.reader, remembers those of the current row, and can take them back."""

    def __init__(self, source: LineSource) -> None:
        self._source = source
        self._given_back: deque[str] = deque()
        self.row: list[str] = []
        self.characters = 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if self._given_back:
            line = self._given_back.popleft()
        else:
            line = self._source.readline(MAX_ROW_CHARACTERS + 1)
            if not line:
                raise StopIteration
            if len(line) > MAX_ROW_CHARACTERS:
                self._skip_rest_of(line)
        self.row.append(line)
        self.characters += len(line)
        if self.characters > MAX_ROW_CHARACTERS:
            raise _RowTooLongError
        return line

    def begin_row(self) -> None:
        self.row = []
        self.characters = 0

    def give_back(self) -> None:
        """All lines of the current row but its first."""
        self._given_back.extendleft(reversed(self.row[1:]))

    def _skip_rest_of(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self._source.readline(MAX_ROW_CHARACTERS)


def _problem_of(cells: list[str], cell_count: int | None, row: list[str]) -> str | None:
    for line in row:
        if "\0" in line:
            return "holds a NUL byte"
        if not line.isascii() and MARKED_BYTE.search(line):
            return "holds bytes that are not text in the file's encoding"
    if cells and cell_count is not None and len(cells) != cell_count:
        amount = "too many" if len(cells) > cell_count else "too few"
        return f"has {amount} cells: {len(cells)} instead of {cell_count}"
    return None


def _quote_problem(line: int, row: list[str]) -> str:
    if len(row) > 1:
        return f"opens a quote that is not closed properly up to line {line + len(row) - 1}"
    if row[0].rstrip("\r\n").count('"') % 2:
        return "opens a quote that is never closed"
    return "has text after a closing quote"


def _length_problem(row: list[str]) -> str:
    if len(row) > 1:
        return f"opens a quote that is not closed within {MAX_ROW_CHARACTERS:,} characters"
    return f"is longer than {MAX_ROW_CHARACTERS:,} characters"
