"""Undoing what was pushed to the simulated account: everything as it was, and nobody against their word."""

from collections.abc import Iterator

import pytest

from ct_pipeline.errors import ExportError, PushHeldError
from ct_pipeline.settings import Settings
from ct_pipeline.stages import push_run
from ct_pipeline.stages.push import push
from ct_pipeline.stages.undo import UndoSummary, undo_batch
from ct_pipeline.storage.changes import intend, open_changes, take_batch
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.push_lock import push_lock
from ct_pipeline.to_clevertap.undo import (
    CHANGED_SINCE,
    NOT_TAKEN,
    OPTED_IN,
    OPTED_OUT,
    UNDONE,
    UNKNOWN,
    UNREAD,
)
from ct_pipeline.vocabulary import ChangeKind, Subscription, SubscriptionSource
from ct_pipeline_tests.stages.small_account import UNKNOWN as NOTHING_KNOWN
from ct_pipeline_tests.stages.small_account import SmallAccount, crowd, small_account
from ct_pipeline_tests.storage.records import NOON

PEOPLE = {"ann": "Ann@x.test", "bob": "bob@x.test", "bob-too": "Bob@x.test", "cid": "cid@x.test"}
EMAILS = ["Ann@x.test", "bob@x.test", "cid@x.test"]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_run, "REFUSED_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(push_run, "TRIES", push_run.Backoff(0.01, 0.05, 7))


@pytest.fixture
def account(settings_for_tests: Settings) -> Iterator[SmallAccount]:
    with small_account(settings_for_tests, PEOPLE) as account:
        yield account


def pushed(account: SmallAccount, batch_id: int) -> int:
    assert push(account.settings).stopped_because == ""
    account.later()
    return batch_id


def why(summary: UndoSummary) -> dict[str, int]:
    assert summary.stopped_because == ""
    return dict(summary.left_alone)


def test_everything_is_as_it_was(account: SmallAccount) -> None:
    before = account.properties()
    batch_id = account.plan_unsubscribes(EMAILS)
    columns = account.plan_properties({name: {"EV Status": "invalid"} for name in PEOPLE})
    pushed(account, batch_id)
    assert account.opted_out() == set(EMAILS)
    summary = undo_batch(account.settings, batch_id, by="ann")
    assert (summary.restored_count, why(summary), summary.doubts) == (3, {}, [])
    assert account.opted_out() == set()
    assert undo_batch(account.settings, columns).restored_count == 4
    assert account.properties() == before == account.believed()
    row = account.conn.execute(
        "select undoes_batch_id, state, approved_by, approved_because from ledger.batches where batch_id = %s",
        (summary.undo_batch_ids[0],),
    ).fetchone()
    assert row == (batch_id, "done", "ann", f"undo of batch {batch_id}")


def test_nothing_is_undone_twice(account: SmallAccount) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    columns = pushed(account, account.plan_properties({"ann": {"EV Status": "invalid"}}))
    for one in (batch_id, columns):
        undo_batch(account.settings, one)
    writes = account.writes()
    assert why(undo_batch(account.settings, batch_id)) == {UNDONE: 3}
    assert why(undo_batch(account.settings, columns)) == {UNDONE: 1}
    assert account.writes() == writes


def test_a_preview_of_an_undo_writes_nothing(account: SmallAccount) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    account.clevertap.opt_out(identity="cid")
    summary = undo_batch(account.settings, batch_id, apply=False)
    assert (summary.preview, summary.restorable_count, summary.restored_count) == (True, 2, 0)
    assert why(summary) == {OPTED_OUT: 1}
    assert account.opted_out() == set(EMAILS)


@pytest.mark.parametrize("when", ["before us", "after us", "before and after us"])
@pytest.mark.parametrize("level", ["account", "profile"])
@pytest.mark.parametrize("include_unknown", [False, True])
def test_who_opted_out_by_himself_is_never_resubscribed(
    account: SmallAccount, when: str, level: str, include_unknown: bool
) -> None:
    batch_id = account.plan_unsubscribes(EMAILS)  # nobody has told us yet
    if when != "after us":
        account.clevertap.opt_out(identity="cid", level=level)  # pyright: ignore[reportArgumentType]
        account.later()
    pushed(account, batch_id)
    if when != "before us":
        account.clevertap.opt_out(identity="cid", level=level)  # pyright: ignore[reportArgumentType]
    summary = undo_batch(account.settings, batch_id, include_unknown=include_unknown)
    assert why(summary) == {OPTED_OUT: 1}
    assert account.opted_out() == {"cid@x.test"}


@pytest.mark.parametrize("level", ["account", "profile"])
def test_one_of_two_who_share_the_address_is_enough(account: SmallAccount, level: str) -> None:
    """bob-too spells it Bob@x.test: another address to CleverTap, the same mailbox to mail hosts."""
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    account.clevertap.opt_out(identity="bob-too", level=level)  # pyright: ignore[reportArgumentType]
    assert why(undo_batch(account.settings, batch_id)) == {OPTED_OUT: 1}
    assert "bob@x.test" in account.opted_out()


def test_who_opted_in_again_by_himself_is_left_alone(account: SmallAccount) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    account.clevertap.opt_in(email="cid@x.test")
    assert why(undo_batch(account.settings, batch_id)) == {OPTED_IN: 1}
    assert account.opted_out() == set()


def test_the_unknown_needs_a_word_and_what_was_not_read_gets_none(account: SmallAccount) -> None:
    known = account.plan_unsubscribes(["Ann@x.test"])
    unknown = account.plan_unsubscribes(["bob@x.test"], NOTHING_KNOWN)
    unread = account.plan_unsubscribes(["cid@x.test"], (Subscription.UNKNOWN, SubscriptionSource.PROFILE_SUMMARY))
    pushed(account, known)
    assert why(undo_batch(account.settings, unknown)) == {UNKNOWN: 1}
    assert why(undo_batch(account.settings, unread, include_unknown=True)) == {UNREAD: 1}
    assert account.opted_out() == set(EMAILS)
    assert undo_batch(account.settings, unknown, include_unknown=True).restored_count == 1
    assert account.opted_out() == {"Ann@x.test", "cid@x.test"}


def test_only_what_clevertap_took_is_undone(account: SmallAccount) -> None:
    batch_id = account.plan_unsubscribes(EMAILS)
    account.conn.execute("update ledger.verdicts set status = 'valid' where address_id = 1")
    pushed(account, batch_id)
    assert account.outcomes(batch_id) == ["withdrawn", "processed", "processed"]
    summary = undo_batch(account.settings, batch_id)
    assert (summary.restored_count, why(summary)) == (2, {NOT_TAKEN: 1})


def test_a_half_sent_batch_is_finished_where_it_was_begun_and_the_rest_is_withdrawn(account: SmallAccount) -> None:
    batch_id = account.plan_unsubscribes(EMAILS)
    take_batch(account.conn, batch_id, NOON)
    first, second, _ = open_changes(account.conn, batch_id)
    intend(account.conn, batch_id, [first.change_id, second.change_id], NOON)  # and the pusher died
    summary = undo_batch(account.settings, batch_id)
    assert account.outcomes(batch_id) == ["processed", "processed", "withdrawn"]
    assert (summary.withdrawn_count, summary.restored_count, why(summary)) == (1, 2, {NOT_TAKEN: 1})
    assert account.opted_out() == set()
    assert push(account.settings).sent_count == 0


def test_what_cannot_be_undone_is_refused_with_why(account: SmallAccount) -> None:
    planned = account.plan_unsubscribes(EMAILS)
    with pytest.raises(ExportError, match="nothing of it has been sent"):
        undo_batch(account.settings, planned)
    pushed(account, planned)
    (undo_id,) = undo_batch(account.settings, planned).undo_batch_ids
    with pytest.raises(ExportError, match=f"undoes batch {planned}"):
        undo_batch(account.settings, undo_id)
    with pytest.raises(ExportError, match="no batch 99"):
        undo_batch(account.settings, 99)


def test_an_undo_waits_for_a_push_that_runs(account: SmallAccount) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    assert account.settings.database_url is not None
    with connect(account.settings.database_url.get_secret_value()) as other, push_lock(other, account.project):
        with pytest.raises(PushHeldError):
            undo_batch(account.settings, batch_id)
        assert undo_batch(account.settings, batch_id, apply=False).restorable_count == 3
    assert account.opted_out() == set(EMAILS)


def test_what_a_later_batch_unsubscribed_again_stays_so(account: SmallAccount) -> None:
    first = pushed(account, account.plan_unsubscribes(EMAILS))
    undo_batch(account.settings, first)
    account.later()
    second = pushed(account, account.plan_unsubscribes(["cid@x.test"]))
    assert why(undo_batch(account.settings, first)) == {UNDONE: 3}
    assert account.opted_out() == {"cid@x.test"}
    account.later()
    assert undo_batch(account.settings, second).restored_count == 1
    assert account.opted_out() == set()


def test_an_interrupted_undo_goes_on(account: SmallAccount) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    reads = 2  # of the opt-outs: a cursor and a page
    account.clevertap.set_faults(passcode_expires_after=len(account.clevertap.requests) + reads)
    summary = undo_batch(account.settings, batch_id)
    assert "credentials" in summary.stopped_because
    assert (summary.restorable_count, summary.restored_count) == (3, 0)
    account.clevertap.set_faults(passcode_expires_after=None)
    account.later()
    account.clevertap.opt_out(identity="cid")
    again = undo_batch(account.settings, batch_id)
    assert again.undo_batch_ids == summary.undo_batch_ids
    assert again.restored_count == 2
    assert again.left_alone == {UNDONE: 3, OPTED_OUT: 1}
    assert account.opted_out() == {"cid@x.test"}


def test_properties_that_somebody_wrote_since_are_left_alone(settings_for_tests: Settings) -> None:
    before = {name: {"EV Status": "unknown", "Plan": "Gold"} for name in PEOPLE}
    with small_account(settings_for_tests, PEOPLE, properties=before) as account:
        new = {"EV Status": "invalid", "EV Reason": "mailbox_not_found"}
        first = pushed(account, account.plan_properties(dict.fromkeys(("ann", "bob", "cid"), new)))
        pushed(account, account.plan_properties({"ann": {"EV Status": "valid"}}))
        pushed(account, account.plan_properties({"bob": {"EV Status": "valid", "EV Reason": {"$delete": True}}}))
        summary = undo_batch(account.settings, first)
        assert (summary.restored_count, why(summary)) == (2, {CHANGED_SINCE: 1})
        assert account.properties() == {
            "ann": {"EV Status": "valid", "Plan": "Gold"},
            "bob": {"EV Status": "valid", "Plan": "Gold"},
            "bob-too": before["bob-too"],
            "cid": before["cid"],
        }
        assert account.believed() == account.properties()


@pytest.mark.parametrize("fate", ["ignored", "stored"])
def test_if_properties_cannot_be_deleted_only_one_profile_learns_it(settings_for_tests: Settings, fate: str) -> None:
    people = crowd(10)
    with small_account(settings_for_tests, people) as account:
        batch_id = pushed(account, account.plan_properties({name: {"EV Status": "invalid"} for name in people}))
        account.clevertap.set_faults(delete_operator=fate)
        summary = undo_batch(account.settings, batch_id)
        assert "EV Status (1 of 1 profiles)" in summary.stopped_because
        assert summary.restored_count == 1
        untouched = [p for p in account.properties().values() if p == {"EV Status": "invalid"}]
        assert len(untouched) >= 9


def test_a_year_of_opt_outs_that_comes_back_empty_is_not_believed(account: SmallAccount) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    undo_batch(account.settings, batch_id, apply=False)  # now the ledger knows our events
    account.clevertap.opt_out(identity="cid")
    account.clevertap.set_faults(empty_exports=1)
    assert undo_batch(account.settings, batch_id, apply=False).restorable_count == 2
    account.clevertap.set_faults(empty_exports=9)
    summary = undo_batch(account.settings, batch_id)
    assert "nobody is resubscribed" in summary.stopped_because
    assert account.opted_out() == set(EMAILS)


def test_events_that_lag_behind_are_told(account: SmallAccount) -> None:
    account.clevertap.set_faults(event_delay_seconds=3600)
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    summary = undo_batch(account.settings, batch_id, apply=False)
    assert "Undo later" in summary.doubts[0]


def test_while_events_lag_behind_nobody_is_resubscribed(account: SmallAccount) -> None:
    """Cid's own opt-out is as new as ours, and cannot be seen either."""
    account.clevertap.set_faults(event_delay_seconds=3600)
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    account.clevertap.opt_out(identity="cid")
    summary = undo_batch(account.settings, batch_id)
    assert "no event yet" in summary.stopped_because
    assert summary.restored_count == 0
    assert account.opted_out() == set(EMAILS)
    account.conn.execute("update ledger.batches set done_at = done_at - interval '2 hours'")
    assert undo_batch(account.settings, batch_id).restored_count == len(EMAILS), "CleverTap raises no events, it seems"


def test_a_call_whose_answer_was_lost_can_be_undone_all_the_same(settings_for_tests: Settings) -> None:
    """It has raised an event for everybody, and so has its repetition: that many did not click at once."""
    people = crowd(50)
    with small_account(settings_for_tests, people) as account:
        batch_id = account.plan_unsubscribes(list(people.values()))
        account.clevertap.set_faults(lost_answers=1.0, answer_seconds=0.6)  # each call in a second of its own
        pushed(account, batch_id)
        account.clevertap.set_faults(lost_answers=0.0, answer_seconds=0.0)
        account.clevertap.opt_out(identity="cust-7")
        summary = undo_batch(account.settings, batch_id)
        assert (summary.restored_count, why(summary)) == (49, {OPTED_OUT: 1})
        assert account.opted_out() == {"user7@x.test"}


def test_what_resubscribes_is_never_a_plain_push_of_ours(account: SmallAccount) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    undo_batch(account.settings, batch_id)
    kinds = account.conn.execute("select kind, undoes_batch_id from ledger.batches order by batch_id").fetchall()
    assert kinds == [(ChangeKind.UNSUBSCRIBE, None), (ChangeKind.RESUBSCRIBE, batch_id)]


@pytest.mark.parametrize("empty_exports", [1, 2])
def test_the_first_opt_out_is_not_missed_by_an_export_that_comes_back_empty(
    account: SmallAccount, empty_exports: int
) -> None:
    batch_id = pushed(account, account.plan_unsubscribes(EMAILS))
    account.later()
    account.clevertap.opt_out(identity="cid")
    account.clevertap.set_faults(empty_exports=empty_exports)
    summary = undo_batch(account.settings, batch_id)
    assert why(summary) == {OPTED_OUT: 1}
    assert account.opted_out() == {"cid@x.test"}
