"""The database that a command works with: up to date, and stopped by the last command that uses it."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from typing import TextIO

from ct_pipeline.settings import Settings

USERS_LOCK = "database_users.lock"
STARTED_MARK = "started by a command, which stops it again"


@contextlib.contextmanager
def running_database(
    settings: Settings, say: Callable[[str], None] = lambda _text: None, *, migrate: bool = True
) -> Iterator[None]:
    """Start the embedded server unless it runs or ``CT_DATABASE_URL`` names another; bring the schema up to date.

    A server that a command has started is stopped when the last command that uses it ends; one that was started by
    `ct-pipeline db start` goes on.

    Raises:
        StateFolderError: the state folder cannot hold the embedded server.
        LedgerUnavailableError: the database of ``CT_DATABASE_URL`` does not answer.
    """
    # Imported here so that `--help` answers at once.
    from ct_pipeline.storage.database import resolve_database_url
    from ct_pipeline.storage.migrations import upgrade

    with _embedded_server(settings, say) if settings.database_url is None else contextlib.nullcontext():
        if migrate:
            upgrade(resolve_database_url(settings))
        yield


@contextlib.contextmanager
def _embedded_server(settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    from ct_pipeline.storage.embedded_postgres import (
        check_state_folder,
        embedded_is_running,
        start_embedded,
        stop_embedded,
    )

    check_state_folder(settings)
    # Every command that uses the server holds the lock, shared; whoever gets it alone is the last. The lock goes with
    # its process, however that ends; the mark in the file stays.
    with (settings.state_dir / USERS_LOCK).open("a+") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            if not embedded_is_running(settings):
                say("Starting the database …")
                _mark(users, STARTED_MARK)
                start_embedded(settings)
            yield
        finally:
            users.seek(0)
            if users.read() == STARTED_MARK and _is_last(users):
                stop_embedded(settings)
                _mark(users, "")


def keep_running(settings: Settings) -> None:
    """The running embedded server goes on after the commands that use it: the user has asked for it."""
    with (settings.state_dir / USERS_LOCK).open("a+") as users:
        _mark(users, "")


def _mark(users: TextIO, text: str) -> None:
    users.seek(0)
    users.truncate()
    users.write(text)
    users.flush()


def _is_last(users: TextIO) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
