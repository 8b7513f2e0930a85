"""Rows per second and peak memory for a contact file of 1,000,000 rows, in and out.

Run ``python ct_pipeline_tests/benchmarks/contact_files.py [ROWS]``. Each step runs in a process of its own, so that its
peak memory is its own: compare two row counts to see that memory stays flat.
"""

import csv
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from ct_pipeline.from_clevertap.contact_files import describe_contact_file, read_contact_file
from ct_pipeline.storage.lake import Lake
from ct_pipeline.to_clevertap.list_files import write_verified_list

COLUMNS = ("customer_id", "Name", "E-Mail", "Country", "Plan", "Note")


def main(row_count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "contacts.csv"
        write_source(source, row_count)
        print(f"{row_count:,} rows, {source.stat().st_size / 1e6:,.0f} MB of CSV")
        print(f"{'step':<24}{'rows/s':>12}{'seconds':>10}{'peak MB':>10}")
        for name, step in STEPS.items():
            seconds, peak_mb = in_own_process(step, source)
            print(f"{name:<24}{row_count / seconds:>12,.0f}{seconds:>10.1f}{peak_mb:>10,.0f}", flush=True)


def write_source(path: Path, row_count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for i in range(row_count):
            note = 'said "call me, later"' if i % 10 == 0 else "no note"
            rows.writerow((i, f"Zoë Müller {i}", f"user{i}@example{i % 997}.org", "DE", "pro", note))


def take_in(source: Path) -> None:
    lake_of(source).write_pull("benchmark", read_contact_file(source))


def write_csv(source: Path) -> None:
    write_verified_list(judged(source), describe_contact_file(source), source.with_name("out.csv"))


def write_zipped_csv(source: Path) -> None:
    write_verified_list(judged(source), describe_contact_file(source), source.with_name("out.csv.gz"))


def write_parquet(source: Path) -> None:
    write_verified_list(judged(source), describe_contact_file(source), source.with_name("out.parquet"))


def take_in_parquet(source: Path) -> None:
    lake_of(source).write_pull("benchmark-parquet", read_contact_file(source.with_name("out.parquet")))


STEPS: dict[str, Callable[[Path], None]] = {
    "CSV to the lake": take_in,
    "lake to CSV": write_csv,
    "lake to gzipped CSV": write_zipped_csv,
    "lake to Parquet": write_parquet,
    "Parquet to the lake": take_in_parquet,
}


def lake_of(source: Path) -> Lake:
    return Lake(source.with_name("lake"))


def judged(source: Path) -> Iterator[pl.DataFrame]:
    """The pull's rows, each with the same verdict."""
    now = datetime.now(UTC)
    verdict = {
        "status": "invalid",
        "reason": "mailbox_not_found",
        "safe_to_send": "no",
        "bounce_type": "hard",
        "verdict_text": "The mail host says that there is no such mailbox.",
        "rule": "reply:no_such_user",
        "is_disposable": False,
        "is_free": False,
        "is_role": False,
        "suggested_email": None,
        "provider": "example.org",
        "mx_record": "mx.example.org",
        "smtp_code": 550,
        "smtp_enhanced": "5.1.1",
        "smtp_text": "No such user here",
        "attempt_count": 1,
        "verified_at": now,
        "next_check_at": None,
    }
    values = [pl.lit(value).alias(field) for field, value in verdict.items()]
    for frame in lake_of(source).iterate_pull("pulls/benchmark"):
        yield frame.with_columns(pl.col("raw_email").alias("address"), *values)


def in_own_process(step: Callable[[Path], None], source: Path) -> tuple[float, float]:
    """(seconds, peak megabytes) of one step."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(step, source, sending))
    process.start()
    sending.close()
    measured = receiving.recv()
    process.join()
    return measured


def measure(step: Callable[[Path], None], source: Path, sending) -> None:
    started = time.perf_counter()
    step(source)
    sending.send((time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
