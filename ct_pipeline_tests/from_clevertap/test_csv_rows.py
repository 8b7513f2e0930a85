"""A damaged row costs itself, by line number and in words; the rest goes on."""

import io

import pytest

from ct_pipeline.from_clevertap.contact_rows import MAX_ROW_CHARACTERS, SetAsideRow
from ct_pipeline.from_clevertap.csv_rows import csv_rows


def read(text: str, cell_count: int | None = 2) -> tuple[list[list[str]], list[SetAsideRow]]:
    found = list(csv_rows(io.StringIO(text, newline=""), ",", cell_count))
    return [row[0] for row in found if not isinstance(row, SetAsideRow)], [
        row for row in found if isinstance(row, SetAsideRow)
    ]


def test_quoted_cells_keep_delimiters_quotes_and_every_line_end():
    rows, set_aside = read('a,"b, ""c""\r\nd\re\nf"\r\n"",x\n')
    assert rows == [["a", 'b, "c"\r\nd\re\nf'], ["", "x"]]
    assert set_aside == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("only one", "has too few cells: 1 instead of 2"),
        ("a,b,c", "has too many cells: 3 instead of 2"),
        ('"a"b,c', "has text after a closing quote"),
        ("a,\0b", "holds a NUL byte"),
        ("a,caf\udce9", "holds bytes that are not text in the file's encoding"),
        ("a," + "x" * MAX_ROW_CHARACTERS, "is longer than 1,000,000 characters"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_and_the_rest_goes_on(row: str, problem: str):
    rows, set_aside = read(f"h,i\r\n\r\na,1\r\n{row}\r\nb,2\r\n")
    assert rows == [["h", "i"], ["a", "1"], ["b", "2"]]
    assert [(fault.line, fault.problem) for fault in set_aside] == [(4, problem)]


@pytest.mark.parametrize(
    "after",
    [
        "carl,3\ndora,4\n",  # never closed
        'carl,3\ndora,"4"\n',  # closed by the next cell's opening quote
        'carl,3\n"dora",4\n',
        'carl,3\ndora,"4, ""5"""\n',
    ],
)
def test_an_unclosed_quote_costs_one_line(after: str):
    rows, set_aside = read('alice,1\nbob,"2\n' + after)
    assert [row[0] for row in rows] == ["alice", "carl", "dora"]
    assert [(fault.line, fault.text) for fault in set_aside] == [(2, 'bob,"2')]
    assert "opens a quote" in set_aside[0].problem


def test_an_unclosed_quote_above_more_than_the_bound_costs_one_line():
    below = [f"name{i},{'x' * 90}" for i in range(MAX_ROW_CHARACTERS // 40)]
    rows, set_aside = read('bob,"2\n' + "\n".join(below) + "\n")
    assert len(rows) == len(below)
    assert [(fault.line, fault.problem) for fault in set_aside] == [
        (1, "opens a quote that is not closed within 1,000,000 characters")
    ]


def test_lines_are_counted_through_cells_of_several_lines():
    _, set_aside = read('a,"1\n2\n3"\nbad\n\nb,"1\r\n2"\nbad\n')
    assert [fault.line for fault in set_aside] == [4, 8]


def test_an_endless_line_is_never_held_in_memory():
    class Endless:
        """A line of 300 MB, then a row; it remembers the largest piece that was asked for."""

        pieces = 300
        largest = 0

        def readline(self, size: int = -1, /) -> str:
            self.largest = max(self.largest, size)
            self.pieces -= 1
            if self.pieces >= 0:
                return "x" * size
            return {-1: "\n", -2: "a,b\n"}.get(self.pieces, "")

    source = Endless()
    found = list(csv_rows(source, ",", 2))
    assert source.largest <= MAX_ROW_CHARACTERS + 1
    assert isinstance(found[0], SetAsideRow)
    assert found[0].line == 1
    assert len(found[0].text) < 300
    assert found[1] == (["a", "b"], 4)


def test_the_text_of_a_set_aside_row_is_bounded_and_printable():
    _, set_aside = read("a\x1b[31m\0\udcff" + "é" * 5000 + ",b\n")
    assert set_aside[0].text.startswith("a\\x1b[31m\\x00\\xffé")
    assert len(set_aside[0].text) < 300
