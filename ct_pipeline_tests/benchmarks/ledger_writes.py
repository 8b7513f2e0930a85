"""How fast the ledger takes in a pull, the verifier's turns and the judge's verdicts; and a list is read back.

Run from the project's root: ``.venv/bin/python ct_pipeline_tests/benchmarks/ledger_writes.py [ROWS]``. It starts an
embedded server of its own, in the temporary folder, with the settings that users get. The last lines compare COPY and
merge with psycopg's ``executemany`` of the same rows, which is why the ledger writes the way it does.
"""

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

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.settings import load_settings
from ct_pipeline.storage.addresses import take_up
from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.costs import busiest_sites, what_verifying_cost
from ct_pipeline.storage.domain_facts import domains_to_look_up, keep_domain_facts
from ct_pipeline.storage.due import due_addresses, lanes_due
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline.storage.probes import ObservationWriter, next_ids
from ct_pipeline.storage.pulls import record_pull
from ct_pipeline.storage.verdicts import keep_verdicts, unjudged_evidence
from ct_pipeline.storage.verified_rows import verified_rows
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verification.probe import DueAddress, Probe, ProbeKind, Reply, Session, Stage, Turn
from ct_pipeline.vocabulary import BounceType, MailService, Reason, SafeToSend, Status

DEFAULT_ROWS = 1_000_000
BATCH_ROWS = 100_000
ROWS_PER_DOMAIN = 20
COMPARED_ROWS = 20_000
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def main(row_count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_bench-"))
    folder.chmod(0o755)
    settings = load_settings(state_dir=folder, database_url=None)
    url = start_embedded(settings)
    try:
        upgrade(url)
        with open_ledger(settings) as conn:
            measure(conn, url, row_count)
    finally:
        stop_embedded(settings)
        shutil.rmtree(folder)


def measure(conn: psycopg.Connection, url: str, row_count: int) -> None:
    pull_id = record_pull(conn, "bench", "contact_file", "bench.csv", "00", "pulls/00", row_count, 0, "email", [], NOW)
    for title in ("take up new addresses", "take up the same rows again"):
        with timed(title, row_count):
            for start in range(0, row_count, BATCH_ROWS):
                take_up(conn, pull_id, "bench", pull_rows(start, min(BATCH_ROWS, row_count - start)), NOW)
    with timed("keep domain facts", row_count // ROWS_PER_DOMAIN):
        while domains := domains_to_look_up(conn, NOW, 10_000):
            keep_domain_facts(conn, [domain_facts(domain) for domain in domains], NOW)
    with timed("find the lanes that are due", 1):
        lanes = list(lanes_due(conn, NOW))
    probe_ids = iter(next_ids(conn, "probe", row_count))
    asked_count = 0
    with timed("hand out due addresses, write their turns", row_count), ObservationWriter(url) as writer:
        for lane in lanes:
            while due := due_addresses(conn, lane, NOW, 10_000):
                put_answers(writer, due, probe_ids)
                writer.flush()
                asked_count += len(due)
    with timed("read evidence, keep verdicts", row_count):
        while rows := unjudged_evidence(conn, "v1", 20_000):
            keep_verdicts(conn, [verdict(row.address_id, row.address) for row in rows], rows)
    with timed("what waits, by lane and reason (due_backlog)", row_count):
        due_backlog(conn)
    with timed("what every site cost (site_costs)", row_count):
        conn.execute("select * from ledger.site_costs").fetchall()
    with timed("what `status` shows of it", row_count):
        what_verifying_cost(conn)
        busiest_sites(conn, 3)
    with timed("read the verified list", row_count):
        read = sum(frame.height for frame in verified_rows(conn, pull_id))
    assert read == asked_count == row_count
    compare(conn, row_count)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def compare(conn: psycopg.Connection, row_count: int) -> None:
    by_merge, by_row = (pull_rows(start, COMPARED_ROWS) for start in (row_count, row_count + COMPARED_ROWS))
    pull_id = record_pull(conn, "bench", "contact_file", "more.csv", "01", "pulls/01", row_count, 0, "email", [], NOW)
    with timed("new addresses by COPY and merge", COMPARED_ROWS):
        take_up(conn, pull_id, "bench", by_merge, NOW)
    rows = by_row.select("domain", "address", "raw_email", "row_number").rows()
    with timed("new addresses by executemany", COMPARED_ROWS), conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "insert into ledger.domains (domain) values (%s) on conflict do nothing", [(row[0],) for row in rows]
        )
        cursor.executemany(
            "insert into ledger.addresses (address, domain_id, is_role) select %s, domain_id, false "
            "from ledger.domains where domain = %s on conflict do nothing",
            [(address, domain) for domain, address, _, _ in rows],
        )
        cursor.executemany(
            "insert into ledger.holders (pull_id, row_number, address_id, raw_email) select %s, %s, address_id, %s "
            "from ledger.addresses where address = %s on conflict do nothing",
            [(pull_id, number, raw_email, address) for _, address, raw_email, number in rows],
        )
        cursor.executemany(
            "insert into ledger.due (address_id, domain_id, next_attempt_at) select address_id, domain_id, %s "
            "from ledger.addresses where address = %s on conflict do nothing",
            [(NOW, address) for _, address, _, _ in rows],
        )


def put_answers(writer: ObservationWriter, due: list[DueAddress], probe_ids: Iterator[int]) -> None:
    reply = Reply(Stage.RCPT, 250, "2.1.5", "ok")
    pairs = list(zip(due, probe_ids, strict=False))
    session_of = {a.domain: number for a, number in pairs}
    sessions = [
        Session(
            number,
            lane_of(domain),
            domain,
            f"mx.{domain}",
            "192.0.2.1",
            "probe.test",
            "",
            NOW,
            NOW,
            25,
            20,
            False,
            "done",
        )
        for domain, number in session_of.items()
    ]
    probes = [
        Probe(
            number,
            session_of[a.domain],
            ProbeKind.MAILBOX,
            a.address_id,
            a.domain,
            reply,
            Reason.ACCEPTED,
            "accepted",
            NOW,
            12,
        )
        for a, number in pairs
    ]
    writer.put(sessions, probes, [Turn(a.address_id, None, 1, probe_id) for a, probe_id in pairs], [])


def pull_rows(start: int, row_count: int) -> pl.DataFrame:
    numbers = pl.DataFrame({"row_number": range(start + 1, start + row_count + 1)})
    domain = pl.format("company{}.test", pl.col("row_number") * 7919 % 1_000_003 // ROWS_PER_DOMAIN)
    address = pl.format("ann.lee{}@{}", pl.col("row_number"), domain)
    return numbers.with_columns(
        raw_email=address.str.to_titlecase(),
        address=address,
        local_part=pl.format("ann.lee{}", pl.col("row_number")),
        domain=domain,
        syntax_reason=pl.lit(None, pl.String),
        is_role=pl.lit(value=False),
        suggested_email=pl.lit(None, pl.String),
    )


def domain_facts(domain: str) -> DomainFacts:
    hosts = (MxHost(10, f"mx.{domain}", ("192.0.2.1",)),)
    return DomainFacts(
        domain,
        MailService.MX,
        hosts,
        hosts[0].host,
        domain,
        domain,
        lane_of(domain),
        False,
        False,
        NOW,
        NOW + timedelta(days=1),
    )


def lane_of(domain: str) -> str:
    return f"small-{len(domain) % 8:02}"


def verdict(address_id: int, address: str) -> Verdict:
    return Verdict(
        address_id, address, Status.VALID, Reason.ACCEPTED, 200, SafeToSend.YES, BounceType.NONE, 97, "valid 97",
        "The mailbox exists.", False, False, False, False, None, None, "company.test", "mx.company.test", False, 250,
        "2.1.5", "ok", 120, 1, NOW, None, "accepted", "v1", NOW,
    )  # fmt: skip


@contextmanager
def timed(title: str, row_count: int) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    print(f"{title:45} {row_count:>9,} rows  {seconds:8.2f} s  {row_count / seconds:>10,.0f} rows/s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ROWS)
