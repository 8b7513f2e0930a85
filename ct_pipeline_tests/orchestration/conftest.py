"""A deployment of the test's own: a ledger, Dagster's instance beside it, and the environment that names both."""

from collections.abc import Iterator

import dagster as dg
import pytest

from ct_pipeline.orchestration.instance import dagster_instance
from ct_pipeline.settings import Settings, load_settings

PASSCODE = "unsaid-passcode-4711"


@pytest.fixture
def settings(settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that the environment names too, because that is where a step finds them."""
    assert settings_for_tests.database_url is not None
    monkeypatch.setenv("CT_STATE_DIR", str(settings_for_tests.state_dir))
    monkeypatch.setenv("CT_DATABASE_URL", settings_for_tests.database_url.get_secret_value())
    settings_for_tests.inbox_dir.mkdir()
    return settings_for_tests


@pytest.fixture
def connected(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """``settings`` with a CleverTap project, of which nobody answers."""
    monkeypatch.setenv("CT_PROJECT_ID", "TEST-PRO-JECT")
    monkeypatch.setenv("CT_PASSCODE", PASSCODE)
    monkeypatch.setenv("CT_BASE_URL", "http://127.0.0.1:1")
    return load_settings()


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(settings) as instance:
        yield instance
