"""A pull is in the lake whole, in order, with what was set aside; or not at all."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.errors import ContactFileError
from ct_pipeline.from_clevertap.contact_rows import ROW_SCHEMA, ContactBatch, SetAsideRow
from ct_pipeline.storage.lake import SHOWN_SET_ASIDE_ROWS, Lake, file_sha256


def batches(row_count: int, batch_rows: int = 7, set_aside_count: int = 0) -> Iterator[ContactBatch]:
    for start in range(1, row_count + 1, batch_rows):
        numbers = range(start, min(start + batch_rows, row_count + 1))
        rows = pl.DataFrame(
            {
                "row_number": numbers,
                "raw_email": [f"a{n}@x.org" for n in numbers],
                "other_columns": [f'{{"n":"{n}"}}' for n in numbers],
            },
            schema=ROW_SCHEMA,
        )
        yield ContactBatch(rows, [SetAsideRow(n, 'said "no"', "a,b\tc") for n in range(set_aside_count)])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_rows_come_back_in_order(lake: Lake):
    pulled = lake.write_pull("2024-list.csv", batches(100))
    assert (pulled.path, pulled.row_count, pulled.set_aside_count) == (Path("pulls/2024-list.csv"), 100, 0)
    assert lake.scan_pull(pulled.path).collect().equals(pl.concat(batch.rows for batch in batches(100)))
    assert pulled.sha256 == file_sha256(lake.rows_path(pulled.path))


@pytest.mark.parametrize(("batch_rows", "heights"), [(40, [40, 40, 20]), (50, [50, 50]), (1000, [100])])
def test_a_pull_is_iterated_in_frames_of_the_asked_size(lake: Lake, batch_rows: int, heights: list[int]):
    pulled = lake.write_pull("a", batches(100))
    frames = list(lake.iterate_pull(pulled.path, batch_rows))
    assert [frame.height for frame in frames] == heights
    assert pl.concat(frames)["row_number"].to_list() == list(range(1, 101))


def test_an_empty_pull_is_a_pull(lake: Lake):
    pulled = lake.write_pull("a", iter(()))
    assert pulled.row_count == 0
    assert lake.scan_pull(pulled.path).collect().schema == ROW_SCHEMA
    assert list(lake.iterate_pull(pulled.path)) == []


def test_all_rows_set_aside_are_kept_and_the_first_are_told(lake: Lake):
    pulled = lake.write_pull("a", batches(14, set_aside_count=SHOWN_SET_ASIDE_ROWS - 100))
    assert pulled.set_aside_count == 2 * (SHOWN_SET_ASIDE_ROWS - 100)
    assert len(pulled.set_aside) == SHOWN_SET_ASIDE_ROWS
    kept = pl.read_csv(lake.set_aside_path(pulled.path))
    assert kept.height == pulled.set_aside_count
    assert kept.row(5) == (5, 'said "no"', "a,b\tc")


def test_a_file_that_fails_halfway_leaves_no_pull(lake: Lake):
    def failing() -> Iterator[ContactBatch]:
        yield from batches(7)
        raise ContactFileError("the disk went away")

    with pytest.raises(ContactFileError):
        lake.write_pull("a", failing())
    assert [path for path in lake.root.rglob("*") if path.is_file()] == []


def test_the_same_key_again_replaces_the_pull(lake: Lake):
    lake.write_pull("a", batches(7, set_aside_count=2))
    pulled = lake.write_pull("a", batches(9))
    assert lake.scan_pull(pulled.path).collect().height == 9
    assert pl.read_csv(lake.set_aside_path(pulled.path)).height == 0
    assert sorted(path.name for path in (lake.root / pulled.path).iterdir()) == ["rows.parquet", "set_aside.csv"]


def test_a_lake_can_be_moved(lake: Lake, tmp_path: Path):
    pulled = lake.write_pull("a", batches(7))
    moved = Lake(lake.root.rename(tmp_path / "elsewhere"))
    assert moved.scan_pull(str(pulled.path)).collect().height == 7


@pytest.mark.parametrize("key", ["", "..", "../a", "a/b", ".hidden", "a b", "a\n", "é", "x" * 300])
def test_a_key_cannot_leave_the_lake(lake: Lake, key: str):
    with pytest.raises(ValueError, match="cannot be the name of a pull"):
        lake.write_pull(key, batches(1))
    assert not lake.root.exists()


def test_only_the_owner_may_look_into_the_lake(lake: Lake):
    lake.write_pull("pull", iter([]))
    assert lake.root.stat().st_mode & 0o077 == 0
