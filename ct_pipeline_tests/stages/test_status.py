"""What `status` tells at each point of the way, and the step it names next."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.push import push
from ct_pipeline.stages.status import Status, nothing_to_do, status
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.open_pulls import begin_pull, save_progress
from ct_pipeline.storage.push_lock import push_lock
from ct_pipeline.vocabulary import BatchState, ExportMode, Outcome
from ct_pipeline.vocabulary import Status as VerdictStatus
from ct_pipeline_tests.stages.small_account import SmallAccount, small_account
from ct_pipeline_tests.storage.records import HOUR, take

PEOPLE = {"ann": "ann@x.test", "bob": "bob@x.test", "dot": None}


def planned(account: SmallAccount) -> None:
    """A plan has just been made, after every verdict."""
    account.conn.execute(
        "insert into ledger.plans (project, planned_at, policy, summary) values (%s, %s, '{}', '{}')",
        (account.project, datetime.now(UTC) + HOUR),
    )


def steps(found: Status) -> str:
    return "\n".join(found.next_steps)


def test_without_a_project_it_says_how_to_connect_one(settings_for_tests: Settings) -> None:
    found = status(settings_for_tests)
    assert "CT_PROJECT_ID" in steps(found)
    assert "verify FILE" in steps(found)


def test_a_new_project_is_to_be_pulled(settings_for_tests: Settings) -> None:
    own = load_settings(**{**settings_for_tests.model_dump(), "project_id": "TEST-123-4XYZ"})
    assert "`ct-pipeline pull` reads everyone" in steps(status(own))


@pytest.mark.parametrize("record_count", [0, 7])
def test_an_incomplete_pull_is_told_when_there_is_something_to_go_on_from(
    settings_for_tests: Settings, record_count: int
) -> None:
    own = load_settings(**{**settings_for_tests.model_dump(), "project_id": "TEST-123-4XYZ"})
    with open_ledger(own) as conn:
        pull = begin_pull(conn, "TEST-123-4XYZ", "everyone", "everyone", "a-key", (), datetime.now(UTC))
        save_progress(conn, replace(pull, record_count=record_count), datetime.now(UTC))
    told = steps(status(own))
    assert ("The pull of everyone is not complete; it has 7 records so far." in told) is bool(record_count)
    assert ("No profile has been pulled yet" in told) is (not record_count)


def test_what_is_to_be_looked_up_and_asked_is_verified(settings_for_tests: Settings) -> None:
    assert settings_for_tests.database_url is not None
    with connect(settings_for_tests.database_url.get_secret_value()) as conn:
        take(conn, "ann@x.test", "bob@y.test")
    found = status(settings_for_tests)
    assert "2 domains to be looked up: `ct-pipeline verify`" in steps(found)
    assert found.statuses[VerdictStatus.UNKNOWN] == 2


def test_from_verdicts_to_receipts(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE, export_mode=ExportMode.PREVIEW) as account:
        found = status(account.settings)
        assert (found.profile_count, found.with_email_count, found.applies) == (3, 2, False)
        assert found.statuses[VerdictStatus.INVALID] == 2
        assert "`ct-pipeline plan`" in steps(found)

        planned(account)
        held = account.plan_unsubscribes(["ann@x.test"])
        account.plan_unsubscribes(["bob@x.test"])
        account.conn.execute(
            "update ledger.batches set state = 'held', held_because = 'x' where batch_id = %s", (held,)
        )
        found = status(account.settings)
        assert "`ct-pipeline plan`" not in steps(found)
        assert f"`ct-pipeline approve {held} --because" in steps(found)
        assert "1 change is ready" in steps(found)
        assert "`ct-pipeline push --apply` sends it" in steps(found)
        assert [batch.held_because for batch in found.batches_in(BatchState.HELD)] == ["x"]

        push(account.settings, apply=True)
        found = status(account.settings)
        assert [(r.outcome, r.receipt_count) for r in found.receipts] == [(Outcome.PROCESSED, 1)]
        assert [batch.state for batch in found.done_batches] == [BatchState.DONE]
        account.conn.execute("update ledger.batches set state = 'done'")
        assert [step for step in status(account.settings).next_steps if "pull" not in step] == []
        assert nothing_to_do(found) == "Nothing is to be done now."


def test_an_interrupted_push_is_told_from_one_that_runs(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        planned(account)
        batch_id = account.plan_unsubscribes(["ann@x.test"])
        account.conn.execute("update ledger.batches set state = 'sending' where batch_id = %s", (batch_id,))
        assert "begun and interrupted" in steps(status(account.settings))
        assert "`ct-pipeline push` sends them" in steps(status(account.settings))
        with push_lock(account.conn, account.project):
            assert "A push is under way." in steps(status(account.settings))
        assert "A push is under way." not in steps(status(account.settings))


@pytest.mark.parametrize("is_found_again", [False, True])
def test_properties_that_were_not_found_are_told(settings_for_tests: Settings, is_found_again: bool) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        account.clevertap.set_faults(ignored_properties=("EV Status",))
        account.plan_properties({"ann": {"EV Status": "invalid"}})
        push(account.settings)
        if is_found_again:
            account.conn.execute("update ledger.batches set is_stored = true")
        assert ("Error Stream" in steps(status(account.settings))) is not is_found_again
