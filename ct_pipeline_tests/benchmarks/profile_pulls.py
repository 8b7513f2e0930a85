"""How fast a pull from CleverTap is saved, made one table and taken up; and how much memory that takes.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/profile_pulls.py [ROWS]``. It starts an
embedded server of its own, in the temporary folder, with the settings that users get. Pages are made and saved as the
stage does; the network is left out. One profile in ten comes a second time on a later page, one in fifty shares its
address, one in a hundred has none, and each carries about 1.3 KB of properties and other fields.
"""

import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it also runs where the package is not installed

from ct_pipeline.clevertap.records import EventSummary, Identifier, Profile
from ct_pipeline.from_clevertap.profile_pages import profile_rows
from ct_pipeline.from_clevertap.profile_rows import SUBSCRIPTION_EVENT_SCHEMA
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.intake import normalize_new_pulls
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.lake import Lake
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline.storage.open_pages import OpenPages
from ct_pipeline.storage.open_pulls import ReadingKind
from ct_pipeline.storage.pulls import PROFILES, ledger_audience, record_pull
from ct_pipeline.vocabulary import IdentifierKind

DEFAULT_ROWS = 1_000_000
PAGE_ROWS = 5_000
PROJECT = "BENCH-1"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SUMMARY = EventSummary(12, NOON - timedelta(days=90), NOON)


def main(row_count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_bench-"))
    folder.chmod(0o755)
    settings = load_settings(state_dir=folder, database_url=None)
    url = start_embedded(settings)
    try:
        upgrade(url)
        with open_ledger(settings) as conn:
            measure(settings, conn, "first", row_count, NOON, already_ours=False)
            measure(settings, conn, "again", row_count, NOON + timedelta(days=1), already_ours=True)
            show_sizes(conn)
    finally:
        stop_embedded(settings)
        shutil.rmtree(folder)
    versions = f"Python {platform.python_version()}, polars {pl.__version__}"
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, {versions}")
    print(f"command: {' '.join(sys.orig_argv)}")


def measure(
    settings: Settings, conn: psycopg.Connection, key: str, row_count: int, at: datetime, *, already_ours: bool
) -> None:
    print(f"-- {key} pull of {row_count:,} profiles")
    pages = OpenPages(settings.lake_dir, key)
    page_count = 0
    with timed("save pages", row_count):
        for start in range(0, row_count, PAGE_ROWS):
            rows = profile_rows(page(start, min(PAGE_ROWS, row_count - start), already_ours), at)
            pages.save(page_count, ReadingKind.PROFILES, rows, [])
            page_count += 1
        pages.save(page_count, ReadingKind.EVENTS, pl.DataFrame(schema=SUBSCRIPTION_EVENT_SCHEMA), [])
    with timed("make them one table", row_count):
        stored = Lake(settings.lake_dir).write_profile_pull(key, pages, page_count + 1)
        pages.remove()
    print(f"   {stored.profile_count:,} profiles, {stored.with_email_count:,} with an email")
    record_pull(
        conn, ledger_audience(PROJECT, "everyone"), PROFILES, "everyone", stored.sha256, str(stored.path),
        stored.profile_count, 0, "email", {}, at, project=PROJECT,
    )  # fmt: skip
    with timed("take up", stored.profile_count):
        normalize_new_pulls(settings)


def page(start: int, row_count: int, already_ours: bool) -> list[Profile]:
    return [profile(number - 50_000 if number % 10 == 0 and number > 50_000 else number, already_ours)
            for number in range(start, start + row_count)]  # fmt: skip


def profile(number: int, already_ours: bool) -> Profile:
    mailbox = number // 50 * 50 if number % 50 == 1 else number
    email = None if number % 100 == 7 else f"Ann.Lee{mailbox}@company{mailbox * 7919 % 1_000_003 // 20}.test"
    kind, name = (
        (IdentifierKind.OBJECT_ID, f"__g{number:032}")
        if number % 7 == 0
        else (IdentifierKind.IDENTITY, f"cust-{number}")
    )
    properties: dict[str, object] = {f"Property {each}": f"a value of some length, {number}" for each in range(12)}
    if already_ours:
        properties |= {
            "EV Status": "valid",
            "EV Safe To Send": "yes",
            "EV Reason": "accepted",
            "EV Verified At": "$D_1",
        }
    device = {
        "platform": "iOS",
        "os_version": "18.1",
        "make": "Apple",
        "model": "iPhone15,2",
        "objectId": f"__g{number:032}",
    }
    return Profile(
        identifier=Identifier(kind, name),
        object_ids=(f"__g{number:032}",),
        all_identities=(name,),
        email=email,
        properties=properties,
        events={"App Launched": SUMMARY, "Notification Viewed": SUMMARY},
        rest={"name": "Ann Lee", "platformInfo": [device]},
    )


def show_sizes(conn: psycopg.Connection) -> None:
    """Also how many updates found room on their page and left the indexes alone: what the fill factor is for."""
    for table in ("profiles", "holders", "addresses"):
        row = conn.execute(
            """
            select pg_size_pretty(pg_table_size(relid)), pg_size_pretty(pg_indexes_size(relid)),
                   n_tup_upd, n_tup_hot_upd
            from pg_stat_user_tables where schemaname = 'ledger' and relname = %s
            """,
            (table,),
        ).fetchone()
        if row is not None:
            size, index_size, updates, in_place = row
            print(f"ledger.{table}: {size}, indexes {index_size}; {updates:,} updates, {in_place:,} of them in place")


@contextmanager
def timed(title: str, row_count: int) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    rate = f"{row_count / seconds:>10,.0f} rows/s"
    print(f"{title:25} {row_count:>9,} rows  {seconds:8.2f} s  {rate}  peak memory {peak:,} MB", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ROWS)
