"""What a plan writes, what it leaves alone and why, and what a plan after a plan does."""

from datetime import timedelta

import pytest

from ct_pipeline.errors import AudienceError, ExportError, SettingsError
from ct_pipeline.stages.plan import approve, make_plan, plan_report
from ct_pipeline.storage.plan_question import HeldBack
from ct_pipeline.vocabulary import BatchState, ChangeKind, Outcome
from ct_pipeline_tests.stages.planning import DAY, PROJECT, World

UNSUBSCRIBE = {"export_actions": "unsubscribe"}
APPEND = {"export_actions": "append", "append_columns": "status,reason"}


def planned_emails(world: World) -> list[str]:
    rows = world.conn.execute(
        """
        select raw_email from ledger.changes left join ledger.receipts using (change_id)
        where kind = 'unsubscribe' and outcome is null order by raw_email
        """
    ).fetchall()
    return [email for (email,) in rows]


def planned_properties(world: World) -> dict[str, dict]:
    rows = world.conn.execute(
        """
        select identifier, properties from ledger.changes left join ledger.receipts using (change_id)
        where kind = 'set_properties' and outcome is null
        """
    ).fetchall()
    return dict(rows)


def test_only_invalid_addresses_with_a_hard_bounce_are_unsubscribed(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    world.person("here@a.test", "accepted")
    world.person("full@a.test", "mailbox_full")
    world.person("grey@a.test", "greylisted")
    world.person("any@b.test", "catch_all")
    world.person("new@a.test")
    world.person(None, identity="no email")
    summary = make_plan(world.with_settings(**UNSUBSCRIBE))
    assert planned_emails(world) == ["gone@a.test"]
    assert (summary.profile_count, summary.address_count, summary.unsubscribe_count) == (7, 6, 1)
    assert summary.by_status == {"unknown": 3, "catch_all": 1, "invalid": 1, "valid": 1}
    assert summary.by_reason == {"mailbox_not_found": 1}
    assert summary.held_back == {}
    assert [sample.address for sample in summary.samples] == ["g•••@a•••.test"]


def test_every_spelling_of_an_address_is_unsubscribed_and_each_once(world: World) -> None:
    world.person("Gone@A.test", "mailbox_not_found", identity="1")
    world.person("gone@a.test", "mailbox_not_found", identity="2")
    world.person("gone@a.test", "mailbox_not_found", identity="3")
    make_plan(world.with_settings(**UNSUBSCRIBE))
    assert planned_emails(world) == ["Gone@A.test", "gone@a.test"]


def test_another_project_is_left_alone(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found", project="OTHER-1")
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).unsubscribe_count == 0


def test_a_second_plan_creates_nothing(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    world.person("here@a.test", "accepted")
    settings = world.with_settings()
    first = make_plan(settings)
    assert (first.unsubscribe_count, first.property_change_count, len(first.batches)) == (1, 2, 2)
    second = make_plan(settings)
    assert (second.unsubscribe_count, second.property_change_count, second.batches) == (0, 0, [])
    assert second.withdrawn_count == 0
    assert second.held_back == {HeldBack.IS_PLANNED: 1}


def test_what_was_sent_is_not_planned_again(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    settings = world.with_settings()
    make_plan(settings)
    assert world.push() == 2
    again = make_plan(settings)
    assert (again.unsubscribe_count, again.property_change_count) == (0, 0)
    assert again.held_back == {HeldBack.IS_DONE: 1}


def test_batches_hold_at_most_a_thousand(world: World) -> None:
    for number in range(1001):
        world.person(f"gone{number}@a.test", "mailbox_not_found")
    summary = make_plan(world.with_settings(**UNSUBSCRIBE))
    assert [batch.change_count for batch in summary.batches] == [1000, 1]


@pytest.mark.parametrize("reason", ["domain_not_found", "null_mx"])
def test_a_domain_without_mail_waits_for_its_second_look_up(world: World, reason: str) -> None:
    world.person("a@gone.test", reason, look_ups_apart=timedelta(hours=23))
    settings = world.with_settings(**UNSUBSCRIBE)
    assert make_plan(settings).held_back == {HeldBack.NEEDS_SECOND_LOOK_UP: 1}
    world.person("a@gone.test", reason, look_ups_apart=timedelta(hours=24))
    assert make_plan(settings).unsubscribe_count == 1


@pytest.mark.parametrize("reason", ["mailbox_not_found", "domain_not_hosted"])
def test_who_is_still_to_be_asked_again_is_not_unsubscribed(world: World, reason: str) -> None:
    world.person("gone@a.test", reason)
    world.conn.execute("update ledger.verdicts set next_check_at = now() + interval '1 day'")
    settings = world.with_settings(**UNSUBSCRIBE)
    assert make_plan(settings).held_back == {HeldBack.NEEDS_SECOND_WORD: 1}
    world.conn.execute("update ledger.verdicts set next_check_at = null")
    assert make_plan(settings).unsubscribe_count == 1
    world.conn.execute("update ledger.verdicts set next_check_at = now() + interval '1 day'")
    assert make_plan(settings).withdrawn == {HeldBack.NEEDS_SECOND_WORD: 1}


def test_a_domain_that_was_never_confirmed_waits(world: World) -> None:
    world.person("a@gone.test", "domain_not_found")
    world.conn.execute("update ledger.domains set service_since_at = null")
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).held_back == {HeldBack.NEEDS_SECOND_LOOK_UP: 1}


def test_a_domain_that_recovered_since_the_verdict_waits_for_the_judge(world: World) -> None:
    world.person("a@back.test", "domain_not_found")
    world.conn.execute("update ledger.domains set service = 'mx'")
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).held_back == {HeldBack.IS_UNJUDGED: 1}


def test_new_evidence_and_old_rules_wait_for_the_judge(world: World) -> None:
    world.person("new.evidence@a.test", "mailbox_not_found")
    world.person("old.rules@a.test", "mailbox_not_found", rules="older")
    world.conn.execute(
        """
        insert into ledger.unjudged (address_id, since_at)
        select address_id, now() from ledger.addresses where address = 'new.evidence@a.test'
        """
    )
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).held_back == {HeldBack.IS_UNJUDGED: 2}


def test_a_stale_answer_unsubscribes_nobody(world: World) -> None:
    old = world.now - 31 * DAY
    world.person("gone@a.test", "mailbox_not_found", verified_at=old)
    world.person("no address", "syntax_error", verified_at=old)
    summary = make_plan(world.with_settings(**UNSUBSCRIBE))
    assert summary.held_back == {HeldBack.IS_STALE: 1}
    assert planned_emails(world) == ["no address"]


def test_a_spelling_that_stands_for_two_addresses_is_left_alone(world: World) -> None:
    world.person("odd@a.test", "mailbox_not_found", identity="1")
    world.person("odd@a.test", "accepted", identity="2", address="other@a.test")
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).held_back == {HeldBack.IS_AMBIGUOUS: 1}


def test_reasons_that_were_not_chosen_are_held_back(world: World) -> None:
    world.person("closed@a.test", "mailbox_disabled")
    world.person("gone@a.test", "mailbox_not_found")
    summary = make_plan(world.with_settings(**UNSUBSCRIBE, unsubscribe_reasons="mailbox_not_found"))
    assert planned_emails(world) == ["gone@a.test"]
    assert summary.held_back == {HeldBack.NOT_CHOSEN: 1}


def test_who_is_known_as_unsubscribed_is_not_unsubscribed_again(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found", identity="1")
    world.event("gone@a.test", happened_at=world.now - 9 * DAY, identity="1")
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).held_back == {HeldBack.IS_UNSUBSCRIBED: 1}


def test_an_opt_in_is_recorded_as_what_was_there_before(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found", identity="1")
    world.person("summary@a.test", "mailbox_not_found", identity="2", event_count=1, event_at=world.now - 400 * DAY)
    world.person("nothing@a.test", "mailbox_not_found", identity="3")
    world.event("gone@a.test", happened_at=world.now - 9 * DAY, identity="1")
    world.event("gone@a.test", happened_at=world.now - 8 * DAY, identity="1", is_resubscribe=True)
    make_plan(world.with_settings(**UNSUBSCRIBE))
    rows = world.conn.execute("select raw_email, prior_subscription, prior_source from ledger.changes").fetchall()
    assert {email: (subscription, source) for email, subscription, source in rows} == {
        "gone@a.test": ("subscribed", "channel_unsubscribed_event"),
        "summary@a.test": ("unknown", "profile_event_summary"),
        "nothing@a.test": ("unknown", "none"),
    }


# -- grounds that go away ---


def test_a_change_whose_verdict_changed_is_withdrawn(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    settings = world.with_settings(**UNSUBSCRIBE)
    make_plan(settings)
    world.judge_again("gone@a.test", "accepted")
    summary = make_plan(settings)
    assert summary.withdrawn == {"the verdict is now valid (accepted)": 1}
    assert planned_emails(world) == []
    assert world.push() == 0


def test_held_and_approved_changes_are_withdrawn_too(world: World) -> None:
    world.person("one@a.test", "mailbox_not_found")
    world.person("two@a.test", "mailbox_not_found")
    settings = world.with_settings(**UNSUBSCRIBE, unsubscribe_share_limit=0)
    (held,) = make_plan(settings).held_batches
    world.judge_again("one@a.test", "accepted")
    assert make_plan(settings).withdrawn_count == 1
    approve(settings, [held.batch_id], "Ann", "looked at it")
    world.judge_again("two@a.test", "accepted")
    assert make_plan(settings).withdrawn_count == 1
    assert world.batches(BatchState.DONE) == [(held.batch_id, "unsubscribe", 2)]


def test_a_spelling_or_an_address_that_changed_is_withdrawn_and_the_new_one_is_planned(world: World) -> None:
    world.person("Gone@a.test", "mailbox_not_found", identity="1")
    world.person("moved@a.test", "mailbox_not_found", identity="2")
    settings = world.with_settings(**UNSUBSCRIBE)
    make_plan(settings)
    world.person("gone@a.test", "mailbox_not_found", identity="1")
    world.person("new@a.test", "accepted", identity="2")
    summary = make_plan(settings)
    assert summary.withdrawn == {"no profile holds the address in this spelling any more": 2}
    assert planned_emails(world) == ["gone@a.test"]


def test_a_narrower_policy_withdraws_and_a_wider_one_plans_again(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    make_plan(world.with_settings(**UNSUBSCRIBE))
    narrow = make_plan(world.with_settings(**UNSUBSCRIBE, unsubscribe_reasons="mailbox_disabled"))
    assert narrow.withdrawn == {"the policy does not ask for it any more": 1}
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).unsubscribe_count == 1
    assert make_plan(world.with_settings(**APPEND)).withdrawn_count == 1
    assert planned_emails(world) == []


def test_who_opted_out_meanwhile_is_withdrawn(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found", identity="1")
    settings = world.with_settings(**UNSUBSCRIBE)
    make_plan(settings)
    world.event("gone@a.test", happened_at=world.now, identity="1")
    assert make_plan(settings).withdrawn == {HeldBack.IS_UNSUBSCRIBED: 1}


def test_a_batch_that_is_being_sent_is_left_alone(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    settings = world.with_settings()
    make_plan(settings)
    world.conn.execute("update ledger.batches set state = 'sending'")
    world.judge_again("gone@a.test", "accepted")
    summary = make_plan(settings)
    assert (summary.withdrawn_count, summary.unsubscribe_count, summary.property_change_count) == (0, 0, 0)
    assert summary.held_back == {HeldBack.IS_PLANNED: 1}


# -- undo and refusal ---


def test_what_was_undone_is_not_planned_again_until_the_reason_changes(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found", identity="1")
    settings = world.with_settings(**UNSUBSCRIBE)
    (batch,) = make_plan(settings).batches
    world.push()
    world.undo(batch.batch_id)
    assert make_plan(settings).held_back == {HeldBack.WAS_UNDONE: 1}
    world.person("GONE@a.test", "mailbox_not_found", identity="1")
    assert make_plan(settings).held_back == {HeldBack.WAS_UNDONE: 1}, "another spelling of the same person"
    world.judge_again("gone@a.test", "mailbox_disabled")
    assert make_plan(settings).unsubscribe_count == 1


def test_a_person_can_ask_for_what_was_undone(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    settings = world.with_settings()
    for batch in make_plan(settings).batches:
        world.send(batch.batch_id)
        world.undo(batch.batch_id)
    undone = make_plan(settings)
    assert (undone.unsubscribe_count, undone.property_change_count) == (0, 0)
    assert undone.held_back == {HeldBack.WAS_UNDONE: 2}
    wanted = make_plan(settings, includes_undone=True)
    assert (wanted.unsubscribe_count, wanted.property_change_count) == (1, 1)
    assert make_plan(settings).withdrawn_count == 0
    world.push()
    assert make_plan(settings, includes_undone=True).batches == []


def test_what_clevertap_refused_is_not_sent_again_for_the_same_reason(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    settings = world.with_settings()
    make_plan(settings)
    world.push(Outcome.REJECTED)
    assert make_plan(settings).held_back == {HeldBack.WAS_REJECTED: 2}
    world.judge_again("gone@a.test", "mailbox_disabled")
    again = make_plan(settings)
    assert (again.unsubscribe_count, again.property_change_count) == (1, 1)


# -- properties ---


def test_only_differences_are_appended(world: World) -> None:
    world.person("a@a.test", "accepted", identity="1", properties={"EV Status": "valid", "EV Reason": "greylisted"})
    world.person("b@a.test", "accepted", identity="2", properties={"EV Status": "valid", "EV Reason": "accepted"})
    world.person("c@a.test", "mailbox_not_found", identity="3")
    summary = make_plan(world.with_settings(**APPEND))
    assert planned_properties(world) == {
        "1": {"EV Reason": "accepted"},
        "3": {"EV Status": "invalid", "EV Reason": "mailbox_not_found"},
    }
    prior = world.conn.execute("select prior_properties from ledger.changes where identifier = '1'").fetchone()
    assert prior == ({"EV Reason": "greylisted"},)
    assert summary.property_change_count == 2


def test_who_is_not_judged_yet_gets_nothing_but_an_old_verdict_is_taken_back(world: World) -> None:
    held = {"EV Status": "invalid", "EV Reason": "mailbox_not_found", "EV Verified At": "$D_1767225600"}
    world.person("new@a.test", identity="new")
    world.person("not.asked@a.test", "not_asked_yet", identity="not asked")
    world.person("other@a.test", identity="changed email", properties=held)
    world.person(None, identity="no email", properties=held)
    make_plan(world.with_settings(export_actions="append", append_columns="status,reason,verified_at"))
    deleted = {"$delete": True}
    assert planned_properties(world) == {
        "changed email": {"EV Status": "unknown", "EV Reason": "not_asked_yet", "EV Verified At": deleted},
        "no email": {"EV Status": deleted, "EV Reason": deleted, "EV Verified At": deleted},
    }


def test_an_open_property_change_with_other_values_is_replaced(world: World) -> None:
    world.person("a@a.test", "greylisted", identity="1")
    settings = world.with_settings(**APPEND)
    make_plan(settings)
    world.judge_again("a@a.test", "accepted")
    summary = make_plan(settings)
    assert (summary.withdrawn_count, summary.property_change_count) == (1, 1)
    assert planned_properties(world) == {"1": {"EV Status": "valid", "EV Reason": "accepted"}}
    other = make_plan(world.with_settings(**APPEND, property_prefix="mail_"))
    assert (other.withdrawn_count, other.property_change_count) == (1, 1)
    assert planned_properties(world) == {"1": {"mail_status": "valid", "mail_reason": "accepted"}}
    assert make_plan(world.with_settings(**UNSUBSCRIBE)).withdrawn_count == 1
    assert planned_properties(world) == {}


# -- audiences ---


def test_an_audience_is_planned_alone_and_leaves_the_changes_of_others(world: World) -> None:
    inside = world.person("in@a.test", "mailbox_not_found", identity="in")
    outside = world.person("out@a.test", "mailbox_not_found", identity="out")
    world.pull("vip", [inside])
    settings = world.with_settings()
    summary = make_plan(settings, "vip")
    assert (summary.profile_count, summary.unsubscribe_count, summary.property_change_count) == (1, 1, 1)
    assert planned_emails(world) == ["in@a.test"]
    assert make_plan(settings).unsubscribe_count == 1
    again = make_plan(settings, "vip")
    assert (again.withdrawn_count, again.batches) == (0, [])
    assert outside != inside


def test_an_audience_is_made_of_its_newest_pulls(world: World) -> None:
    left, stays, other_day = (world.person(f"{name}@a.test", "accepted") for name in ("left", "stays", "other"))
    world.pull("daily", [left, stays], "2026-11-01")
    world.pull("daily", [stays], "2026-11-01")
    world.pull("daily", [other_day], "2026-11-02")
    assert make_plan(world.with_settings(), "daily").profile_count == 2


def test_an_audience_that_was_never_pulled_is_refused(world: World) -> None:
    with pytest.raises(AudienceError, match="never pulled"):
        make_plan(world.with_settings(), "nobody")
    assert world.conn.execute("select count(*) from ledger.plans").fetchone() == (0,)


# -- reports and approvals ---


def test_a_plan_can_be_read_again(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    settings = world.with_settings()
    summary = make_plan(settings)
    assert plan_report(settings, summary.plan_id) == summary
    world.push()
    assert {batch.state for batch in plan_report(settings, summary.plan_id).batches} == {BatchState.DONE}
    with pytest.raises(ExportError, match="no plan 999"):
        plan_report(settings, 999)


def test_without_a_project_there_is_nothing_to_plan(world: World) -> None:
    with pytest.raises(SettingsError, match="CT_PROJECT_ID"):
        make_plan(world.with_settings(project_id=""))


def test_no_plan_shows_an_address(world: World) -> None:
    world.person("ann.lee@shop.test", "mailbox_not_found")
    summary = make_plan(world.with_settings())
    (kept,) = world.conn.execute("select summary::text from ledger.plans").fetchone() or ("",)
    assert "ann.lee" not in kept + str(summary)
    assert "shop.test" not in kept + str(summary)
    assert ChangeKind.UNSUBSCRIBE in {batch.kind for batch in summary.batches}
    assert summary.project == PROJECT
