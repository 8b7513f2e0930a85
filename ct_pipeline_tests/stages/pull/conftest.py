"""A CleverTap account with a few people, and a pipeline that is connected with it and never waits for long."""

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from ct_pipeline.clevertap.client import client_of
from ct_pipeline.clevertap.retry import Backoff, Patience
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings
from ct_pipeline.stages import pull as pull_stage
from ct_pipeline.storage.database import connect
from ct_pipeline_tests.stages.pull.connected import COUNT, connected, people

_BRIEF = Backoff(0.01, 0.02, 50)


@pytest.fixture
def clevertap() -> Iterator[CleverTapSimulator]:
    with CleverTapSimulator(people(COUNT)).run_in_thread() as simulator:
        yield simulator


@pytest.fixture
def settings(settings_for_tests: Settings, clevertap: CleverTapSimulator) -> Settings:
    return connected(settings_for_tests, clevertap)


@pytest.fixture
def conn(settings: Settings) -> Iterator[psycopg.Connection]:
    assert settings.database_url is not None
    with connect(settings.database_url.get_secret_value()) as connection:
        yield connection


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_stage, "client_of", partial(client_of, patience=Patience(_BRIEF, _BRIEF, _BRIEF, _BRIEF)))
