"""A ledger that holds a benchmark's list as due, and its answers compared with the truth."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import polars as pl
import psycopg

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.addresses import take_up
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline.storage.pulls import record_pull
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.benchmarks.made_up_list import domain_of, mailboxes
from ct_pipeline_tests.benchmarks.score import Score

BATCH_ROWS = 100_000
AUDIENCE = "bench"


@contextmanager
def embedded_server() -> Iterator[str]:
    """URL of a Postgres of our own in the temporary folder, with the settings that users get."""
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_bench-"))
    folder.chmod(0o755)  # the server does not run as root, and has to reach it
    settings = load_settings(state_dir=folder, database_url=None)
    try:
        yield start_embedded(settings)
    finally:
        stop_embedded(settings)
        shutil.rmtree(folder)


@contextmanager
def fresh_ledger(server_url: str) -> Iterator[str]:
    """URL of a ledger without rows, dropped at the end."""
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute("create database shape")
        url = server_url.replace("/postgres?", "/shape?", 1)
        try:
            upgrade(url)
            yield url
        finally:
            conn.execute("drop database shape with (force)")


def take_up_list(settings: Settings, sizes: Sequence[int]) -> None:
    """Make ``sizes[n]`` addresses of host n due."""
    now = datetime.now(UTC)
    domains = [domain_of(host) for host in range(len(sizes))]
    rows = chain.from_iterable(
        ((address, domain) for address in mailboxes(domain, size)) for domain, size in zip(domains, sizes, strict=True)
    )
    with open_ledger(settings) as conn:
        pull_id = record_pull(conn, AUDIENCE, "contact_file", "list", "00", "pulls/00", sum(sizes), 0, "email", [], now)
        first_row = 1
        while batch := list(islice(rows, BATCH_ROWS)):
            take_up(conn, pull_id, AUDIENCE, _frame(batch, first_row), now)
            first_row += len(batch)


def _frame(rows: list[tuple[str, str]], first_row: int) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["address", "domain"], orient="row")
    return frame.with_columns(
        row_number=pl.int_range(first_row, first_row + len(rows)),
        raw_email="address",
        local_part=pl.col("address").str.split("@").list.first(),
        syntax_reason=pl.lit(None, pl.String),
        is_role=pl.lit(value=False),
        suggested_email=pl.lit(None, pl.String),
    )


def ledger_score(settings: Settings) -> Score:
    """What the ledger holds of each address, beside the truth."""
    score = Score()
    with open_ledger(settings) as conn, conn.transaction(), conn.cursor("answers") as cursor:
        cursor.itersize = BATCH_ROWS
        cursor.execute(
            """
            select address, reason, next_attempt_at is null
            from ledger.due join ledger.addresses using (address_id) left join ledger.probes using (probe_id)
            """
        )
        for address, reason, is_settled in cursor:
            score.add(address, Reason(reason) if reason else None, is_settled=is_settled)
    return score
