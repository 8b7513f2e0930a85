"""Verifiers to kill, and a state folder with a database of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ct_pipeline.settings import load_settings
from ct_pipeline.storage.embedded_postgres import stop_embedded
from ct_pipeline_tests.end_to_end.verifiers import Verifiers


@pytest.fixture(scope="session")
def verifiers() -> Iterator[Verifiers]:
    """The process that verifiers are forked from: one for all tests, since it takes seconds to start."""
    with Verifiers() as forking:
        yield forking


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """An empty state folder; an embedded database in it is stopped, also when a test fails."""
    # not below tmp_path: that is private, and the database, which does not run as root, could not reach it
    with tempfile.TemporaryDirectory(prefix="ct_pipeline_tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            stop_embedded(load_settings(state_dir=folder, database_url=None))
