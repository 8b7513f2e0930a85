"""What tests of every folder share: a real Postgres, and a fresh ledger in it for each test that asks.

``ledger_url`` is the URL of a database of the test's own with all migrations; ``settings_for_tests`` are settings that
use it, with a state folder of their own.
"""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.migrations import upgrade

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An embedded server for the whole session, with an empty database; it does not wait for the disk."""
    # not tmp_path: that is private, and the server, which does not run as root, could not reach it
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_tests-"))
    folder.chmod(0o755)
    settings = load_settings(state_dir=folder, database_url=None)
    url = start_embedded(settings)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("alter system set fsync = off")
            connection.execute("alter system set full_page_writes = off")
            connection.execute("select pg_reload_conf()")
        yield url
    finally:
        stop_embedded(settings)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _migrated_url(postgres_url: str) -> str:
    url = _with_database(postgres_url, "migrated")
    _create_database(postgres_url, "migrated", "template1")
    upgrade(url)
    return url


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database of the test's own, without any schema of ours."""
    yield from _own_database(postgres_url, "template1")


@pytest.fixture
def ledger_url(postgres_url: str, _migrated_url: str) -> Iterator[str]:
    """A ledger of the test's own, with all migrations and no rows."""
    yield from _own_database(postgres_url, "migrated")


@pytest.fixture
def settings_for_tests(ledger_url: str) -> Iterator[Settings]:
    """Settings with a ledger and a state folder of the test's own."""
    with _settings_for(ledger_url) as settings:
        yield settings


@pytest.fixture(scope="module")
def settings_for_module(postgres_url: str, _migrated_url: str) -> Iterator[Settings]:
    """Likewise, for tests of one module that look at the same run."""
    with contextlib.contextmanager(_own_database)(postgres_url, "migrated") as url, _settings_for(url) as settings:
        yield settings


@contextlib.contextmanager
def _settings_for(ledger_url: str) -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_tests-"))
    folder.chmod(0o755)
    try:
        yield load_settings(state_dir=folder, database_url=ledger_url)
    finally:
        shutil.rmtree(folder)


def _own_database(server_url: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _create_database(server_url, name, template)
    try:
        yield _with_database(server_url, name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            # forced: a test that failed may have left a connection behind
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _create_database(server_url: str, name: str, template: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def _with_database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?", 1)
