"""The first rule that fits a reply, without trying all of them. Pure.

A rule's words and patterns are looked at only where one of their needles is in the text; of all needles that a pattern
demands, these are the ones that are rarest in the examples of all rules, which are what hosts say.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from ct_pipeline.verification.needle_index import NeedleIndex, with_word_starts
from ct_pipeline.verification.probe import Stage
from ct_pipeline.verification.reply_patterns import WORD_START, Needles
from ct_pipeline.verification.reply_rules import ReplyRule

_CACHED_CODES = 4096
_ANY_TEXT: Needles = ("",)


class _Test(NamedTuple):
    """What a rule asks of a gist: that one of its words is in it, or that a pattern matches."""

    place: int  # of the rule, among all
    regex: re.Pattern[str] | None  # None: to find a needle is enough
    demands: tuple[Needles, ...]


class _Fitting(NamedTuple):
    """What stage, codes and provider leave of the rules."""

    is_fitting: tuple[bool, ...]  # for each rule: it asks for a text, and stands before ``otherwise``
    otherwise: ReplyRule | None  # the first that fits whatever the text


class RuleSearch:
    """Rules in order. ``heard`` are gists of replies, by which it is told which words are rare."""

    def __init__(self, rules: Sequence[ReplyRule], heard: Iterable[str]) -> None:
        self._rules = rules
        self._tests = list(_tests(rules))
        self._index = NeedleIndex(_rarest_needles(self._tests, "\n".join(heard)))
        self._applicable = lru_cache(maxsize=_CACHED_CODES)(self._find_applicable)
        self._fitting = lru_cache(maxsize=_CACHED_CODES)(self._find_fitting)

    def first(self, stage: Stage, code: int, enhanced: str, provider: str, gist: str) -> ReplyRule | None:
        """The first rule that fits; None when none does."""
        is_fitting, otherwise = self._fitting(stage, code, enhanced, provider)
        tests = self._tests
        for number in sorted(self._index.found_in(gist)):
            place, regex, _ = tests[number]
            if is_fitting[place] and (regex is None or regex.search(gist)):
                return self._rules[place]
        return otherwise

    def _find_fitting(self, stage: Stage, code: int, enhanced: str, provider: str) -> _Fitting:
        is_fitting = [False] * len(self._rules)
        for place in self._applicable(stage, code, provider):
            rule = self._rules[place]
            if rule.enhanced is None or rule.enhanced.fullmatch(enhanced):
                if not rule.words and not rule.patterns:
                    return _Fitting(tuple(is_fitting), rule)
                is_fitting[place] = True
        return _Fitting(tuple(is_fitting), None)

    def _find_applicable(self, stage: Stage, code: int, provider: str) -> list[int]:
        return [place for place, rule in enumerate(self._rules) if rule.applies(stage, code, provider)]


def _tests(rules: Sequence[ReplyRule]) -> Iterator[_Test]:
    """All tests, in the order of the rules."""
    for place, rule in enumerate(rules):
        if rule.words:
            yield _Test(place, None, (rule.words,))
        for pattern in rule.patterns:
            yield _Test(place, pattern.regex, pattern.demands)


def _rarest_needles(tests: Iterable[_Test], heard: str) -> Iterator[tuple[str, int]]:
    """The needles behind which each test stands, with its number."""
    heard_from_start = with_word_starts(heard)

    @cache
    def counted(needle: str) -> int:
        return (heard_from_start if needle.startswith(WORD_START) else heard).count(needle)

    for number, (_, _, demands) in enumerate(tests):
        if len(demands) > 1:
            needles = min(demands, key=lambda needles: sum(map(counted, needles)))
        else:
            needles = demands[0] if demands else _ANY_TEXT
        for needle in needles:
            yield needle, number
