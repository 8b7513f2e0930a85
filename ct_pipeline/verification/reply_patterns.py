"""The regular expressions of reply rules, behind the words that a text must hold for them to match at all. Pure.

Most rules fail on most replies, and looking for a word is some ten times cheaper than a search. The words, called
needles, are read off the pattern: of all that it demands, those whose shortest is longest. All needles of all rules are
looked for in one pass.

>>> needles("(?:user|mailbox) .{0,20}unknown")
('unknown',)
>>> needles(r"no such (?:user|recipient)s?\\b")
('no such ',)
>>> needles("[a-z]?")
()
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_ESCAPED_LITERAL = re.compile(r"\\([^a-zA-Z0-9])")
_QUANTIFIER = re.compile(r"\?|\{(\d+)(?:,\d+)?\}")
_SHORTEST_USEFUL = 2
_START = 4  # letters by which needles are sorted


class TextPattern(NamedTuple):
    """A regex and its needles: one of them is in every text that it matches; without needles, any text may match."""

    regex: re.Pattern[str]
    needles: tuple[str, ...]

    @classmethod
    def compile(cls, pattern: str) -> "TextPattern":
        """Raises ``re.error`` when ``pattern`` is no regular expression."""
        return cls(re.compile(pattern), needles(pattern))

    def is_in(self, gist: str) -> bool:
        if self.needles and not any(needle in gist for needle in self.needles):
            return False
        return self.regex.search(gist) is not None


class NeedleIndex:
    """Says which of many needles are in a text, as bits of one number."""

    def __init__(self, words: Iterable[str]) -> None:
        self._bits: dict[str, int] = {}
        self._by_start: dict[str, list[tuple[str, int]]] = {}
        self._short: list[tuple[str, int]] = []
        for number, word in enumerate(dict.fromkeys(words)):
            self._bits[word] = 1 << number
            known = self._by_start.setdefault(word[:_START], []) if len(word) >= _START else self._short
            known.append((word, 1 << number))

    def bits(self, words: Iterable[str]) -> int:
        """The bits of ``words``, all of them known."""
        return sum(self._bits[word] for word in set(words))

    def found_in(self, text: str) -> int:
        """The bits of all needles that are in ``text``."""
        starts = {text[at : at + _START] for at in range(len(text) - _START + 1)}
        found = 0
        for start in starts & self._by_start.keys():
            for word, bit in self._by_start[start]:
                if word in text:
                    found |= bit
        for word, bit in self._short:
            if word in text:
                found |= bit
        return found


class TextTest(NamedTuple):
    """What a rule asks of a gist: that a word is in it, or that a pattern matches; nothing when it has neither."""

    takes_any: bool
    needed: int  # bits of which one must be found; 0: a pattern has no needles
    words: int
    patterns: tuple[tuple[int, re.Pattern[str]], ...]  # with the bits of its needles; 0: it has none

    @classmethod
    def of(cls, words: Sequence[str], patterns: Sequence[TextPattern], index: NeedleIndex) -> "TextTest":
        by_needles = tuple((index.bits(one.needles), one.regex) for one in patterns)
        needed = index.bits(needles_of(words, patterns)) if all(bits for bits, _ in by_needles) else 0
        return cls(not words and not patterns, needed, index.bits(words), by_needles)

    def holds(self, gist: str, found: int) -> bool:
        """Whether ``gist``, in which the needles ``found`` are, is such a text."""
        if self.takes_any or self.words & found:
            return True
        return any((not bits or bits & found) and regex.search(gist) for bits, regex in self.patterns)


def needles_of(words: Sequence[str], patterns: Sequence[TextPattern]) -> list[str]:
    """All needles of a rule: plain words are their own."""
    return [*words, *(needle for pattern in patterns for needle in pattern.needles)]


def needles(pattern: str) -> tuple[str, ...]:
    """Texts of which every match of ``pattern`` holds at least one; none where nothing can be said.

    Knows the syntax that reply rules use: no ``*``, ``+``, captures, backreferences, flags (such a pattern gets none).
    """
    try:
        alternatives, end = _alternatives(pattern, 0)
    except (_UnknownSyntaxError, IndexError):
        return ()
    if end != len(pattern) or any(len(word) < _SHORTEST_USEFUL for word in alternatives):
        return ()
    return alternatives


class _UnknownSyntaxError(ValueError):
    pass


def _alternatives(pattern: str, at: int) -> tuple[tuple[str, ...], int]:
    """What a run of alternatives demands, and where it ends: at a closing bracket or at the end of the pattern."""
    demanded: list[str] = []
    is_open = False  # one of the alternatives demands nothing
    while True:
        words, at = _sequence(pattern, at)
        is_open = is_open or not words
        demanded += words
        if at >= len(pattern) or pattern[at] == ")":
            return (() if is_open else tuple(dict.fromkeys(demanded))), at
        at += 1  # the bar


def _sequence(pattern: str, at: int) -> tuple[tuple[str, ...], int]:
    best: tuple[str, ...] = ()
    run = ""
    while at < len(pattern) and pattern[at] not in "|)":
        letter, words, end = _item(pattern, at)
        repeat = _QUANTIFIER.match(pattern, end)
        is_certain = repeat is None or (repeat[1] is not None and int(repeat[1]) > 0)
        if letter and repeat is None:
            run += letter
        else:
            best, run = _better(best, (run,)), ""
            if is_certain and (words or letter):
                best = _better(best, words or (letter,))
        at = repeat.end() if repeat else end
    return _better(best, (run,)), at


def _item(pattern: str, at: int) -> tuple[str, tuple[str, ...], int]:
    """One item: the letter that it is, or what it demands; and where it ends."""
    letter = pattern[at]
    if letter in "*+":
        raise _UnknownSyntaxError
    if letter in ".^$":
        return "", (), at + 1
    if letter == "\\":
        literal = _ESCAPED_LITERAL.match(pattern, at)
        return (literal[1] if literal else ""), (), at + 2
    if letter == "[":
        end = pattern.index("]", at + 2)
        return "", (), end + 1
    if letter == "(":
        return _group(pattern, at)
    return letter, (), at + 1


def _group(pattern: str, at: int) -> tuple[str, tuple[str, ...], int]:
    opening = next((one for one in ("(?:", "(?!", "(?=", "(?<!", "(?<=") if pattern.startswith(one, at)), None)
    if opening is None:
        raise _UnknownSyntaxError
    words, end = _alternatives(pattern, at + len(opening))
    if pattern[end] != ")":
        raise _UnknownSyntaxError
    return "", (words if opening == "(?:" else ()), end + 1


def _better(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return max(one, other, key=lambda words: (min(map(len, words), default=0), -len(words)))
