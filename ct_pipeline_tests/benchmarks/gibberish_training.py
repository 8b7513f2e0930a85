"""What letters follow each other in people's local parts, and in random ones: the figures that gibberish.py reads.

Run from the project's root: ``python ct_pipeline_tests/benchmarks/gibberish_training.py`` writes
``ct_pipeline/addresses/gibberish_model.toml`` anew. It needs Faker (dependency group ``bench``).
"""

import importlib.metadata
import itertools
import math
import random
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.addresses.gibberish import SYMBOLS
from ct_pipeline_tests.addresses.local_parts import NameList, persons, random_strings

SEED = 1
PERSONS_PER_LANGUAGE = 6_000
RANDOM_STRINGS = 200_000
SHORTEST, LONGEST = 4, 18
PERSON_WEIGHT, RANDOM_WEIGHT = 10.0, 3.0  # how many sightings the guess from shorter contexts counts for
STEPS_PER_BIT = 4
EDGE, DIGIT = SYMBOLS[-1], SYMBOLS[-2]

Bits = dict[str, float]  # three symbols → how many bits likelier the third is in random strings than in people's


def train(names: Mapping[str, NameList], seed: int = SEED, per_language: int = PERSONS_PER_LANGUAGE) -> Bits:
    """Every language counts alike, however many names of it are known."""
    rng = random.Random(seed)
    people = [part for name in sorted(names) for part in persons(names[name], per_language, rng)]
    chance_in_people = _chances(people, PERSON_WEIGHT)
    chance_in_random = _chances(random_strings(RANDOM_STRINGS, rng, SHORTEST, LONGEST), RANDOM_WEIGHT)
    bits = {three: math.log2(chance_in_random[three] / chance_in_people[three]) for three in chance_in_people}
    # Nothing is said by what follows an end, nor by a second separator.
    return bits | {symbol + EDGE + EDGE: 0.0 for symbol in SYMBOLS}


def as_weights(bits: Bits) -> pl.Series:
    """The same, as ``gibberish_scores`` takes it."""
    return pl.Series([bits[a + b + c] for a, b, c in itertools.product(SYMBOLS, repeat=3)], dtype=pl.Float32)


def as_toml(bits: Bits, source: str, date: str) -> str:
    """The file's text: one row of whole steps for each pair of symbols, in the order of ``SYMBOLS``."""
    lines = [
        "# How much likelier a symbol is in a random string than in somebody's local part, after the two before it: in",
        f"# steps of 1/{STEPS_PER_BIT} bit, one row for each pair. 0 is a digit, . a separator or an end.",
        "# Written by ct_pipeline_tests/benchmarks/gibberish_training.py.",
        f'source = "{source}"',
        f'date = "{date}"',
        f"steps_per_bit = {STEPS_PER_BIT}",
        f'symbols = "{SYMBOLS}"',
        "",
        "[rows]",
    ]
    for pair in map("".join, itertools.product(SYMBOLS, SYMBOLS)):
        steps = " ".join(str(round(bits[pair + symbol] * STEPS_PER_BIT)) for symbol in SYMBOLS)
        lines.append(f'"{pair}" = "{steps}"')
    return "\n".join(lines) + "\n"


def _chances(local_parts: Iterable[str], weight: float) -> Bits:
    """How likely each symbol is after the two before it, by counts that lean on shorter contexts where they are few."""
    threes, twos, ones, pairs, singles = (Counter[str]() for _ in range(5))
    for local_part in local_parts:
        text = EDGE + EDGE + "".join(_symbol(letter) for letter in local_part) + EDGE
        for at in range(2, len(text)):
            threes[text[at - 2 : at + 1]] += 1
            pairs[text[at - 2 : at]] += 1
            twos[text[at - 1 : at + 1]] += 1
            singles[text[at - 1]] += 1
            ones[text[at]] += 1
    chances: Bits = {}
    for first, second, third in itertools.product(SYMBOLS, repeat=3):
        alone = (ones[third] + 1) / (ones.total() + len(SYMBOLS))
        after_one = (twos[second + third] + weight * alone) / (singles[second] + weight)
        chances[first + second + third] = (threes[first + second + third] + weight * after_one) / (
            pairs[first + second] + weight
        )
    return chances


def _symbol(letter: str) -> str:
    return DIGIT if letter.isdigit() else letter if letter in SYMBOLS else EDGE


def main() -> None:
    from ct_pipeline_tests.addresses.names_of_languages import UNSEEN
    from ct_pipeline_tests.benchmarks.name_sources import languages, without

    names = {name: without(known, {*UNSEEN.first, *UNSEEN.last}) for name, known in languages().items()}
    version = importlib.metadata.version("faker")
    source = (
        f"names and words of {len(names)} locales in Faker {version} (MIT), "
        "and syllables of Mandarin, Japanese and Vietnamese"
    )
    path = Path(__file__).parents[2] / "ct_pipeline/addresses/gibberish_model.toml"
    path.write_text(as_toml(train(names), source, f"{datetime.now(UTC):%Y-%m}"), encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes, from {len(names)} languages")


if __name__ == "__main__":
    main()
