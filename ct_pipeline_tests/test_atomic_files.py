"""A file appears whole or not at all."""

from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.atomic_files import ParquetStream, replacing

SCHEMA = pl.Schema({"n": pl.Int64(), "text": pl.String()})


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path):
    target = tmp_path / "new folder" / "a.txt"
    with replacing(target) as partial:
        partial.write_text("one")
        assert not target.exists()
    with replacing(target) as partial:
        partial.write_text("two")
        assert target.read_text() == "one"
    assert target.read_text() == "two"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "a.txt"
    target.write_text("one")

    def fail_halfway() -> None:
        with replacing(target) as partial:
            partial.write_text("tw")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert target.read_text() == "one"
    assert list(tmp_path.iterdir()) == [target]


def test_frames_become_one_parquet_file_in_order(tmp_path: Path):
    target = tmp_path / "rows.parquet"
    frames = [pl.DataFrame({"text": [f"{i}"] * 3, "n": [i] * 3}) for i in range(30)]
    with ParquetStream(target, SCHEMA) as stream:
        for frame in frames:
            stream.write(frame)
    assert pl.read_parquet(target).equals(pl.concat(frames).select("n", "text"))
    assert list(tmp_path.iterdir()) == [target]


def test_no_frames_become_an_empty_file_with_its_columns(tmp_path: Path):
    with ParquetStream(tmp_path / "rows.parquet", SCHEMA):
        pass
    assert pl.read_parquet(tmp_path / "rows.parquet").schema == SCHEMA


def test_a_stream_that_fails_leaves_nothing(tmp_path: Path):
    def fail_halfway() -> None:
        with ParquetStream(tmp_path / "rows.parquet", SCHEMA) as stream:
            stream.write(pl.DataFrame({"n": [1], "text": ["a"]}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []
