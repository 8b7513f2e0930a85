"""Which of a thousand needles are in a text, without looking for each of them. Pure.

A needle can be in a text only where each of its words is part of one of the text's words. Hosts differ in their sentences,
hardly in the words: what can be found where a word is said is worked out once, and kept.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_PIECE = 4  # letters by which the needles' words are found
_KEPT_WORDS = 8192
_LONGEST_KEPT_WORD = 40  # hardly any longer one comes twice

_Numbered = tuple[str, tuple[int, ...]]  # a needle, and its numbers


class _Hint(NamedTuple):
    """What a word of the text says."""

    certain: tuple[int, ...]  # the numbers of needles that are part of this very word
    possible: tuple[_Numbered, ...]  # needles of which the rarest word is part of it


class NeedleIndex:
    """Leads from a text to the numbers of all needles that are in it. Several needles may have the same number.

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
        for certain, possible in filter(None, map(self._hints.__getitem__, text.split(" "))):
            found += certain
            for needle, numbers in possible:
                if needle in text:
                    found += numbers
        return sorted(set(found))


class _HintsByWord(dict[str, _Hint | None]):
    """Of every word, worked out when it is asked for; bounded."""

    def __init__(self, numbers: Mapping[str, Iterable[int]]) -> None:
        super().__init__()
        spread = Counter(word for needle in numbers for word in needle.split(" "))
        by_word: dict[str, list[_Numbered]] = {}
        for needle, of_it in numbers.items():
            rarest = min(needle.split(" "), key=lambda word: (not word, spread[word], -len(word)))
            by_word.setdefault(rarest, []).append((needle, tuple(of_it)))
        spread = Counter(piece for word in by_word for piece in _pieces(word, _PIECE))
        self._by_piece: dict[str, list[tuple[str, list[_Numbered]]]] = {}
        for word, held in by_word.items():
            rarest = min(_pieces(word, _PIECE), key=spread.__getitem__, default=word)
            self._by_piece.setdefault(rarest, []).append((word, held))
        self._indexed = frozenset(self._by_piece)

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
        pieces = {piece for length in range(_PIECE + 1) for piece in _pieces(word, length)}
        for piece in self._indexed.intersection(pieces):
            for part, held in self._by_piece[piece]:
                if part in word:
                    for needle, numbers in held:
                        if needle == part:
                            certain += numbers
                        else:
                            possible.append((needle, numbers))
        return _Hint(tuple(certain), tuple(possible)) if certain or possible else None


def _pieces(word: str, length: int) -> list[str]:
    """All runs of ``length`` letters in ``word``."""
    return [word[at : at + length] for at in range(len(word) - length + 1)]
