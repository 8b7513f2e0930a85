"""The pages of a pull under way: a Parquet file each, until the pull is complete and they become one table."""

import csv
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import polars as pl

from ct_pipeline.atomic_files import ROW_GROUP_ROWS, private_folder, replacing
from ct_pipeline.storage.open_pulls import ReadingKind

KEYS_AT_ONCE = 4_000_000  # compared in a table, which takes more memory than they do


_FOLDER = "open_pulls"


class OpenPages:
    """Pages under ``lake/open_pulls/KEY``, numbered from 0 over all readings of the pull.

    A page is written before the ledger counts it; one that the ledger does not count is written again.
    """

    def __init__(self, lake_root: Path, pull_key: str) -> None:
        self._lake_root = lake_root
        self._folder = lake_root / _FOLDER / pull_key

    def save(self, number: int, kind: ReadingKind, rows: pl.DataFrame, set_aside: Sequence[str]) -> None:
        """Write page ``number``; where the call returns, it is on disk. ``set_aside``: what was odd, in words."""
        private_folder(self._lake_root)
        for other in ReadingKind:  # left by a process that died before the ledger counted it
            self._page(number, other).unlink(missing_ok=True)
        with replacing(self._set_aside(number)) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows((number + 1, problem, "") for problem in set_aside)
        with replacing(self._page(number, kind)) as partial:
            rows.write_parquet(partial, compression="lz4")

    def has(self, page_count: int) -> bool:
        """Whether the first ``page_count`` pages are all there."""
        return all(any(self._page(number, kind).exists() for kind in ReadingKind) for number in range(page_count))

    def profiles(self, page_count: int) -> Iterator[pl.DataFrame]:
        """The profiles of the first ``page_count`` pages, each once as it was read last, with ``row_number`` from 1.

        In memory are one row group, and sixteen bytes for every profile.
        """
        row_count = 0
        for rows in self._distinct(page_count, ReadingKind.PROFILES, _PROFILE_KEY):
            number = pl.int_range(row_count + 1, row_count + 1 + pl.len(), dtype=pl.Int64)
            yield rows.with_columns(number.alias("row_number"))
            row_count += rows.height

    def events(self, page_count: int) -> Iterator[pl.DataFrame]:
        """The events of the first ``page_count`` pages, each once."""
        return self._distinct(page_count, ReadingKind.EVENTS, pl.struct(pl.all()))

    def set_aside(self, page_count: int) -> Iterator[list[str]]:
        """Of the first ``page_count`` pages: page number from 1, problem, text (always empty)."""
        for number in range(page_count):
            with self._set_aside(number).open(encoding="utf-8", newline="") as file:
                yield from csv.reader(file)

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _distinct(self, page_count: int, kind: ReadingKind, key: pl.Expr) -> Iterator[pl.DataFrame]:
        paths = self._paths(page_count, kind)
        is_last = _is_last([pl.scan_parquet(path).select(key.hash(0)).collect().to_series() for path in paths])
        waiting: list[pl.DataFrame] = []
        start = 0
        for path in paths:
            rows = pl.read_parquet(path)
            waiting.append(rows.filter(is_last.slice(start, rows.height)))
            start += rows.height
            if sum(frame.height for frame in waiting) >= ROW_GROUP_ROWS:
                yield pl.concat(waiting)
                waiting.clear()
        if waiting:
            yield pl.concat(waiting)

    def _paths(self, page_count: int, kind: ReadingKind) -> list[Path]:
        return [path for number in range(page_count) if (path := self._page(number, kind)).exists()]

    def _page(self, number: int, kind: ReadingKind) -> Path:
        return self._folder / f"{number:08}.{kind}.parquet"

    def _set_aside(self, number: int) -> Path:
        return self._folder / f"{number:08}.set_aside.csv"


def remove_left_over_pages(lake_root: Path, open_keys: Collection[str]) -> None:
    """Remove pages of complete pulls: a process died between the last entry in the ledger and the clearing up."""
    for folder in (lake_root / _FOLDER).glob("*"):
        is_complete = (lake_root / "pulls" / folder.name / "rows.parquet").exists()
        if is_complete and folder.name not in open_keys:
            shutil.rmtree(folder, ignore_errors=True)


# One 64-bit hash for each. Among 50 million profiles two share one by chance in one pull of 15,000.
_PROFILE_KEY = (
    pl.when(pl.col("identifier").is_null())
    .then(pl.format("?{}", "raw_email"))
    .otherwise(pl.format("{} {}", "identifier_kind", "identifier"))
)


def _is_last(keys: Sequence[pl.Series]) -> pl.Series:
    """Of each key, only the last row is True."""
    if not keys:
        return pl.Series(dtype=pl.Boolean)
    key = pl.concat(keys)
    portion_count = len(key) // KEYS_AT_ONCE + 1
    is_last = pl.repeat(value=False, n=len(key), eager=True)
    for portion in range(portion_count):
        mine = (key % portion_count == portion).arg_true()
        is_last = is_last.scatter(mine.filter(key.gather(mine).is_last_distinct()), values=True)
    return is_last
