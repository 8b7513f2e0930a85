"""`push`, `undo` and `status` as a user calls them, against the simulated account."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from ct_pipeline.cli import app
from ct_pipeline.settings import Settings
from ct_pipeline.vocabulary import Subscription, SubscriptionSource
from ct_pipeline_tests.stages.small_account import SmallAccount, small_account

PEOPLE = {"ann": "ann@x.test", "bob": "bob@x.test"}


@pytest.fixture
def account(settings_for_tests: Settings) -> Iterator[SmallAccount]:
    with small_account(settings_for_tests, PEOPLE) as account:
        yield account


def run(account: SmallAccount, *words: object, **settings: str) -> Result:
    url = account.settings.database_url
    assert url is not None
    own = {"CT_DATABASE_URL": url.get_secret_value(), "CT_STATE_DIR": str(account.settings.state_dir)}
    environment = {**account.clevertap.environment, **own, "CT_READ_BACK_SECONDS": "0", "COLUMNS": "200", **settings}
    return CliRunner().invoke(app, [str(word) for word in words], env=environment)


def test_preview_apply_status_undo(account: SmallAccount) -> None:
    batch_id = account.plan_unsubscribes(list(PEOPLE.values()))
    columns = account.plan_properties({name: {"EV Status": "invalid"} for name in PEOPLE})

    shown = run(account, "push")
    assert shown.exit_code == 0, shown.output
    assert "Preview: nothing was sent" in shown.output
    assert "4 changes are ready" in shown.output
    assert account.writes() == []

    sent = run(account, "push", "--apply")
    assert sent.exit_code == 0, sent.output
    assert "4 changes taken by CleverTap" in sent.output
    assert "hold what was written" in sent.output

    told = run(account, "status")
    assert told.exit_code == 0, told.output
    assert "unsubscribe: 2 processed" in told.output
    assert "What to do next" in told.output

    asked = run(account, "undo", batch_id)
    assert "2 addresses would be resubscribed" in asked.output
    assert account.opted_out() == set(PEOPLE.values())
    undone = run(account, "undo", batch_id, "--apply", "--by", "Ann Lee")
    assert undone.exit_code == 0, undone.output
    assert "2 addresses resubscribed" in undone.output
    assert "2 profiles given their former properties back" in run(account, "undo", columns, "--apply").output
    assert account.opted_out() == set()
    assert account.properties() == {"ann": {}, "bob": {}}
    assert "approved by Ann Lee" in run(account, "status").output
    for result in (shown, sent, told, asked, undone):
        assert "x.test" not in result.output, "an address"
        assert account.clevertap.environment["CT_PASSCODE"] not in result.output


def test_what_is_left_alone_is_told_with_why(account: SmallAccount) -> None:
    batch_id = account.plan_unsubscribes(list(PEOPLE.values()), (Subscription.UNKNOWN, SubscriptionSource.NONE))
    run(account, "push", "--apply")
    account.later()
    account.clevertap.opt_out(identity="bob")
    shown = run(account, "undo", batch_id)
    assert "1 · somebody with this address has opted out by themselves" in shown.output
    assert "1 · nothing is known of the subscription before" in shown.output
    assert "restored with --include-unknown" in shown.output
    with_unknown = run(account, "undo", batch_id, "--include-unknown")
    assert "1 address would be resubscribed" in with_unknown.output
    assert f"`ct-pipeline undo {batch_id} --apply --include-unknown`" in with_unknown.output


def test_what_ends_a_push_early_is_told_and_the_exit_status_says_so(account: SmallAccount) -> None:
    account.plan_unsubscribes(list(PEOPLE.values()))
    account.clevertap.set_faults(is_passcode_expired=True)
    sent = run(account, "push", "--apply")
    assert sent.exit_code == 1
    assert "Stopped early: CleverTap refuses the credentials" in sent.output
    assert "begun and interrupted" in run(account, "status").output


def test_a_held_batch_is_told_with_its_brake(account: SmallAccount) -> None:
    batch_id = account.plan_unsubscribes(list(PEOPLE.values()))
    account.conn.execute("update ledger.batches set state = 'held', held_because = 'a jump at x'")
    for words in (["push"], ["push", "--apply"], ["push", "--apply", "--batch", str(batch_id)]):
        result = run(account, *words)
        assert result.exit_code == 0, result.output
        assert "is held: a jump at x" in result.output
    assert account.writes() == []


def test_a_project_that_is_not_reached_is_told(account: SmallAccount) -> None:
    account.plan_unsubscribes(list(PEOPLE.values()))
    sent = run(account, "push", "--apply", CT_BASE_URL="http://127.0.0.1:1")
    assert sent.exit_code == 1
    assert "asked once: cannot connect" in sent.output


def test_held_neighbours_are_told_together(account: SmallAccount) -> None:
    first, *_, last = [account.plan_unsubscribes([email]) for email in PEOPLE.values()]
    account.conn.execute("update ledger.batches set state = 'held', held_because = 'a jump at x'")
    assert f"Batches {first}-{last} (2 changes) are held: a jump at x" in run(account, "push").output


def test_the_totals_of_many_batches_are_shown(account: SmallAccount) -> None:
    for _ in range(12):
        for email in PEOPLE.values():
            account.plan_unsubscribes([email])
    rows = [line.split() for line in run(account, "push").output.splitlines()]
    assert ["…", "4", "more", "4", "0"] in rows


def test_status_lists_what_an_undo_may_name(account: SmallAccount) -> None:
    batch_id = account.plan_unsubscribes(list(PEOPLE.values()))
    for number in range(60):
        account.plan_properties({"ann": {"EV Status": str(number)}})
    account.conn.execute("update ledger.batches set state = 'done'")
    rows = [line.split() for line in run(account, "status").output.splitlines()]
    assert [str(batch_id), "unsubscribe", "2", "done"] in rows
    assert [f"{batch_id + 11}-{batch_id + 60}", "append", "columns", "50", "done"] in rows


def test_an_undo_of_an_undo_names_the_way(account: SmallAccount) -> None:
    batch_id = account.plan_unsubscribes(list(PEOPLE.values()))
    run(account, "push", "--apply")
    run(account, "undo", batch_id, "--apply")
    refused = run(account, "undo", batch_id + 1)
    assert refused.exit_code == 1
    assert "`ct-pipeline plan --include-undone`" in refused.output


def test_several_batches_are_undone_newest_first(account: SmallAccount) -> None:
    first = account.plan_properties({name: {"EV Status": "unknown"} for name in PEOPLE})
    account.plan_unsubscribes(list(PEOPLE.values()))
    run(account, "push", "--apply")  # later, else one would withdraw what the other writes again
    last = account.plan_properties({"ann": {"EV Status": "invalid"}})
    run(account, "push", "--apply")

    asked = run(account, "undo", f"{first}-{last}")
    assert asked.exit_code == 0, asked.output
    assert "In all, 3 batches: 2 addresses would be resubscribed, 2 profiles would be given" in asked.output
    assert asked.output.count("Preview: nothing is written.") == 1
    assert "an older one may restore more" in asked.output
    assert f"`ct-pipeline undo {first}-{last} --apply`" in asked.output
    assert account.opted_out() == set(PEOPLE.values())

    undone = run(account, "undo", f"{first}-{last}", "--apply")
    assert undone.exit_code == 0, undone.output
    assert _headings(undone) == [f"Batch {number}" for number in range(last, first - 1, -1)]
    assert undone.output.endswith(
        "In all, 3 batches: 2 addresses resubscribed, 3 profiles given their former properties back.\n"
    )
    assert account.opted_out() == set()
    assert account.properties() == {"ann": {}, "bob": {}}


def test_one_batch_that_cannot_be_undone_stops_all_before_anything_is_written(account: SmallAccount) -> None:
    sent = account.plan_unsubscribes(list(PEOPLE.values()))
    run(account, "push", "--apply")
    run(account, "undo", sent, "--apply")
    held = account.plan_properties({"ann": {"EV Status": "invalid"}})
    account.conn.execute("update ledger.batches set state = 'held' where batch_id = %s", (held,))
    written = account.writes()
    refused = run(account, "undo", f"{sent}-{held}", held + 1, "--apply")
    assert refused.exit_code == 1
    assert f"Batch {sent + 1} undoes batch {sent}" in refused.output
    assert f"Batch {held} is held: nothing of it has been sent" in refused.output
    assert f"There is no batch {held + 1}" in refused.output
    assert "Nothing was undone." in refused.output
    assert account.writes() == written


def test_a_batch_whose_undo_stops_early_stops_the_others(account: SmallAccount) -> None:
    first, *_, last = [account.plan_unsubscribes([email]) for email in PEOPLE.values()]
    run(account, "push", "--apply")
    account.clevertap.set_faults(is_passcode_expired=True)
    stopped = run(account, "undo", first, last, "--apply")
    assert stopped.exit_code == 1
    assert _headings(stopped) == [f"Batch {last}"]
    assert f"Not done: {first}-{last}." in stopped.output
    assert "In all, 0 of 2 batches" in stopped.output
    account.clevertap.set_faults(is_passcode_expired=False)
    assert run(account, "undo", first, last, "--apply").exit_code == 0
    assert account.opted_out() == set()


def test_an_unknown_batch_is_refused(account: SmallAccount) -> None:
    for words in (["push", "--batch", "99"], ["undo", "99"]):
        result = run(account, *words)
        assert result.exit_code == 1
        assert "There is no batch 99" in result.output


def test_without_a_project_status_says_how_to_connect(account: SmallAccount) -> None:
    assert "No CleverTap project is connected" in run(account, "status", CT_PROJECT_ID="").output


def _headings(result: Result) -> list[str]:
    return [line for line in result.output.splitlines() if line.startswith("Batch ") and ":" not in line]
