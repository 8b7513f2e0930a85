"""How many mixed addresses are normalized per second, and how much memory that takes.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/normalize.py [ROWS]``. One row in ten is
messy in one of the ways below, and every string is distinct, so nothing is saved by repetition. Rows are made and
normalized in batches, as the stage does; making them is not timed.
"""

import os
import platform
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.addresses.normalize import normalize

BATCH_ROWS = 100_000
MESSY_SHARE = 0.1
DOMAINS = (
    "gmail.com",
    "yahoo.co.in",
    "hotmail.com",
    "outlook.com",
    "mail.ru",
    "web.de",
    "orange.fr",
    "company.example",
)

MESSY: tuple[Callable[[str, str], str], ...] = (
    lambda local, domain: f"  {local.upper()}@{domain}.\n",
    lambda local, domain: f'"Doe, Jane" <{local}@{domain}>',
    lambda local, domain: f"José Doe <{local}@{domain}>",
    lambda local, domain: f"mailto:{local}@{domain}?subject=hello",
    lambda local, domain: f"mailto:{local}%40{domain}",
    lambda local, domain: f"\u200b{local}@{domain}\u00a0",
    lambda local, domain: f"{local}＠{domain}".replace(".", "．"),
    lambda local, domain: f'"{local} x"@{domain}',
    lambda local, domain: f"{local}@bücher-{domain}",
    lambda local, domain: f"ünlü.{local}@{domain}",
    lambda local, domain: f"{local}@{domain} (work)",
    lambda local, domain: f"{local}\r\n@{domain}",
    lambda local, domain: f"{local} at {domain}",
    lambda local, domain: f"{local}..x@{domain}",
)


def batch(start: int, rows: int, chance: random.Random) -> pl.Series:
    cells: list[str] = []
    for number in range(start, start + rows):
        local, domain = f"ann.lee{number}", chance.choice(DOMAINS)
        is_messy = chance.random() < MESSY_SHARE
        cells.append(chance.choice(MESSY)(local, domain) if is_messy else f"{local}@{domain}")
    return pl.Series("raw_email", cells)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    chance = random.Random(1)
    seconds, cpu_seconds, usable = 0.0, 0.0, 0
    for start in range(0, rows, BATCH_ROWS):
        cells = batch(start, min(BATCH_ROWS, rows - start), chance)
        started, cpu_started = time.perf_counter(), time.process_time()
        frame = normalize(cells)
        seconds += time.perf_counter() - started
        cpu_seconds += time.process_time() - cpu_started
        usable += frame.get_column("syntax_reason").null_count()
        print(f"  {start + len(cells):>12,} rows   peak RSS {peak_mib():,.0f} MiB")
    print(f"{rows:,} rows, {usable:,} usable: {rows / seconds:,.0f} rows/s")
    print(f"{seconds:.2f} s, {cpu_seconds:.2f} s of CPU (the first is much longer where others use the machine too)")
    versions = f"Python {platform.python_version()}, polars {pl.__version__}"
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, {versions}")
    print(f"command: {' '.join(sys.orig_argv)}")


if __name__ == "__main__":
    main()
