"""`ct-pipeline rules`: what judges today, and what the last change of rules has changed."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from ct_pipeline.cli import app
from ct_pipeline.settings import Settings
from ct_pipeline.stages.judge import judge_unjudged
from ct_pipeline.stages.rules_in_force import rules_in_force
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.verdicts import evidence_of
from ct_pipeline_tests.storage.records import answered, catch_all, look_up, probe, session, take

ADDRESSES = ["info@acme.test", "anna@acme.test"]


@pytest.fixture
def rules(settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch):
    """``rules()``: what the command prints."""
    assert settings_for_tests.database_url is not None
    monkeypatch.setenv("CT_DATABASE_URL", settings_for_tests.database_url.get_secret_value())
    monkeypatch.setenv("CT_STATE_DIR", str(settings_for_tests.state_dir))
    monkeypatch.setenv("COLUMNS", "140")

    def run() -> str:
        result = CliRunner().invoke(app, ["rules"])
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_before_any_change(settings_for_tests: Settings, rules) -> None:
    shown = rules()
    in_force = rules_in_force(settings_for_tests)
    assert f"Rules {in_force.version}" in shown
    assert all(part in shown and version in shown for part, version in in_force.parts.items())
    assert "No verdict has been judged anew by other rules yet." in shown


def test_after_a_change(settings_for_tests: Settings, rules) -> None:
    now = datetime.now(UTC)
    with open_ledger(settings_for_tests) as conn:
        take(conn, *ADDRESSES, now=now)
        look_up(conn, "acme.test", now=now)
        rows = evidence_of(conn, ADDRESSES)
        said = [probe(n, row.address_id, "acme.test") for n, row in enumerate(rows, 1)]
        turns = [answered(row.address_id, n) for n, row in enumerate(rows, 1)]
        facts = [catch_all("acme.test", is_catch_all=False, now=now)]
        merge_observations(conn, Observations([session()], said, turns, facts), now)
    judge_unjudged(settings_for_tests)
    judge_unjudged(settings_for_tests.model_copy(update={"role_is_safe": True}))
    shown = " ".join(rules().split())
    assert "CT_ROLE_IS_SAFE: false → true" in shown
    assert "2 verdicts judged anew, 1 came out differently" in shown
    assert "1 valid · accepted · risky valid · accepted · yes info@acme.test" in shown
