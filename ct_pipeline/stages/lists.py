"""Write a pull back as a file, with the verdicts beside its own columns."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ct_pipeline.from_clevertap.contact_rows import ContactFileShape
from ct_pipeline.settings import Settings
from ct_pipeline.storage.lake import Lake
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.pulls import pull
from ct_pipeline.storage.verified_rows import verified_rows
from ct_pipeline.to_clevertap.list_files import ListFileSummary, write_verified_list

BATCH_ROWS = 50_000


def write_list(settings: Settings, pull_id: int, out: Path) -> ListFileSummary:
    """Write the rows of pull ``pull_id``, in their order, with what is known of each address, to ``out``.

    The format follows the suffix of ``out``: .csv, .csv.gz or .parquet.

    Raises:
        LookupError: there is no such pull.
    """
    with open_ledger(settings) as conn:
        known = pull(conn, pull_id)
        if known is None:
            raise LookupError(f"the ledger has no pull {pull_id}")
        lake = Lake(settings.lake_dir)
        rows = _joined(lake.iterate_pull(known.lake_path, BATCH_ROWS), verified_rows(conn, pull_id, BATCH_ROWS))
        shape = ContactFileShape.from_json(known.columns)
        return write_verified_list(rows, shape, out, lake.set_aside_path(known.lake_path))


def _joined(lake_rows: Iterator[pl.DataFrame], verdicts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Both are ordered by ``row_number`` and hold every row of the pull: they are read side by side."""
    ahead: pl.DataFrame | None = None
    for rows in lake_rows:
        last = rows["row_number"].max()
        while ahead is None or ahead.is_empty() or ahead["row_number"].max() < last:  # pyright: ignore[reportOperatorIssue]
            following = next(verdicts, None)
            if following is None:
                break
            ahead = following if ahead is None else pl.concat([ahead, following])
        if ahead is None:
            raise RuntimeError("the pull has not been taken up: no address of it is in the ledger")
        yield rows.join(ahead, on="row_number", how="left", maintain_order="left")
        ahead = ahead.filter(pl.col("row_number") > last)
