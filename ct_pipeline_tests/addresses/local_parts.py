"""Local parts as people choose them, and as nobody would: made with a seed."""

import random
import string
from collections.abc import Callable, Sequence
from typing import NamedTuple

VOWELS = "aeiou"
CONSONANTS = "bcdfghjklmnpqrstvwxyz"
HOME_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


class NameList(NamedTuple):
    """Names of one language in Latin letters; ``words`` are common nouns, of which nicknames are made."""

    first: Sequence[str]
    last: Sequence[str]
    words: Sequence[str] = ()


def persons(names: NameList, count: int, rng: random.Random) -> list[str]:
    """``count`` local parts of people with such names."""
    return [_person(names, rng) for _ in range(count)]


def random_strings(count: int, rng: random.Random, least: int = 8, most: int = 16) -> list[str]:
    """``count`` strings of ``least`` to ``most`` characters: as programs draw them, and as hands mash them."""
    makers = (
        _letters,
        _letters,
        _letters,
        _letters_and_digits,
        _letters_and_digits,
        _hexadecimal,
        _mashed,
        _consonants,
    )
    return [_with_a_letter(rng.choice(makers), rng.randint(least, most), rng) for _ in range(count)]


def _person(names: NameList, rng: random.Random) -> str:
    first, last = rng.choice(names.first), rng.choice(names.last)
    kind = rng.random()
    joint = rng.choice(("", "", ".", ".", ".", "_", "-"))
    if kind < 0.42:
        name = joint.join((first, last) if rng.random() < 0.8 else (last, first))
    elif kind < 0.56:
        name = first[0] + rng.choice(("", "", ".")) + last
    elif kind < 0.62:
        name = rng.choice((first + joint + last[0], last + joint + first[0]))
    elif kind < 0.76:
        name = rng.choice((first, last))
    elif kind < 0.80:
        name = joint.join((first, rng.choice(string.ascii_lowercase), last))
    elif kind < 0.84:
        name = joint.join((first[:3], last[: rng.randint(3, 4)]))
    elif kind < 0.86:
        name = _initials(rng)
    elif kind < 0.88:
        name = joint.join((_initials(rng), last))
    elif kind < 0.90:
        name = first + str(rng.randint(1, 2012)) + last
    elif kind < 0.92:
        name = str(rng.randint(6_000_000_000, 9_999_999_999))
    else:
        name = _nickname(names, rng)
    return name + _digits(rng)


def _initials(rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 3)))


def _digits(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.55:
        return ""
    if kind < 0.75:
        return str(rng.randint(1, 99))
    if kind < 0.9:
        return str(rng.randint(1950, 2012))
    return str(rng.randint(100, 9999))


def _nickname(names: NameList, rng: random.Random) -> str:
    one = rng.choice(names.words or names.first)
    other = rng.choice(names.words or names.last)
    return rng.choice((one + other, f"{one}_{other}", f"x{one}x", f"xx_{one}_xx", one, f"{one}.{other}", f"the{one}"))


def _with_a_letter(make: Callable[[int, random.Random], str], length: int, rng: random.Random) -> str:
    text = ""
    while not any(letter.isalpha() for letter in text):  # a number is nobody's gibberish
        text = make(length, rng)
    return text


def _letters(length: int, rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_lowercase) for _ in range(length))


def _letters_and_digits(length: int, rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_lowercase + string.digits) for _ in range(length))


def _hexadecimal(length: int, rng: random.Random) -> str:
    return "".join(rng.choice("0123456789abcdef") for _ in range(length))


def _consonants(length: int, rng: random.Random) -> str:
    return "".join(rng.choice(CONSONANTS if rng.random() < 0.9 else VOWELS) for _ in range(length))


def _mashed(length: int, rng: random.Random) -> str:
    """A hand that strikes about one row."""
    row = rng.choice(HOME_ROWS)
    return "".join(rng.choice(row if rng.random() < 0.85 else string.ascii_lowercase) for _ in range(length))
