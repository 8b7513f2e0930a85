"""The first rule that fits a reply, without trying all of them. Pure.

A rule's words and patterns are looked at only where one of their needles is in the text. Of all that a pattern demands,
the needles that are rarest in gists heard before are looked for first, then the next rarest, then the pattern itself.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from ct_pipeline.verification.needle_index import NeedleIndex, with_word_starts
from ct_pipeline.verification.probe import Stage
from ct_pipeline.verification.reply_patterns import WORD_START, Needles
from ct_pipeline.verification.reply_rules import ReplyRule

_CACHED_CODES = 4096
_ANY_TEXT: Needles = ("",)


class RuleSearch:
    """Rules in order. ``heard`` are gists of replies, by which it is told which words are rare."""

    def __init__(self, rules: Sequence[ReplyRule], heard: Iterable[str]) -> None:
        self._rules = rules
        self._tests = list(_tests(rules, _rarity("\n".join(heard))))
        self._index = NeedleIndex(
            (needle, number) for number, test in enumerate(self._tests) for needle in test.needles
        )
        self._applicable = lru_cache(maxsize=_CACHED_CODES)(self._find_applicable)
        self._fitting = lru_cache(maxsize=_CACHED_CODES)(self._find_fitting)

    def first(self, stage: Stage, code: int, enhanced: str, provider: str, gist: str) -> ReplyRule | None:
        """The first rule that fits; None when none does."""
        is_fitting, otherwise = self._fitting(stage, code, enhanced, provider)
        tests = self._tests
        for number in self._index.found_in(gist):
            place, _, also, regex = tests[number]
            if is_fitting[place] and (regex is None or (any(map(gist.__contains__, also)) and regex.search(gist))):
                return self._rules[place]
        return otherwise

    def _find_fitting(self, stage: Stage, code: int, enhanced: str, provider: str) -> "_Fitting":
        is_fitting = [False] * len(self._rules)
        for place in self._applicable(stage, code, provider):
            rule = self._rules[place]
            if rule.enhanced is None or rule.enhanced.fullmatch(enhanced):
                if not rule.words and not rule.patterns:
                    return _Fitting(tuple(is_fitting), rule)
                is_fitting[place] = True
        return _Fitting(tuple(is_fitting), None)

    def _find_applicable(self, stage: Stage, code: int, provider: str) -> tuple[int, ...]:
        return tuple(place for place, rule in enumerate(self._rules) if rule.applies(stage, code, provider))


class _Fitting(NamedTuple):
    """What stage, codes and provider leave of the rules."""

    is_fitting: tuple[bool, ...]  # for each rule: it asks for a text, and stands before ``otherwise``
    otherwise: ReplyRule | None  # the first that fits whatever the text


class _Test(NamedTuple):
    """What a rule asks of a gist: that one of its words is in it, or that a pattern matches."""

    place: int  # of the rule, among all
    needles: Needles  # nothing is looked at before one of them is found
    also: Needles  # one of these must be there too
    regex: re.Pattern[str] | None  # None: to find a needle is enough


def _tests(rules: Iterable[ReplyRule], how_common: Callable[[Needles], int]) -> Iterator[_Test]:
    """All tests, in the order of the rules."""
    for place, rule in enumerate(rules):
        if rule.words:
            yield _Test(place, rule.words, _ANY_TEXT, None)
        for pattern in rule.patterns:
            demands = pattern.demands if len(pattern.demands) < 2 else sorted(pattern.demands, key=how_common)
            needles, also, *_ = *demands, _ANY_TEXT, _ANY_TEXT
            yield _Test(place, needles, tuple(needle.lstrip(WORD_START) for needle in also), pattern.regex)


def _rarity(heard: str) -> Callable[[Needles], int]:
    """How often needles are in ``heard``."""
    heard_from_start = with_word_starts(heard)

    @cache
    def counted(needle: str) -> int:
        return (heard_from_start if needle.startswith(WORD_START) else heard).count(needle)

    return lambda needles: sum(map(counted, needles))
