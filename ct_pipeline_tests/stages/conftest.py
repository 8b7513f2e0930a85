"""A world to plan with."""

from collections.abc import Iterator

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline_tests.stages.planning import World


@pytest.fixture
def world(settings_for_tests: Settings) -> Iterator[World]:
    with open_ledger(settings_for_tests) as conn:
        yield World(conn, settings_for_tests)
