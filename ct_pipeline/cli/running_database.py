"""The database that a command works with: up to date, and stopped again if the command started it."""

import contextlib
from collections.abc import Callable, Iterator

from ct_pipeline.settings import Settings


@contextlib.contextmanager
def running_database(settings: Settings, say: Callable[[str], None] = lambda _text: None) -> Iterator[None]:
    """Start the embedded server unless it runs or ``CT_DATABASE_URL`` names another; bring the schema up to date.

    Raises:
        StateFolderError: the state folder cannot hold the embedded server.
        LedgerUnavailableError: the database of ``CT_DATABASE_URL`` does not answer.
    """
    # Imported here so that `--help` answers at once.
    from ct_pipeline.storage.database import resolve_database_url
    from ct_pipeline.storage.embedded_postgres import embedded_is_running, start_embedded, stop_embedded
    from ct_pipeline.storage.migrations import upgrade

    is_ours = settings.database_url is None and not embedded_is_running(settings)
    try:
        if is_ours:
            say("Starting the database …")
            start_embedded(settings)
        upgrade(resolve_database_url(settings))
        yield
    finally:
        if is_ours:
            stop_embedded(settings)
