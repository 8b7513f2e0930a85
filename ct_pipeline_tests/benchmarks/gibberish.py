"""How many people of each language are taken for gibberish, how many random strings are not, and how long it takes.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/gibberish.py``. Two figures a language:
by the committed model, which knows most of the names; and by models that were trained without the fifth of the names
which they are measured on. The second needs Faker (dependency group ``bench``); without it, it is a FAILED row.
"""

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.addresses.gibberish import LEAST_BITS, gibberish_scores
from ct_pipeline_tests.addresses.local_parts import NameList, persons, random_strings
from ct_pipeline_tests.addresses.names_of_languages import NAMES, UNSEEN
from ct_pipeline_tests.benchmarks.figures import Table, print_origin

SEED = 7
PERSONS = 5_000
ROWS = 1_000_000
LENGTHS = ((6, 6), (8, 8), (10, 10), (12, 12), (8, 16))


def main() -> None:
    print_origin()
    rng = random.Random(SEED)
    table = Table(["people flagged, committed model", *map(str, LEAST_BITS)])
    for language, names in [*NAMES.items(), ("names it has not seen", UNSEEN)]:
        table.row(language, *_rates(persons(names, PERSONS, rng)))
    table = Table(["random strings flagged", *map(str, LEAST_BITS)])
    for least, most in LENGTHS:
        length = f"{least} characters" if least == most else f"{least} to {most} characters"
        table.row(length, *_rates(random_strings(PERSONS, rng, least, most)))
    _measure_held_out(rng)
    rows = pl.Series(persons(NAMES["English"], 10_000, rng) * (ROWS // 10_000))
    started = time.perf_counter()
    gibberish_scores(rows)
    print(f"\n{ROWS:,} local parts in {time.perf_counter() - started:.2f} s")


def _measure_held_out(rng: random.Random) -> None:
    table = Table(["people flagged, a fifth of the names held out", *map(str, LEAST_BITS)])
    try:
        from ct_pipeline_tests.benchmarks.name_sources import languages, split

        known = languages()
    except ModuleNotFoundError as error:
        table.row("FAILED", str(error))
        return
    from ct_pipeline_tests.benchmarks.gibberish_training import as_weights, train

    trained_with = {name: split(names, is_held_out=False) for name, names in known.items()}
    weights = as_weights(train(_usable(trained_with)))
    held_out = {name: split(names, is_held_out=True) for name, names in known.items()}
    everyone: list[str] = []
    for name, names in sorted(_usable(held_out).items()):
        people = persons(names, PERSONS, rng)
        everyone += people
        table.row(name, *_rates(people, weights))
    table.row("all", *_rates(everyone, weights))


def _usable(languages: dict[str, NameList]) -> dict[str, NameList]:
    return {name: names for name, names in languages.items() if len(names.first) >= 5 and len(names.last) >= 5}


def _rates(local_parts: Sequence[str], weights: pl.Series | None = None) -> list[str]:
    scores = gibberish_scores(pl.Series(local_parts), weights)
    return [f"{(scores > least).mean():.2%}" for least in LEAST_BITS.values()]


if __name__ == "__main__":
    main()
