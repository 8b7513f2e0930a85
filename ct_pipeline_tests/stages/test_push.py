"""Pushing to the simulated account: what is sent, what is not, and what stands in the ledger afterwards."""

from collections import Counter

import pytest

from ct_pipeline.errors import ExportError, PushHeldError, SettingsError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages import push_run
from ct_pipeline.stages.push import push
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.push_lock import push_lock
from ct_pipeline.to_clevertap.push_summary import PushedBatch
from ct_pipeline.vocabulary import BatchState, ChangeKind, ExportAction, ExportMode
from ct_pipeline_tests.stages.small_account import crowd, small_account
from ct_pipeline_tests.storage.export_records import address_id_of, outcomes, set_verdict

PEOPLE = {"ann": "Ann@x.test", "bob": "bob@x.test", "bob-too": "bob@x.test", "cid": "cid@x.test", "dot": None}
STATUS = {name: {"EV Status": "invalid", "EV Safe To Send": False} for name in PEOPLE}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_run, "REFUSED_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(push_run, "TRIES", push_run.Backoff(0.01, 0.05, 7))


def test_what_is_planned_is_sent_once_and_has_receipts(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        unsubscribes = account.plan_unsubscribes(["Ann@x.test", "bob@x.test"])
        properties = account.plan_properties(STATUS)
        told: list[PushedBatch] = []
        summary = push(account.settings, on_batch=told.append)
        assert (summary.stopped_because, summary.preview) == ("", False)
        assert account.opted_out() == {"Ann@x.test", "bob@x.test"}
        assert account.properties() == STATUS == account.believed()
        assert account.outcomes(unsubscribes) == ["processed"] * 2
        assert account.outcomes(properties) == ["processed"] * 5
        assert (summary.sent_count, summary.processed_count) == (7, 7)
        assert [batch.batch_id for batch in told] == [unsubscribes, properties]
        assert [account.state_of(batch) for batch in (unsubscribes, properties)] == ["done", "done"]
        assert summary.read_back == [f"Batch {properties}: 5 of 5 profiles read back hold what was written"]
        writes = account.writes()
        assert push(account.settings).sent_count == 0
        assert account.writes() == writes


def test_a_preview_sends_nothing_and_changes_nothing(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE, export_mode=ExportMode.PREVIEW) as account:
        batch_id = account.plan_unsubscribes(["Ann@x.test", "bob@x.test"])
        set_verdict(account.conn, address_id_of(account.conn, "bob@x.test"), "valid", "accepted")
        summary = push(account.settings)
        assert (summary.preview, summary.would_send_count, summary.sent_count) == (True, 1, 0)
        assert summary.withdrawals == Counter({"the verdict is now valid (accepted)": 1})
        assert account.clevertap.requests == []
        assert (account.state_of(batch_id), account.outcomes(batch_id)) == ("planned", ["", ""])
        assert push(account.settings, apply=True).sent_count == 1, "an explicit word outranks the setting"


def test_a_held_batch_sends_nothing_however_it_is_asked_for(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        held = account.plan_unsubscribes(["Ann@x.test"])
        account.conn.execute(
            "update ledger.batches set state = 'held', held_because = 'too many' where batch_id = %s", (held,)
        )
        for batch_ids in (None, [held]):
            summary = push(account.settings, batch_ids=batch_ids, apply=True)
            assert (summary.sent_count, summary.held_batch_count) == (0, 1)
            assert summary.held[0].held_because == "too many"
        assert account.clevertap.requests == []
        account.conn.execute("update ledger.batches set state = 'approved' where batch_id = %s", (held,))
        assert push(account.settings).sent_count == 1


def test_only_the_kinds_and_batches_asked_for_are_sent(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        first, second = account.plan_unsubscribes(["Ann@x.test"]), account.plan_unsubscribes(["cid@x.test"])
        third = account.plan_properties({"ann": {"EV Status": "invalid"}})
        push(account.settings, batch_ids=[second])
        assert account.opted_out() == {"cid@x.test"}
        push(account.settings, kinds=[ChangeKind.SET_PROPERTIES])
        assert [account.state_of(batch) for batch in (first, second, third)] == ["planned", "done", "done"]
        with pytest.raises(ExportError, match="no batch 99"):
            push(account.settings, batch_ids=[99])


def test_grounds_that_are_gone_withdraw_a_change(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        batch_id = account.plan_unsubscribes(["Ann@x.test", "bob@x.test", "cid@x.test"])
        set_verdict(account.conn, address_id_of(account.conn, "bob@x.test"), "valid", "accepted")
        account.conn.execute(
            "insert into ledger.subscription_events values (%s, 'cid@x.test', now(), 'identity', 'cid', false)",
            (account.project,),
        )
        summary = push(account.settings)
        assert account.opted_out() == {"Ann@x.test"}
        assert outcomes(account.conn, batch_id) == [
            ("processed", ""),
            ("withdrawn", "the verdict is now valid (accepted)"),
            ("withdrawn", "the address is unsubscribed already, not by us"),
        ]
        assert (summary.sent_count, summary.withdrawn_count, account.state_of(batch_id)) == (1, 2, "done")


def test_a_batch_of_which_nothing_is_left_is_done_without_a_call(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        batch_id = account.plan_unsubscribes(["bob@x.test"])
        set_verdict(account.conn, address_id_of(account.conn, "bob@x.test"), "valid", "accepted")
        assert push(account.settings).withdrawn_count == 1
        assert (account.writes(), account.state_of(batch_id)) == ([], "done")


def test_a_rejected_record_in_the_middle_is_told_from_its_neighbours(settings_for_tests: Settings) -> None:
    people = {"a": "a@x.test", "b": "not an address", "c": "c@x.test"}
    with small_account(settings_for_tests, people) as account:
        batch_id = account.plan_unsubscribes(list(people.values()))
        summary = push(account.settings)
        assert account.outcomes(batch_id) == ["processed", "rejected", "processed"]
        assert account.opted_out() == {"a@x.test", "c@x.test"}
        assert summary.rejected_count == summary.rejections.total() == 1
        assert account.state_of(batch_id) == "done"


def test_clevertaps_own_errors_are_sent_again_and_in_the_end_rejected(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, crowd(40)) as account:
        account.clevertap.set_faults(record_errors=0.5, seed=3)
        batch_id = account.plan_unsubscribes(list(crowd(40).values()))
        summary = push(account.settings)
        taken = Counter(account.outcomes(batch_id))
        assert taken["processed"] + taken["rejected"] == 40
        assert len(account.opted_out()) == taken["processed"] == summary.processed_count > 20
        assert len(account.writes()) == 3
        assert account.state_of(batch_id) == "done"


def test_lost_answers_are_sent_again_and_every_sending_is_known(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, crowd(30)) as account:
        account.clevertap.set_faults(lost_answers=1.0)
        batch_id = account.plan_unsubscribes(list(crowd(30).values()))
        summary = push(account.settings)
        assert summary.stopped_because == ""
        assert account.outcomes(batch_id) == ["processed"] * 30
        calls = len(account.writes())
        row = account.conn.execute(
            "select distinct attempt_count, cardinality(earlier_intended_at) from ledger.changes"
        ).fetchall()
        assert row == [(calls, calls - 1)]
        assert calls > 1


def test_a_passcode_that_expires_ends_the_push_and_the_next_one_goes_on(settings_for_tests: Settings) -> None:
    people = crowd(60)
    with small_account(settings_for_tests, people, upload_concurrency=1) as account:
        emails = list(people.values())
        batches = [account.plan_unsubscribes(emails[start : start + 10]) for start in range(0, 60, 10)]
        account.clevertap.set_faults(passcode_expires_after=3)
        summary = push(account.settings)
        assert "credentials" in summary.stopped_because
        assert "CT_PASSCODE" in summary.stopped_because
        assert account.settings.passcode is not None
        assert account.settings.passcode.get_secret_value() not in repr(summary)
        assert [account.state_of(batch) for batch in batches] == ["done"] * 3 + ["sending"] + ["planned"] * 2
        assert len(account.opted_out()) == 30
        account.clevertap.set_faults(passcode_expires_after=None)
        assert push(account.settings).sent_count == 30
        assert account.opted_out() == set(emails)


def test_a_storm_of_429_loses_nothing(settings_for_tests: Settings) -> None:
    people = crowd(100)
    with small_account(settings_for_tests, people, upload_concurrency=15) as account:
        account.clevertap.set_faults(busy_answers=0.3, answer_seconds=0.01)
        emails = list(people.values())
        for start in range(0, 100, 5):
            account.plan_unsubscribes(emails[start : start + 5])
        summary = push(account.settings)
        assert (summary.stopped_because, summary.processed_count) == ("", 100)
        assert account.opted_out() == set(emails)
        assert any(request.status == 429 for request in account.clevertap.requests)


def test_calls_in_flight_are_as_many_as_the_setting_says(settings_for_tests: Settings) -> None:
    people = crowd(60)
    with small_account(settings_for_tests, people, upload_concurrency=4) as account:
        account.clevertap.set_faults(answer_seconds=0.3)
        emails = list(people.values())
        for start in range(0, 60, 5):
            account.plan_unsubscribes(emails[start : start + 5])
        push(account.settings)
        assert account.clevertap.log.most_in_flight["subscribe"] in (2, 3, 4)


def test_properties_that_clevertap_drops_stop_the_property_batches_only(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        account.clevertap.set_faults(ignored_properties=("EV Status",))
        first, second = (account.plan_properties({name: STATUS[name]}) for name in ("ann", "bob"))
        unsubscribes = account.plan_unsubscribes(["cid@x.test"])
        summary = push(account.settings)
        assert "EV Status (1 of 1 profiles)" in summary.stopped_because
        assert [account.state_of(batch) for batch in (first, second, unsubscribes)] == ["done", "planned", "done"]
        row = account.conn.execute("select read_back, is_stored from ledger.batches where batch_id = %s", (first,))
        assert "EV Status" in str(row.fetchone())

        again = push(account.settings)
        assert "EV Status" in again.stopped_because, "it is looked for again, before anything more is written"
        assert (again.sent_count, account.state_of(second)) == (0, "planned")

        account.clevertap.set_faults(ignored_properties=())
        profile = account.clevertap.account.by_identity("ann")
        assert profile is not None
        profile.properties["EV Status"] = "invalid"
        assert push(account.settings).stopped_because == ""
        assert account.state_of(second) == "done"


def test_properties_that_arrive_late_are_waited_for(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE, read_back_seconds=30.0) as account:
        account.clevertap.set_faults(propagation_seconds=0.5)
        account.plan_properties(STATUS)
        summary = push(account.settings)
        assert summary.stopped_because == ""
        assert account.properties() == STATUS


def test_later_property_batches_are_looked_at_in_the_end(settings_for_tests: Settings) -> None:
    people = crowd(20)
    with small_account(settings_for_tests, people) as account:
        batches = [account.plan_properties({name: {"EV Status": "invalid"}}) for name in people]
        summary = push(account.settings)
        assert summary.stopped_because == ""
        read = [batch.batch_id for batch in summary.batches if batch.read_back]
        assert batches[0] in read
        assert batches[-1] in read
        assert 2 < len(read) <= 6


def test_the_state_of_properties_is_that_of_the_last_batch(settings_for_tests: Settings) -> None:
    before = {"ann": {"EV Status": "unknown", "EV Old": "x", "Plan": "Gold"}}
    with small_account(settings_for_tests, {"ann": "ann@x.test"}, properties=before) as account:
        account.plan_properties({"ann": {"EV Status": "invalid", "EV Old": {"$delete": True}}})
        assert push(account.settings).stopped_because == ""
        assert account.properties() == {"ann": {"EV Status": "invalid", "Plan": "Gold"}} == account.believed()


def test_two_pushers_at_once(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        account.plan_unsubscribes(["Ann@x.test"])
        assert account.settings.database_url is not None
        with connect(account.settings.database_url.get_secret_value()) as other, push_lock(other, account.project):
            with pytest.raises(PushHeldError):
                push(account.settings)
            assert push(account.settings, apply=False).would_send_count == 1, "to look disturbs nobody"
        assert account.writes() == []
        assert push(account.settings).sent_count == 1


def test_a_batch_approved_while_a_push_runs_is_sent_by_it(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE, upload_concurrency=1) as account:
        held = account.plan_unsubscribes(["Ann@x.test"])
        account.conn.execute("update ledger.batches set state = 'held' where batch_id = %s", (held,))
        account.plan_unsubscribes(["cid@x.test"])

        def approve(_batch: PushedBatch) -> None:
            account.conn.execute(
                "update ledger.batches set state = 'approved' where batch_id = %s and state = 'held'", (held,)
            )

        push(account.settings, on_batch=approve)
        assert account.state_of(held) == BatchState.DONE
        assert account.opted_out() == {"Ann@x.test", "cid@x.test"}


def test_a_resubscribe_is_pushed_only_after_a_fresh_look_at_opt_outs(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        account.plan_unsubscribes(["Ann@x.test", "cid@x.test"])
        push(account.settings)
        account.later()
        account.clevertap.opt_out(identity="cid")
        undo = account.plan_unsubscribes(["Ann@x.test", "cid@x.test"])
        account.conn.execute("update ledger.batches set kind = 'resubscribe' where batch_id = %s", (undo,))
        account.conn.execute("update ledger.changes set kind = 'resubscribe' where batch_id = %s", (undo,))
        push(account.settings)
        assert account.opted_out() == {"cid@x.test"}
        assert account.outcomes(undo) == ["processed", "withdrawn"]


def test_without_a_connection_nothing_is_begun(settings_for_tests: Settings) -> None:
    with pytest.raises(SettingsError, match="CT_PROJECT_ID"):
        push(settings_for_tests, apply=True)
    with small_account(settings_for_tests, PEOPLE) as account:
        batch_id = account.plan_unsubscribes(["Ann@x.test"])
        lacking = load_settings(**{**account.settings.model_dump(), "passcode": None})
        with pytest.raises(SettingsError, match="CT_PASSCODE"):
            push(lacking)
        assert account.state_of(batch_id) == "planned"


def test_a_batch_that_never_gets_a_usable_answer_is_not_sent_for_ever(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        hopeless, other = account.plan_unsubscribes(["Ann@x.test"]), account.plan_unsubscribes(["cid@x.test"])
        account.conn.execute("update ledger.changes set attempt_count = 60 where batch_id = %s", (hopeless,))
        summary = push(account.settings)
        assert f"push --apply --batch {hopeless}" in summary.stopped_because
        assert [account.state_of(batch) for batch in (hopeless, other)] == ["sending", "done"]
        assert account.opted_out() == {"cid@x.test"}
        assert push(account.settings, batch_ids=[hopeless]).processed_count == 1


def test_settings_that_were_narrowed_since_the_plan_hold_for_the_push(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE, export_actions=(ExportAction.APPEND,)) as account:
        batch_id = account.plan_unsubscribes(["Ann@x.test", "bob@x.test"])
        summary = push(account.settings)
        assert summary.withdrawals == Counter({"the policy does not ask for it any more": 2})
        assert (account.opted_out(), account.state_of(batch_id)) == (set(), "done")


def test_an_old_answer_is_not_sent_however_late_the_approval(settings_for_tests: Settings) -> None:
    with small_account(settings_for_tests, PEOPLE) as account:
        account.plan_unsubscribes(["Ann@x.test", "bob@x.test"])
        account.conn.execute(
            "update ledger.verdicts set verified_at = now() - interval '400 days' where address_id = %s",
            (address_id_of(account.conn, "bob@x.test"),),
        )
        assert push(account.settings).withdrawals.total() == 1
        assert account.opted_out() == {"Ann@x.test"}
