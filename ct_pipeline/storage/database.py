"""Where the database is, and how to connect to it."""

from collections.abc import Sequence
from typing import Any, LiteralString
from urllib.parse import quote, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ct_pipeline.errors import LedgerUnavailableError, SettingsError
from ct_pipeline.settings import Settings
from ct_pipeline.storage.embedded_postgres import embedded_url

CONNECT_TIMEOUT_SECONDS = 10

# A peer that vanished is noticed after 10 + 2 * 5 seconds, on both sides: a lane's lock must not outlive its worker
# by more than half a minute.
CLIENT_KEEPALIVE: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,  # milliseconds
}

SESSION_SETUP = """
set time zone 'UTC';
set client_min_messages = warning;
set tcp_keepalives_idle = 10;
set tcp_keepalives_interval = 5;
set tcp_keepalives_count = 2
"""


def resolve_database_url(settings: Settings) -> str:
    """URL of the database to use: ``CT_DATABASE_URL``, else that of the running embedded server.

    Raises:
        LedgerUnavailableError: no URL is set and no embedded server runs.
        SettingsError: ``CT_DATABASE_URL`` is no Postgres URL.
    """
    if settings.database_url is not None:
        return plain_url(settings.database_url.get_secret_value())
    url = embedded_url(settings)
    if url is None:
        raise LedgerUnavailableError(
            f"The embedded Postgres in {settings.postgres_dir} is not running. Start it with `ct-pipeline db start`, "
            "or set CT_DATABASE_URL to a Postgres of your own."
        )
    return url


def plain_url(url: str) -> str:
    """``url`` with the scheme that every client understands: ``postgresql://``.

    Raises:
        SettingsError: it is no Postgres URL. The text does not repeat it, since it may hold a password.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise SettingsError("CT_DATABASE_URL: must look like postgresql://user:password@host:port/name.")
    plain = f"postgresql://{rest}"
    try:
        conninfo_to_dict(plain)
    except psycopg.ProgrammingError:
        raise SettingsError(
            "CT_DATABASE_URL: cannot be read. Write special characters of the password as %XX, "
            "as in postgresql://user:p%40ss@host:5432/name."
        ) from None
    return plain


def dagster_database_url(url: str) -> str:
    """The same database for Dagster's storages: over psycopg2 (SQLAlchemy 2.1's default is psycopg 3), own schema."""
    base, _, query = plain_url(url).partition("?")
    parameters = [part for part in query.split("&") if part]
    options = [unquote(part.partition("=")[2]) for part in parameters if part.startswith("options=")]
    options.append("-csearch_path=dagster")
    parameters = [part for part in parameters if not part.startswith("options=")]
    parameters.append(f"options={quote(' '.join(options), safe='-_')}")
    return f"{base.replace('postgresql://', 'postgresql+psycopg2://', 1)}?{'&'.join(parameters)}"


def connect(url: str) -> psycopg.Connection:
    """An autocommitting connection in UTC; several statements belong together inside ``connection.transaction()``.

    Raises:
        LedgerUnavailableError: the database does not answer, or refuses us.
    """
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="ct_pipeline",
            **CLIENT_KEEPALIVE,
        )
        set_up(connection, SESSION_SETUP)
    except psycopg.OperationalError as error:
        said = str(error).partition("\n")[0].rstrip(".")  # the lines after it are libpq's own advice
        raise LedgerUnavailableError(
            f"The database at {describe_url(url)} does not answer: {said}. "
            "See that it runs, and that CT_DATABASE_URL is right if you have set it."
        ) from error
    return connection


def set_up(connection: psycopg.Connection, statement: LiteralString, parameters: Sequence[str] = ()) -> None:
    """Say the first statement over a new connection, and close it when that fails: nobody else could."""
    try:
        connection.execute(statement, parameters or None)
    except BaseException:
        connection.close()
        raise


def describe_url(url: str) -> str:
    """Host, port and name of the database, without user and password."""
    parts = conninfo_to_dict(url)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"
