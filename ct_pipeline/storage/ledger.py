"""Opening the ledger.

What the pipeline asks of it is in the neighbouring files, one per topic, as functions that take the connection first:
``pulls``, ``addresses``, ``domain_facts``, ``due``, ``probes``, ``verdicts``, ``lanes``. Each function is one
transaction; those that only read are one statement, so threads may share a connection for them.
"""

import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings
from ct_pipeline.storage.database import connect, describe_url, resolve_database_url
from ct_pipeline.storage.migrations import latest_revision, revision_of


def open_ledger(settings: Settings) -> psycopg.Connection:
    """A connection to the ledger; as a context manager it closes itself.

    Raises:
        LedgerUnavailableError: the database does not answer, or stands at another migration than this version.
        SettingsError: ``CT_DATABASE_URL`` is no Postgres URL.
    """
    url = resolve_database_url(settings)
    connection = connect(url)
    revision = revision_of(connection)
    if revision != latest_revision():
        connection.close()
        state = f"stands at migration {revision}" if revision else "holds no ledger yet"
        raise LedgerUnavailableError(
            f"The database at {describe_url(url)} {state}; this version needs {latest_revision()}. "
            "Run `ct-pipeline db upgrade`."
        )
    return connection
