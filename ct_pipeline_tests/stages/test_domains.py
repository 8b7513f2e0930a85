"""Look-ups of the ledger's domains: each is asked for MX once, whoever else looks up, interrupts, or restarts."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self

import dns.message
import dns.rcode
import dns.rdatatype
import psycopg
import pytest
from psycopg import sql

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages import domains as stage
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.storage.database import connect
from ct_pipeline_tests.storage.records import take

DOMAINS = [f"d{number:03}.test" for number in range(60)]
CONCURRENCY = 4


class Nameserver:
    """Knows no name, says so after ``delay_seconds``, one question at a time, and remembers what it was asked for."""

    def __init__(self, delay_seconds: float) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self._delay_seconds = delay_seconds
        self._news = threading.Condition()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def wait_until_asked(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.asked) >= count, timeout=60)

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            time.sleep(self._delay_seconds)
            answer = dns.message.make_response(query)
            answer.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(answer.to_wire(), client)
            with self._news:
                self.asked[question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)] += 1
                self._news.notify_all()


def settings_for(server: Nameserver, settings: Settings) -> Settings:
    return load_settings(
        **{**settings.model_dump(), "nameservers": f"127.0.0.1:{server.port}", "dns_concurrency": CONCURRENCY}
    )


@pytest.fixture
def conn(settings_for_tests: Settings) -> Iterator[psycopg.Connection]:
    with connect(url_of(settings_for_tests)) as connection:
        take(connection, *(f"ann@{domain}" for domain in DOMAINS))
        yield connection


def looked_up(conn: psycopg.Connection) -> set[str]:
    return {domain for (domain,) in conn.execute("select domain from ledger.domains where service is not null")}


def test_two_calls_at_once_ask_for_each_domain_once(settings_for_tests: Settings, conn: psycopg.Connection) -> None:
    with Nameserver(0.01) as server, ThreadPoolExecutor(2) as threads:
        settings = settings_for(server, settings_for_tests)
        summaries = list(threads.map(look_up_domains, [settings] * 2))
    assert server.asked == {(domain, "MX"): 1 for domain in DOMAINS}
    assert sorted(summary.domain_count for summary in summaries) == [0, len(DOMAINS)]
    assert sum(summary.mx_query_count for summary in summaries) == len(DOMAINS)
    counts = conn.execute("select distinct dns_query_count, mx_query_count from ledger.domains").fetchall()
    assert counts == [(1, 1)]


def test_what_an_interrupted_call_has_found_is_kept(settings_for_tests: Settings, conn: psycopg.Connection) -> None:
    with Nameserver(0.01) as server:
        settings = settings_for(server, settings_for_tests)

        async def run_until_some_are_found() -> None:
            running = asyncio.create_task(stage._LookUp(settings, lambda _count: None, None).run(DOMAINS))
            await asyncio.to_thread(server.wait_until_asked, 30)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(run_until_some_are_found())
        assert len(looked_up(conn)) >= 30 - 2 * CONCURRENCY
        look_up_domains(settings)
    assert looked_up(conn) == set(DOMAINS)
    twice = [domain for (domain, _), count in server.asked.items() if count > 1]
    assert len(twice) <= 2 * CONCURRENCY, "only look-ups that were under way"


def test_a_database_that_is_away_is_waited_for(settings_for_tests: Settings, conn: psycopg.Connection) -> None:
    with Nameserver(0.01) as server, ThreadPoolExecutor(1) as thread:
        call = thread.submit(look_up_domains, settings_for(server, settings_for_tests))
        server.wait_until_asked(10)
        with database_away(settings_for_tests, conn):
            server.wait_until_asked(len(DOMAINS))
            with pytest.raises(TimeoutError):
                call.result(timeout=1)
        assert call.result().domain_count == len(DOMAINS)
    assert set(server.asked.values()) == {1}
    with connect(url_of(settings_for_tests)) as again:
        assert looked_up(again) == set(DOMAINS)


@contextmanager
def database_away(settings: Settings, conn: psycopg.Connection) -> Iterator[None]:
    """Every connection is cut, and nobody is let in."""
    name = conn.info.dbname
    statement = sql.SQL("alter database {} with allow_connections {}")
    with psycopg.connect(url_of(settings).replace(f"/{name}?", "/postgres?"), autocommit=True) as admin:
        admin.execute(statement.format(sql.Identifier(name), sql.SQL("false")))
        try:
            admin.execute("select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s", (name,))
            yield
        finally:
            admin.execute(statement.format(sql.Identifier(name), sql.SQL("true")))


def url_of(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()
