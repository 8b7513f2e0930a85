"""`plan` and `approve` as a user calls them."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from ct_pipeline.cli import app
from ct_pipeline.cli.batch_numbers import named, numbers
from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.vocabulary import BatchState
from ct_pipeline_tests.stages.planning import PROJECT, World


@pytest.fixture
def world(settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    url = settings_for_tests.database_url
    assert url is not None
    monkeypatch.setenv("CT_DATABASE_URL", url.get_secret_value())
    monkeypatch.setenv("CT_STATE_DIR", str(settings_for_tests.state_dir))
    monkeypatch.setenv("CT_PROJECT_ID", PROJECT)
    monkeypatch.setenv("COLUMNS", "200")
    with open_ledger(settings_for_tests) as conn:
        yield World(conn, settings_for_tests)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_plan_is_previewed_approved_and_then_has_nothing_new(world: World) -> None:
    for number in range(20):
        world.person(f"ann.lee{number}@shop.test", "mailbox_not_found" if number < 3 else "accepted")
    shown = call("plan")
    assert shown.exit_code == 0, shown.output
    assert "3 addresses: mailbox_not_found 3" in shown.stdout
    assert "3 of the project's 20 addresses (15.0%) unsubscribed within 7 days, more than 10.0%" in shown.stdout
    assert "a•••@s•••.test" in shown.stdout
    assert "ann.lee" not in shown.stdout
    assert 'ct-pipeline approve 1 --because "what was looked at"' in shown.stdout
    assert "Nothing was sent. ct-pipeline push shows what would go" in shown.stdout
    assert call("approve", "1", "--because", " ").exit_code == 1
    approved = call("approve", "1", "--because", "looked at all three", "--by", "Ann [Lee]")
    assert approved.stdout.startswith("Approved 1 batch with 3 changes, by Ann [Lee]."), approved.output
    assert world.batches(BatchState.APPROVED) == [(1, "unsubscribe", 3)]
    again = call("approve", "1", "--because", "again")
    assert (again.exit_code, "approved already, by Ann [Lee]" in again.stderr) == (1, True)
    assert "Nothing new is owed." in call("plan").stdout


def test_a_project_without_profiles_is_to_be_pulled(world: World) -> None:
    shown = call("plan")
    assert "No profile with an email was ever pulled" in shown.stdout
    assert "Nothing new is owed" not in shown.stdout


def test_every_invalid_address_is_accounted_for(world: World) -> None:
    world.person("ann@shop.test", "mailbox_not_found")
    world.person("bob@shop.test", "mailbox_full")
    world.conn.execute(
        "update ledger.verdicts set status = 'invalid', bounce_type = 'soft' where reason = 'mailbox_full'"
    )
    shown = [line.split() for line in call("plan").stdout.splitlines()]
    assert ["invalid", "2"] in shown
    assert ["mailbox_not_found", "1"] in shown
    assert ["would", "bounce", "only", "for", "now,", "such", "as", "from", "a", "full", "mailbox", "1"] in shown


def test_an_unknown_audience_ends_with_the_mend(world: World) -> None:
    refused = call("plan", "--audience", "vip")
    assert refused.exit_code == 1
    assert "ct-pipeline pull --audience vip" in refused.stderr


def test_batches_are_named_by_numbers_and_ranges() -> None:
    assert numbers(["12-14", "20"]) == [12, 13, 14, 20]
    assert named([20, 14, 13, 12]) == "12-14 20"


@pytest.mark.parametrize("text", ["x", "12-", "-3", "14-12", "1-999999999", ""])
def test_what_names_no_batch_is_refused(text: str) -> None:
    assert call("approve", "--because", "why", "--", text).exit_code == 2
