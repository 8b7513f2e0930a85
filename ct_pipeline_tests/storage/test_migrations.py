"""Migrations: from nothing, a second time, into a user's own database, and for whoever may not."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from ct_pipeline.errors import LedgerUnavailableError, SettingsError
from ct_pipeline.settings import load_settings
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.migrations import current_revision, latest_revision, needs_upgrade, upgrade


def test_an_empty_database_gets_three_schemas_and_the_ledger(empty_database_url: str) -> None:
    assert current_revision(empty_database_url) is None
    assert needs_upgrade(empty_database_url)
    upgrade(empty_database_url)
    assert current_revision(empty_database_url) == latest_revision()
    assert not needs_upgrade(empty_database_url)
    with connect(empty_database_url) as conn:
        schemas = {name for (name,) in conn.execute("select nspname from pg_namespace")}
        assert {"ledger", "dagster", "marts"} <= schemas
        # the tenants stay apart: nothing of ours in public, and no version table where Dagster keeps its own
        places = conn.execute(
            "select schemaname, tablename from pg_tables where tablename = 'alembic_version'"
        ).fetchall()
        assert places == [("ledger", "alembic_version")]
        assert conn.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)


def test_a_second_upgrade_keeps_what_is_there(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with connect(empty_database_url) as conn:
        conn.execute("insert into ledger.audiences (name, created_at) values ('newsletter', now())")
    upgrade(empty_database_url)
    with connect(empty_database_url) as conn:
        assert conn.execute("select name from ledger.audiences").fetchall() == [("newsletter",)]


def test_a_ledger_from_before_egresses_keeps_its_sessions(empty_database_url: str) -> None:
    upgrade(empty_database_url, "0002")
    assert needs_upgrade(empty_database_url)
    with connect(empty_database_url) as conn:
        conn.execute(
            "insert into ledger.sessions values (1, 'small-01', 'x.test', 'mx.x.test', '192.0.2.1', 'probe.test', '', "
            "now(), now(), 5, 2, false, 'done')"
        )
        conn.execute("insert into ledger.domains (domain, site, lane) values ('x.test', 'x.test', 'small-01')")
    upgrade(empty_database_url)
    with connect(empty_database_url) as conn:
        rows = conn.execute("select site, egress, session_count, breaker_state from ledger.site_costs").fetchall()
        assert rows == [("x.test", "default", 1, "closed")]
        assert conn.execute("select dns_query_count, mx_query_count from ledger.domains").fetchall() == [(0, 0)]


def test_a_memory_of_broken_pipelining_gets_its_time(empty_database_url: str) -> None:
    upgrade(empty_database_url, "0004")
    with connect(empty_database_url) as conn:
        conn.execute(
            "insert into ledger.site_memories (egress, site, lane, share, is_pipelining_broken, prefers_other_sender, "
            "is_cautious, updated_at) select 'default', site, 'small-01', 1, site = 'x.test', false, false, now() "
            "from unnest(array['x.test', 'y.test']) as site"
        )
    upgrade(empty_database_url)
    with connect(empty_database_url) as conn:
        rows = conn.execute("select site, pipelining_broken_at = updated_at from ledger.site_memories order by site")
        assert rows.fetchall() == [("x.test", True), ("y.test", None)]


def test_a_user_without_rights_is_told_what_to_grant(empty_database_url: str, own_user: str) -> None:
    url = empty_database_url.replace("postgres@", f"{own_user}@", 1)
    with pytest.raises(SettingsError, match="grant create on database"):
        upgrade(url)


def test_a_user_who_is_no_superuser_owns_a_ledger(empty_database_url: str, own_user: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(
            sql.SQL("grant create on database {} to {}").format(sql.Identifier(name), sql.Identifier(own_user))
        )
    url = empty_database_url.replace("postgresql://postgres@", f"postgres://{own_user}@", 1)
    upgrade(url)
    with open_ledger(load_settings(database_url=url)) as conn:
        assert conn.execute("select current_user").fetchone() == (own_user,)


def test_opening_a_ledger_that_was_never_made_names_the_command(empty_database_url: str) -> None:
    settings = load_settings(database_url=empty_database_url)
    with pytest.raises(LedgerUnavailableError, match="ct-pipeline db upgrade"), open_ledger(settings):
        pass


def test_opening_a_ledger_of_another_version_names_both(ledger_url: str) -> None:
    with connect(ledger_url) as conn:
        conn.execute("update ledger.alembic_version set version_num = '9999'")
    settings = load_settings(database_url=ledger_url)
    message = f"9999; this version needs {latest_revision()}"
    with pytest.raises(LedgerUnavailableError, match=message), open_ledger(settings):
        pass


def test_a_database_that_goes_away_under_an_open_ledger_is_an_error_of_ours(ledger_url: str) -> None:
    def ask_after_the_connection_was_ended() -> None:
        with open_ledger(load_settings(database_url=ledger_url)) as conn, connect(ledger_url) as admin:
            admin.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
            conn.execute("select 1")

    with pytest.raises(LedgerUnavailableError, match="terminating connection"):
        ask_after_the_connection_was_ended()


@pytest.fixture
def own_user(postgres_url: str, empty_database_url: str) -> Iterator[str]:
    """A login that may do nothing yet."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("create role ct_user login")
    yield "ct_user"
    with psycopg.connect(empty_database_url, autocommit=True) as admin:
        admin.execute("drop owned by ct_user cascade")
        admin.execute("drop role ct_user")
