"""URLs: what users may write, and what each client gets."""

from collections.abc import Callable

import psycopg
import psycopg2
import pytest
import sqlalchemy

from ct_pipeline.errors import LedgerUnavailableError, SettingsError
from ct_pipeline.settings import load_settings
from ct_pipeline.storage.database import (
    connect,
    dagster_database_url,
    describe_url,
    plain_url,
    resolve_database_url,
)
from ct_pipeline.storage.probes import ObservationWriter
from ct_pipeline_tests.end_to_end.waiting import wait_until


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:p%40ss@db.test:5433/clean?sslmode=require",
        "postgresql://me:p%40ss@db.test:5433/clean?sslmode=require",
        "postgresql+psycopg2://me:p%40ss@db.test:5433/clean?sslmode=require",
        " postgresql+psycopg://me:p%40ss@db.test:5433/clean?sslmode=require\n",
    ],
)
def test_every_spelling_of_the_scheme_is_understood(url: str) -> None:
    assert resolve_database_url(load_settings(database_url=url)) == (
        "postgresql://me:p%40ss@db.test:5433/clean?sslmode=require"
    )


@pytest.mark.parametrize("url", ["mysql://me:secret@db.test/clean", "db.test", "postgresql://me:secret%@db.test/y"])
def test_no_postgres_url_is_a_settings_error_without_the_password(url: str) -> None:
    with pytest.raises(SettingsError, match="CT_DATABASE_URL") as caught:
        plain_url(url)
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_answer_is_named_without_the_password() -> None:
    with pytest.raises(LedgerUnavailableError, match=r"127\.0\.0\.1:1/clean") as caught:
        connect("postgresql://me:secret@127.0.0.1:1/clean")
    assert "secret" not in str(caught.value)


def test_a_described_url_keeps_host_port_and_name_only() -> None:
    assert describe_url("postgresql://me:secret@db.test:5433/clean") == "db.test:5433/clean"


def test_dagster_keeps_options_that_the_user_gave() -> None:
    url = dagster_database_url("postgres://me:p%40ss@db.test/clean?sslmode=require&options=-cstatement_timeout%3D9000")
    assert url == (
        "postgresql+psycopg2://me:p%40ss@db.test/clean?sslmode=require"
        "&options=-cstatement_timeout%3D9000%20-csearch_path%3Ddagster"
    )


def test_dagster_works_in_its_own_schema(ledger_url: str) -> None:
    engine = sqlalchemy.create_engine(dagster_database_url(ledger_url))
    with engine.connect() as connection:
        assert isinstance(connection.connection.dbapi_connection, psycopg2.extensions.connection)
        assert connection.execute(sqlalchemy.text("select current_schema()")).scalar_one() == "dagster"
    engine.dispose()


@pytest.mark.parametrize(
    ("setting", "nonsense", "open_one"),
    [
        ("ct_pipeline.storage.database.SESSION_SETUP", "set time zone 'nowhere'", connect),
        ("ct_pipeline.storage.probes.LOCK_TIMEOUT", "soon", ObservationWriter),
    ],
    ids=["any", "the writer's"],
)
def test_a_connection_whose_first_statement_fails_is_closed(
    setting: str,
    nonsense: str,
    open_one: Callable[[str], object],
    ledger_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connect(ledger_url) as onlooker:
        monkeypatch.setattr(setting, nonsense)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            open_one(ledger_url)
        others = "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        wait_until(lambda: not onlooker.execute(others).fetchall())


def test_a_connection_speaks_utc(ledger_url: str) -> None:
    with connect(ledger_url) as conn:
        assert conn.execute("show time zone").fetchone() == ("UTC",)
