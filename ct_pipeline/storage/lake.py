"""The lake: every pull as it came, immutable, as Parquet under one root.

A contact file's folder holds ``rows.parquet`` (of ``ROW_SCHEMA``) and ``set_aside.csv``, a profile pull's
``rows.parquet`` (of ``PROFILE_SCHEMA``), ``subscription_events.parquet`` and ``set_aside.csv``.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ct_pipeline.atomic_files import ParquetStream, private_folder, replacing
from ct_pipeline.from_clevertap.contact_rows import ROW_SCHEMA, ContactBatch, SetAsideRow
from ct_pipeline.from_clevertap.profile_rows import PROFILE_SCHEMA, SUBSCRIPTION_EVENT_SCHEMA
from ct_pipeline.storage.open_pages import OpenPages

SHOWN_SET_ASIDE_ROWS = 1000  # all of them are in set_aside.csv

_PULL_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_ROWS = "rows.parquet"
_SET_ASIDE = "set_aside.csv"
_SET_ASIDE_COLUMNS = ("line", "problem", "text")
_EVENTS = "subscription_events.parquet"


@dataclass(frozen=True, slots=True)
class PulledFile:
    """A pull as it was written. ``path`` is its folder, relative to the lake's root, so that the lake can be moved."""

    path: Path
    row_count: int
    set_aside_count: int
    set_aside: list[SetAsideRow]  # the first SHOWN_SET_ASIDE_ROWS
    sha256: str  # of rows.parquet


@dataclass(frozen=True, slots=True)
class PulledProfiles:
    """A profile pull as it was written. ``path`` as in :class:`PulledFile`."""

    path: Path
    profile_count: int
    with_email_count: int
    without_identifier_count: int
    subscription_event_count: int
    set_aside_count: int
    sha256: str  # of this reading: the same profiles read again are another pull


class Lake:
    """Pulls under ``root``, a folder each."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_pull(self, pull_key: str, batches: Iterable[ContactBatch]) -> PulledFile:
        """Write every batch to the pull's folder; memory does not grow with the number of batches.

        ``rows.parquet`` appears last and at once: where it is, the pull is complete. When ``batches`` raises, nothing
        of this pull appears. The same key again replaces the pull: after a crash between the lake and the ledger, the
        caller just takes the file in again.

        Raises:
            ValueError: ``pull_key`` is not made of letters, digits, ``.``, ``_`` and ``-``.
        """
        path = _path_of(pull_key)
        folder = private_folder(self.root) / path
        row_count = set_aside_count = 0
        shown: list[SetAsideRow] = []
        with (
            ParquetStream(folder / _ROWS, ROW_SCHEMA) as rows,
            replacing(folder / _SET_ASIDE) as set_aside_path,
            set_aside_path.open("w", encoding="utf-8", newline="") as set_aside_file,
        ):
            set_aside = csv.writer(set_aside_file)
            set_aside.writerow(_SET_ASIDE_COLUMNS)
            for batch in batches:
                rows.write(batch.rows)
                row_count += batch.rows.height
                set_aside_count += len(batch.set_aside)
                set_aside.writerows((row.line, row.problem, row.text) for row in batch.set_aside)
                shown += batch.set_aside[: SHOWN_SET_ASIDE_ROWS - len(shown)]
        return PulledFile(path, row_count, set_aside_count, shown, file_sha256(folder / _ROWS))

    def write_profile_pull(self, pull_key: str, pages: OpenPages, page_count: int) -> PulledProfiles:
        """Make the first ``page_count`` pages one pull; memory does not grow with the number of profiles, but for 16
        bytes each.

        ``rows.parquet`` appears last. The same key again replaces the pull.

        Raises:
            ValueError: as :meth:`write_pull`.
        """
        path = _path_of(pull_key)
        folder = private_folder(self.root) / path
        profile_count = with_email_count = without_identifier_count = event_count = 0
        with replacing(folder / _SET_ASIDE) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            set_aside = csv.writer(file)
            set_aside.writerow(_SET_ASIDE_COLUMNS)
            set_aside_count = sum(1 for row in pages.set_aside(page_count) if set_aside.writerow(row))
        with ParquetStream(folder / _EVENTS, SUBSCRIPTION_EVENT_SCHEMA) as events:
            for frame in pages.events(page_count):
                events.write(frame)
                event_count += frame.height
        with ParquetStream(folder / _ROWS, PROFILE_SCHEMA) as rows:
            for frame in pages.profiles(page_count):
                rows.write(frame)
                profile_count += frame.height
                with_email_count += frame.height - frame["raw_email"].null_count()
                without_identifier_count += frame["identifier"].null_count()
        digests = (pull_key, file_sha256(folder / _ROWS), file_sha256(folder / _EVENTS))
        return PulledProfiles(
            path,
            profile_count,
            with_email_count,
            without_identifier_count,
            event_count,
            set_aside_count,
            hashlib.sha256(" ".join(digests).encode()).hexdigest(),
        )

    def rows_path(self, path: Path | str) -> Path:
        """Where the rows of a pull are; ``path`` is ``PulledFile.path``, or an absolute folder."""
        return self.root / path / _ROWS

    def set_aside_path(self, path: Path | str) -> Path:
        """Where the rows set aside are: CSV with the columns line, problem, text."""
        return self.root / path / _SET_ASIDE

    def scan_pull(self, path: Path | str) -> pl.LazyFrame:
        """The rows of a pull, in the order of the file."""
        return pl.scan_parquet(self.rows_path(path), glob=False)

    def iterate_pull(self, path: Path | str, batch_rows: int = 100_000) -> Iterator[pl.DataFrame]:
        """The rows of a pull in order, ``batch_rows`` at a time (the last frame has fewer)."""
        return _slices(self.scan_pull(path), batch_rows)

    def iterate_subscription_events(self, path: Path | str, batch_rows: int = 100_000) -> Iterator[pl.DataFrame]:
        """The subscription events of a profile pull, ``batch_rows`` at a time."""
        return _slices(pl.scan_parquet(self.root / path / _EVENTS, glob=False), batch_rows)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _path_of(pull_key: str) -> Path:
    if not _PULL_KEY.fullmatch(pull_key):
        raise ValueError(f"{pull_key!r} cannot be the name of a pull")
    return Path("pulls") / pull_key


def _slices(rows: pl.LazyFrame, batch_rows: int) -> Iterator[pl.DataFrame]:
    row_count = rows.select(pl.len()).collect().item()
    for offset in range(0, row_count, batch_rows):
        yield rows.slice(offset, batch_rows).collect()
