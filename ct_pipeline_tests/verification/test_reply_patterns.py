"""Looking for words first must never lose a match."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verification.reply_gist import GistMaker
from ct_pipeline.verification.reply_patterns import NeedleIndex, TextPattern, TextTest, needles, needles_of
from ct_pipeline.verification.reply_rules import load_rules

RULES = load_rules()
GISTS = GistMaker(RULES.kept_names, RULES.kept_codes)
PATTERNS = [pattern for rule in RULES.rules for pattern in rule.patterns]
EXAMPLES = sorted({GISTS.gist(example.text) for rule in RULES.rules for example in rule.examples})
WORDS = sorted({word for text in EXAMPLES for word in text.split()})


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("relay denied", ("relay denied",)),
        ("(?:user|mailbox) .{0,20}unknown", ("unknown",)),
        (r"\bgr[ea]y-?list", ("list",)),
        ("(?:ab|cd)?efg", ("efg",)),
        ("(?:abc|d)", ()),  # one letter is in almost every text
        ("(?:abc|)", ()),
        ("abc{0,2}", ("ab",)),
        ("ab(?:cde){1,2}", ("cde",)),
        ("(?<!host )unknown(?! host)", ("unknown",)),
        (r"\[spf\]", ("[spf]",)),
        ("a.b", ()),
        ("abc|def", ("abc", "def")),
        ("abc+", ()),
        ("(abc)", ()),
        ("(?:abc", ()),
    ],
)
def test_needles(pattern: str, words: tuple[str, ...]) -> None:
    assert needles(pattern) == words


def test_every_pattern_of_the_rules_has_needles() -> None:
    """Not a must, but without them a pattern is searched in every reply."""
    assert [pattern.regex.pattern for pattern in PATTERNS if not pattern.needles] == []


def holds(words: list[str], patterns: list[TextPattern], text: str) -> bool:
    index = NeedleIndex(needles_of(words, patterns))
    return TextTest.of(words, patterns, index).holds(text, index.found_in(text))


def test_each_pattern_matches_the_examples_as_its_regex_does() -> None:
    index = NeedleIndex(needles_of([], PATTERNS))
    tests = [TextTest.of([], [pattern], index) for pattern in PATTERNS]
    for text in EXAMPLES:
        found = index.found_in(text)
        for pattern, test in zip(PATTERNS, tests, strict=True):
            is_match = pattern.regex.search(text) is not None
            assert test.holds(text, found) == is_match == pattern.is_in(text), (pattern, text)
            assert not is_match or test.needed & found


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.sampled_from(PATTERNS))
def test_no_text_is_lost_by_looking_for_words_first(text: str, pattern: TextPattern) -> None:
    assert pattern.is_in(text) == (pattern.regex.search(text) is not None)
    assert holds([], [pattern], text) == pattern.is_in(text)


@given(st.lists(st.text("abcd", min_size=1, max_size=6)), st.text("abcd", max_size=40))
def test_the_index_finds_what_is_there(words: list[str], text: str) -> None:
    index = NeedleIndex(words)
    assert index.found_in(text) == index.bits([word for word in words if word in text])


def test_words_patterns_and_neither() -> None:
    assert holds(["spam"], [], "is spam")
    assert not holds(["spam"], [], "is ham")
    assert holds(["spam"], [TextPattern.compile("h.m")], "is ham")
    assert holds([], [], "")
    with pytest.raises(re.error):
        TextPattern.compile("(")
