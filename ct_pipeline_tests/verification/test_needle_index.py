"""The index finds exactly the needles that are there, whatever words it has seen before."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verification import needle_index
from ct_pipeline.verification.needle_index import NeedleIndex
from ct_pipeline.verification.reply_patterns import WORD_START

letters = st.text("abc -_", max_size=8)
words_from_their_start = st.text("abc_", min_size=1, max_size=4).map(WORD_START.__add__)
texts = st.text("abc -_\n", max_size=40)


def is_there(needle: str, text: str) -> bool:
    if needle.startswith(WORD_START):
        return re.search(rf"\b{re.escape(needle.removeprefix(WORD_START))}", text) is not None
    return needle in text


@given(st.lists(st.one_of(letters, words_from_their_start), max_size=20), st.lists(texts, min_size=1, max_size=5))
def test_it_finds_what_is_there(needles: list[str], asked: list[str]) -> None:
    index = NeedleIndex((needle, number) for number, needle in enumerate(needles))
    for text in asked:
        assert index.found_in(text) == [number for number, needle in enumerate(needles) if is_there(needle, text)]


def test_numbers_come_once_and_in_order() -> None:
    index = NeedleIndex([("user", 7), ("unknown", 3), ("user unknown", 7), ("user", 1)])
    assert index.found_in("unknown user unknown") == [1, 3, 7]


def test_texts_of_any_length_are_read_and_long_words_not_kept() -> None:
    index = NeedleIndex([("unknown", 1)])
    assert index.found_in("x" * 5000 + "unknown") == [1]
    assert index.found_in("y" * needle_index._LONGEST_KEPT_WORD + "unknown") == [1]
    assert not index._hints


def test_only_so_many_words_are_kept() -> None:
    index = NeedleIndex([("unknown", 1)])
    for number in range(needle_index._KEPT_WORDS + 10):
        index.found_in(f"word{number}")
    assert len(index._hints) == 10
    assert index.found_in("unknown word1") == [1]
