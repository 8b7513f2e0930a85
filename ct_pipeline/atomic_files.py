"""Files that appear whole or not at all: written beside their place, then renamed onto it; and where they may lie."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import polars as pl

ROW_GROUP_ROWS = 50_000  # a reader holds one row group; with cells of a few KB that stays under 200 MB


def private_folder(folder: Path) -> Path:
    """``folder``, made if it is missing, for the eyes of its owner alone: contact lists are personal data."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to; when the block ends well the file there is flushed to disk and becomes ``target``.

    When the block raises, nothing is left and an older ``target`` stays as it was. The folder is made if it is missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(target)
    try:
        yield partial
        _flush(partial)
        partial.replace(target)
        _flush(target.parent)
    finally:
        partial.unlink(missing_ok=True)


class ParquetStream:
    """One Parquet file written frame by frame, in memory that does not grow with the file.

    Polars writes a Parquet file in one call only, and a generator handed to that call runs on a foreign thread where
    Ctrl-C does not reach it. So every frame becomes a part, and the parts are streamed into one file at the end.

    Use as a context manager; every frame must have the columns of ``schema``.
    """

    def __init__(self, target: Path, schema: pl.Schema) -> None:
        self._target = target
        self._schema = schema
        self._parts_folder = _beside(target)
        self._parts: list[Path] = []

    def __enter__(self) -> "ParquetStream":
        self._parts_folder.mkdir(parents=True)
        return self

    def write(self, frame: pl.DataFrame) -> None:
        part = self._parts_folder / f"{len(self._parts):06}.parquet"
        columns = [frame.get_column(name).cast(dtype) for name, dtype in self._schema.items()]  # "*" can be a name
        pl.DataFrame(columns).write_parquet(part, compression="lz4")
        self._parts.append(part)

    def __exit__(
        self, error_class: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error_class is None:
                self._join_parts()
        finally:
            shutil.rmtree(self._parts_folder, ignore_errors=True)

    def _join_parts(self) -> None:
        with replacing(self._target) as partial:
            if self._parts:
                pl.scan_parquet(self._parts).sink_parquet(partial, row_group_size=ROW_GROUP_ROWS, maintain_order=True)
            else:
                pl.DataFrame(schema=self._schema).write_parquet(partial)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")


def _flush(path: Path) -> None:
    """Wait until the file, or the names in the folder, are on disk: the ledger will point to them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
