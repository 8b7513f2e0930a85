"""Looking for words first must never lose a match."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verification.needle_index import with_word_starts
from ct_pipeline.verification.reply_gist import GistMaker
from ct_pipeline.verification.reply_patterns import WORD_START, Needles, TextPattern, demands
from ct_pipeline.verification.reply_rules import load_rules

RULES = load_rules()
GISTS = GistMaker(RULES.kept_names, RULES.kept_codes)
PATTERNS = [pattern for rule in RULES.rules for pattern in rule.patterns]
EXAMPLES = sorted({GISTS.gist(example.text) for rule in RULES.rules for example in rule.examples})
WORDS = sorted({word for text in EXAMPLES for word in text.split()})


@pytest.mark.parametrize(
    ("pattern", "demanded"),
    [
        ("relay denied", [("relay denied",)]),
        ("(?:user|mailbox) .{0,20}unknown", [("user", "mailbox"), ("unknown",)]),
        (r"gr[ea]y-?list", [("gr",), ("list",)]),
        ("(?:ab|cd)?efg", [("efg",)]),
        ("(?:abc|d)", []),  # one letter is in almost every text
        ("(?:abc|)", []),
        ("abc{0,2}", [("ab",)]),
        ("abc{2}", [("ab",)]),
        ("ab(?:cde){1,2}", [("ab",), ("cde",)]),
        ("(?<!host )unknown(?! host)", [("unknown",)]),
        (r"\[spf\]", [("[spf]",)]),
        ("a.b", []),
        ("abc|def", [("abc", "def")]),
        ("(?:abc|de.fgh)ij", [("abc", "fgh"), ("ij",)]),
        (r"\bips?\b", [("\bip",)]),
        (r"\b(?:ip|(?:our|your) isp) blocked", [("\bip", " isp"), (" blocked",)]),
        (r"\b(?:ip)?host", [("host",)]),  # "ip" may come before it
        (r"\b(?:ip host|s-p|-q)", [("ip host", "s-p", "-q")]),
        ("abc+", []),
        ("(abc)", []),
        ("(?:abc", []),
    ],
)
def test_demands(pattern: str, demanded: list[Needles]) -> None:
    assert demands(pattern) == tuple(demanded)


def test_every_pattern_of_the_rules_demands_something() -> None:
    """Not a must, but else it is searched in every reply. Only the empty text has no needles."""
    assert [pattern.regex.pattern for pattern in PATTERNS if not pattern.demands] == ["^$"]


def assert_its_demands_are_met(pattern: TextPattern, text: str) -> None:
    from_word_starts = with_word_starts(text)
    for needles in pattern.demands:
        assert any(needle in (from_word_starts if needle.startswith(WORD_START) else text) for needle in needles)


def test_what_matches_an_example_has_its_demands_met() -> None:
    for text in EXAMPLES:
        for pattern in PATTERNS:
            is_match = pattern.regex.search(text) is not None
            assert pattern.is_in(text) == is_match, (pattern, text)
            if is_match:
                assert_its_demands_are_met(pattern, text)


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.sampled_from(PATTERNS))
def test_no_text_is_lost_by_looking_for_words_first(text: str, pattern: TextPattern) -> None:
    assert pattern.is_in(text) == (pattern.regex.search(text) is not None)


@given(st.sampled_from(PATTERNS).flatmap(lambda one: st.tuples(st.just(one), st.from_regex(one.regex))))
def test_the_demands_of_a_pattern_are_met_by_whatever_it_matches(pattern_and_text: tuple[TextPattern, str]) -> None:
    assert_its_demands_are_met(*pattern_and_text)


def test_what_is_no_regex_is_refused() -> None:
    with pytest.raises(re.error):
        TextPattern.compile("(")
