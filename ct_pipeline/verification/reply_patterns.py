"""The regular expressions of reply rules, and the words that a text must hold for them to match at all. Pure.

Most rules fail on most replies, and looking for a word is some ten times cheaper than a search. What a pattern demands
is read off it: of each part that it cannot do without, the words of which one must be there, called needles.

>>> demands("(?:user|mailbox) .{0,20}unknown")
(('user', 'mailbox'), ('unknown',))
>>> demands(r"no such (?:user|recipient)s?\\b")
(('no such ',), ('user', 'recipient'))
>>> demands("[a-z]?")
()
"""

import re
from itertools import chain
from typing import NamedTuple

Needles = tuple[str, ...]

WORD_START = "\b"  # in front of a needle that is no more than one word: the word must begin there

_LETTERS = re.compile(r"[^\\.^$*+?{}\[\]|()]+(?![*+?{])")  # without the one that a quantifier is for
_ESCAPED_LITERAL = re.compile(r"\\([^a-zA-Z0-9])")
_ONE_WORD = re.compile(r"\w+")
_QUANTIFIER = re.compile(r"\?|\{(\d+)(?:,\d+)?\}")
_SHORTEST_USEFUL = 2


class TextPattern(NamedTuple):
    """A regex and what it demands: a text that it matches holds one needle of each demand."""

    regex: re.Pattern[str]
    demands: tuple[Needles, ...]

    @classmethod
    def compile(cls, pattern: str) -> "TextPattern":
        """Raises ``re.error`` when ``pattern`` is no regular expression."""
        return cls(re.compile(pattern), demands(pattern))

    def is_in(self, gist: str) -> bool:
        if not all(any(needle.lstrip(WORD_START) in gist for needle in needles) for needles in self.demands):
            return False
        return self.regex.search(gist) is not None


def demands(pattern: str) -> tuple[Needles, ...]:
    """Needles of which every match of ``pattern`` holds at least one, for each of its parts that have such.

    Knows the syntax that reply rules use: no ``*``, ``+``, captures, backreferences, flags (such a pattern demands
    nothing).
    """
    try:
        demanded, end = _alternatives(pattern, 0)
    except (_UnknownSyntaxError, IndexError):
        return ()
    if end != len(pattern):
        return ()
    return tuple(needles for needles in demanded if _shortest(needles) >= _SHORTEST_USEFUL)


class _UnknownSyntaxError(ValueError):
    pass


def _alternatives(pattern: str, at: int, start: str = "") -> tuple[list[Needles], int]:
    """What a run of alternatives demands, and where it ends: at a closing bracket or at the end of the pattern.

    A single one demands all that it does; of several, each must name one demand, and one of these is met. ``start`` is
    ``WORD_START`` behind a boundary of words.
    """
    demanded, at = _sequence(pattern, at, start)
    one_of_each = [max(demanded, key=_usefulness, default=())]
    while at < len(pattern) and pattern[at] == "|":
        demanded, at = _sequence(pattern, at + 1, start)
        one_of_each.append(max(demanded, key=_usefulness, default=()))
    if len(one_of_each) > 1:
        demanded = [tuple(dict.fromkeys(chain.from_iterable(one_of_each)))] if all(one_of_each) else []
    return demanded, at


def _sequence(pattern: str, at: int, start: str) -> tuple[list[Needles], int]:
    demanded: list[Needles] = []
    run = start
    while at < len(pattern) and pattern[at] not in "|)":
        letters, of_group, end = _item(pattern, at, run if run == WORD_START else "")
        repeat = _QUANTIFIER.match(pattern, end)
        if letters and repeat is None:
            run += letters
        else:
            demanded.append((_needle(run),))
            run = WORD_START if pattern[at:end] == r"\b" else ""
            if repeat is None or (repeat[1] is not None and int(repeat[1]) > 0):
                demanded += [(letters,)] if letters else of_group
        at = repeat.end() if repeat else end
    demanded.append((_needle(run),))
    return [needles for needles in demanded if _shortest(needles)], at


def _item(pattern: str, at: int, start: str) -> tuple[str, list[Needles], int]:
    """One item: the letters that it is, or what it demands; and where it ends."""
    if letters := _LETTERS.match(pattern, at):
        return letters[0], [], letters.end()
    letter = pattern[at]
    if letter in "*+":
        raise _UnknownSyntaxError
    if letter in ".^$":
        return "", [], at + 1
    if letter == "\\":
        literal = _ESCAPED_LITERAL.match(pattern, at)
        return (literal[1] if literal else ""), [], at + 2
    if letter == "[":
        end = pattern.index("]", at + 2)
        return "", [], end + 1
    if letter == "(":
        return _group(pattern, at, start)
    return letter, [], at + 1


def _group(pattern: str, at: int, start: str) -> tuple[str, list[Needles], int]:
    opening = next((one for one in ("(?:", "(?!", "(?=", "(?<!", "(?<=") if pattern.startswith(one, at)), None)
    if opening is None:
        raise _UnknownSyntaxError
    demanded, end = _alternatives(pattern, at + len(opening), start)
    if pattern[end] != ")":
        raise _UnknownSyntaxError
    return "", (demanded if opening == "(?:" else []), end + 1


def _needle(run: str) -> str:
    """``run``, and its word start where it is one word: of several, each would have to have its own."""
    letters = run.lstrip(WORD_START)
    return run if _ONE_WORD.fullmatch(letters) else letters


def _usefulness(needles: Needles) -> tuple[int, int]:
    """Long needles are rare, and so are few."""
    return _shortest(needles), -len(needles)


def _shortest(needles: Needles) -> int:
    return min(len(needle.lstrip(WORD_START)) for needle in needles)
