"""Opening the ledger.

What the pipeline asks of it is in the neighbouring files, one per topic, as functions that take the connection first:
``pulls``, ``addresses``, ``domain_facts``, ``due``, ``probes``, ``verdicts``, ``lanes``. Each function is one
transaction; those that only read are one statement, so threads may share a connection for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings
from ct_pipeline.storage.database import connect, describe_url, resolve_database_url
from ct_pipeline.storage.migrations import latest_revision, revision_of


@contextmanager
def open_ledger(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection to the ledger for the length of a ``with`` block.

    Raises:
        LedgerUnavailableError: the database does not answer, stands at another migration than this version, or goes
            away within the block.
        SettingsError: ``CT_DATABASE_URL`` is no Postgres URL.
    """
    url = resolve_database_url(settings)
    try:
        with connect(url) as connection:
            _check_migration(connection, url)
            yield connection
    except psycopg.OperationalError as error:
        raise LedgerUnavailableError(f"The database at {describe_url(url)} failed: {error}") from error


def _check_migration(connection: psycopg.Connection, url: str) -> None:
    revision = revision_of(connection)
    if revision == latest_revision():
        return
    state = f"stands at migration {revision}" if revision else "holds no ledger yet"
    raise LedgerUnavailableError(
        f"The database at {describe_url(url)} {state}; this version needs {latest_revision()}. "
        "Run `ct-pipeline db upgrade`."
    )
