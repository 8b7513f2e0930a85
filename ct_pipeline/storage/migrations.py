"""The ledger's migrations: where the database stands, and how to bring it up to date.

The scripts are in ``migration_scripts/`` and run through Alembic; its version table is in the schema ``ledger``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy.pool import NullPool

from ct_pipeline.errors import SettingsError
from ct_pipeline.storage.database import connect, describe_url

SCRIPTS_DIR = Path(__file__).parent / "migration_scripts"
SCHEMAS = ("ledger", "dagster", "marts")  # ours; Dagster's own storage; dbt's
UPGRADE_LOCK = 0x6374_5F75_7067  # "ct_upg": two processes that upgrade at once take turns


def upgrade(url: str, revision: str = "head") -> None:
    """Make the three schemas and run every migration up to ``revision`` that the database lacks.

    A second call changes nothing.

    Raises:
        LedgerUnavailableError: the database does not answer.
        SettingsError: the database's user may not create schemas.
    """
    with connect(url) as lock:
        lock.execute("select pg_advisory_lock(%s)", (UPGRADE_LOCK,))
        _make_schemas(lock, url)
        with _sqlalchemy_connection(url) as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)


def current_revision(url: str) -> str | None:
    """The migration that the database stands at; None before the first."""
    with connect(url) as connection:
        return revision_of(connection)


def needs_upgrade(url: str) -> bool:
    """Whether the database lacks a migration of this version."""
    return current_revision(url) != latest_revision()


def revision_of(connection: psycopg.Connection) -> str | None:
    """As :func:`current_revision`, over an open connection."""
    table = connection.execute("select to_regclass('ledger.alembic_version')").fetchone()
    if table is None or table[0] is None:
        return None
    row = connection.execute("select version_num from ledger.alembic_version").fetchone()
    return row[0] if row else None


def latest_revision() -> str:
    """The last migration of this version."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "the package holds no migration"
    return head


def _make_schemas(connection: psycopg.Connection, url: str) -> None:
    # "create schema if not exists" wants the right to create even where the schema exists: look first.
    rows = connection.execute("select nspname from pg_namespace where nspname = any(%s)", (list(SCHEMAS),)).fetchall()
    existing = {name for (name,) in rows}
    for schema in SCHEMAS:
        if schema in existing:
            continue
        try:
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
        except psycopg.errors.InsufficientPrivilege:
            raise SettingsError(
                f"CT_DATABASE_URL: its user may not create the schema {schema} in {describe_url(url)}. Let the "
                f"database's owner run: grant create on database NAME to USER; or: create schema {schema} "
                "authorization USER;"
            ) from None


@contextmanager
def _sqlalchemy_connection(url: str) -> Iterator[sqlalchemy.Connection]:
    def make_connection() -> psycopg.Connection:
        connection = connect(url)
        connection.autocommit = False
        return connection

    # psycopg reads the URL itself: SQLAlchemy's reading of it differs in details (sockets, options).
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=make_connection, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS_DIR).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
