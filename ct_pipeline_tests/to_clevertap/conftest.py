"""A contact file's way through the lake into a list file, with one verdict for every row."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.from_clevertap.contact_files import describe_contact_file, read_contact_file
from ct_pipeline.storage.lake import Lake
from ct_pipeline.to_clevertap.list_files import ListFileSummary, write_verified_list

VERDICT: dict[str, object] = {
    "status": "invalid",
    "reason": "mailbox_not_found",
    "clearout_code": 406,
    "safe_to_send": "no",
    "bounce_type": "hard",
    "score": 2,
    "score_basis": "invalid 2",
    "verdict_text": "There is no such mailbox.",
    "is_disposable": False,
    "is_free": True,
    "is_role": False,
    "is_gibberish": False,
    "suggested_email": None,
    "canonical_email": None,
    "provider": "x.org",
    "mx_record": "mx.x.org",
    "is_catch_all_domain": False,
    "smtp_code": 550,
    "smtp_enhanced": "5.1.1",
    "smtp_text": "No such user",
    "elapsed_ms": 140,
    "attempt_count": 2,
    "verified_at": datetime(2026, 11, 2, 10, 0, tzinfo=UTC),
    "next_check_at": None,
    "rule": "no_such_user",
}

Verify = Callable[..., ListFileSummary]


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    """``verify(source, out, **changes)``: the list file of ``source``; ``changes`` are verdict fields."""

    def write(source: Path, out: Path, batch_rows: int = 3, **changes: object) -> ListFileSummary:
        lake = Lake(tmp_path / "lake")
        pulled = lake.write_pull("a", read_contact_file(source))

        def judged() -> Iterator[pl.DataFrame]:
            values = [pl.lit(value).alias(name) for name, value in {**VERDICT, **changes}.items()]
            for frame in lake.iterate_pull(pulled.path, batch_rows):
                yield frame.with_columns(pl.col("raw_email").str.to_lowercase().alias("address"), *values)

        return write_verified_list(judged(), describe_contact_file(source), out, lake.set_aside_path(pulled.path))

    return write
