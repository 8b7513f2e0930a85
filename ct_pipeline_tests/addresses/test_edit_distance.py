"""Typing slips are counted one each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.addresses.edit_distance import edit_distance, shortened

WORD = st.text("abc", max_size=7)


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("", "", 0),
        ("gmail", "gmail", 0),
        ("gmail", "gmal", 1),
        ("gmail", "gmaill", 1),
        ("gmail", "gmsil", 1),
        ("gmail", "gmial", 1),
        ("hotmail", "hotmial", 1),
        ("hotmail", "otmial", 2),
        ("", "abc", 3),
        ("abc", "ca", 3),  # optimal string alignment: no letter is moved twice
    ],
)
def test_distance(left: str, right: str, distance: int) -> None:
    assert edit_distance(left, right) == distance
    assert edit_distance(right, left) == distance


@given(WORD, WORD)
def test_near_words_share_a_shortened_form(left: str, right: str) -> None:
    """The claim that the table of suggestions rests on."""
    distance = edit_distance(left, right)
    for letters in (1, 2):
        if distance <= letters:
            assert shortened(left, letters) & shortened(right, letters)


def test_shortened() -> None:
    assert shortened("abc", 1) == {"abc", "bc", "ac", "ab"}
    assert shortened("abc", 2) == {"abc", "bc", "ac", "ab", "a", "b", "c"}
    assert shortened("a", 2) == {"a", ""}
