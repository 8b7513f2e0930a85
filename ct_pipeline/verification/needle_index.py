"""Which of a thousand needles are in a text, without looking for each of them. Pure.

A needle of several words can be in a text only where one of its words is. Hosts differ in their sentences, hardly in
their words: what can be found where a word is said is worked out once, and kept.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import add
from typing import NamedTuple

from ct_pipeline.verification.reply_patterns import WORD_START

_SHORT = 3  # words of fewer letters are everywhere
_KEPT_WORDS = 8192
_LONGEST_KEPT_WORD = 40  # hardly any longer one comes twice

_NO_PAIR = ("",)  # where parts of a single letter are kept: looked at with every word
_WORD_BEGINS = re.compile(r"\b(?=\w)")

_Numbered = tuple[str, tuple[int, ...]]  # a needle, and its numbers


class _Hint(NamedTuple):
    """What a word of the text says."""

    certain: tuple[int, ...]  # the numbers of needles that are part of this very word
    possible: tuple[_Numbered, ...]  # needles that go beyond it


class NeedleIndex:
    """Leads from a text to the numbers of all needles that are in it. Several needles may have the same number.

    In front of a needle ``WORD_START`` means that a word must begin there.

    >>> NeedleIndex([("no such ", 1), ("user", 2), ("spam", 3)]).found_in("no such users")
    [1, 2]
    """

    def __init__(self, needles: Iterable[tuple[str, int]]) -> None:
        numbers: dict[str, list[int]] = {}
        for needle, number in needles:
            numbers.setdefault(needle, []).append(number)
        self._everywhere = numbers.pop("", [])
        self._hints = _HintsByWord(numbers)

    def found_in(self, text: str) -> list[int]:
        """The numbers of all needles that are in ``text``, in ascending order."""
        found = [*self._everywhere]
        for certain, possible in filter(None, map(self._hints.__getitem__, set(text.split(" ")))):
            found += certain
            for needle, numbers in possible:
                if needle in text:
                    found += numbers
        return sorted(set(found))


class _HintsByWord(dict[str, _Hint | None]):
    """The hint of any word, worked out when it is first asked for. Bounded: of too many all are forgotten."""

    def __init__(self, numbers: Mapping[str, Iterable[int]]) -> None:
        super().__init__()
        spread = Counter(part for needle in numbers for part in _parts(needle))
        by_part: dict[str, list[_Numbered]] = {}
        for needle, its_numbers in numbers.items():
            rarest = min(_parts(needle), key=lambda part: (len(part.strip()) < _SHORT, spread[part], -len(part)))
            by_part.setdefault(rarest, []).append((needle, tuple(its_numbers)))
        spread = Counter(pair for part in by_part for pair in _pairs(part))
        self._by_pair: dict[str, list[tuple[str, list[_Numbered]]]] = {}
        for part, numbered in by_part.items():
            rarest = min(_pairs(part), key=spread.__getitem__, default=_NO_PAIR[0])
            self._by_pair.setdefault(rarest, []).append((part, numbered))
        self._indexed = frozenset(self._by_pair)

    def __missing__(self, word: str) -> _Hint | None:
        hint = self._hint(word)
        if len(word) <= _LONGEST_KEPT_WORD:
            if len(self) >= _KEPT_WORDS:
                self.clear()
            self[word] = hint
        return hint

    def _hint(self, word: str) -> _Hint | None:
        certain: list[int] = []
        possible: list[_Numbered] = []
        spaced = f" {word} "
        both_ways = spaced + with_word_starts(word)  # some parts ask for a word start, others go across one
        for pair in self._indexed.intersection(chain(_NO_PAIR, _pairs(spaced))):
            for part, numbered in self._by_pair[pair]:
                if part in both_ways:
                    for needle, numbers in numbered:
                        if " " in needle:
                            possible.append((needle, numbers))
                        else:
                            certain += numbers
        return _Hint(tuple(certain), tuple(possible)) if certain or possible else None


def with_word_starts(text: str) -> str:
    """``text`` with ``WORD_START`` wherever a word begins."""
    return _WORD_BEGINS.sub(WORD_START, text)


def _parts(needle: str) -> Iterator[str]:
    """The words of a needle with the spaces around them: ``"no such"`` is ``"no "`` and ``" such"``."""
    words = needle.split(" ")
    for place, word in enumerate(words):
        yield " " * (place > 0) + word + " " * (place < len(words) - 1)


def _pairs(part: str) -> Iterable[str]:
    """All runs of two letters in ``part``; its word start is no letter."""
    letters = part.lstrip(WORD_START)
    return map(add, letters, letters[1:])
