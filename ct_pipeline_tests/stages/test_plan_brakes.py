"""Brakes on real plans: who could slip past them, and what an approval lets go."""

import pytest

from ct_pipeline.stages.plan import approve, make_plan
from ct_pipeline.vocabulary import BatchState
from ct_pipeline_tests.stages.planning import World

UNSUBSCRIBE = {"export_actions": "unsubscribe"}
SHARE = {**UNSUBSCRIBE, "unsubscribe_share_limit": 0.1}
PROVIDER = {**UNSUBSCRIBE, "provider_jump_limit": 0.25}


def people(world: World, count: int, reason: str, provider: str = "big.test", start: int = 0) -> list[int]:
    return [
        world.person(f"person{number}@{provider}", reason, provider=provider) for number in range(start, start + count)
    ]


def turn(world: World, count: int, reason: str, provider: str = "big.test", start: int = 0) -> None:
    for number in range(start, start + count):
        world.judge_again(f"person{number}@{provider}", reason, provider=provider)


def test_more_than_the_share_is_held_and_says_why(world: World) -> None:
    people(world, 100, "accepted")
    turn(world, 11, "mailbox_not_found")
    summary = make_plan(world.with_settings(**SHARE))
    (held,) = summary.held_batches
    assert (held.state, held.change_count) == (BatchState.HELD, 11)
    assert held.held_because == (
        "11 of the project's 100 addresses (11.0%) unsubscribed within 7 days, more than 10.0%"
    )
    assert summary.brakes == [held.held_because]
    assert world.push() == 0


def test_slices_of_many_plans_add_up(world: World) -> None:
    people(world, 100, "accepted")
    settings = world.with_settings(**SHARE)
    for slice_number in range(5):
        turn(world, 4, "mailbox_not_found", start=4 * slice_number)
        make_plan(settings)
        world.push()
    (sent,) = world.conn.execute("select count(*) from ledger.receipts where outcome = 'processed'").fetchone() or (0,)
    assert sent == 8, "two slices of four; the third would have made it twelve"


def test_what_is_planned_and_not_sent_yet_is_held_with_the_rest(world: World) -> None:
    people(world, 100, "accepted")
    settings = world.with_settings(**SHARE)
    turn(world, 8, "mailbox_not_found")
    assert make_plan(settings).held_batches == []
    turn(world, 4, "mailbox_not_found", start=8)
    make_plan(settings)
    assert [count for _, _, count in world.batches(BatchState.HELD)] == [8, 4]
    assert world.push() == 0


def test_a_lower_limit_holds_what_waits(world: World) -> None:
    people(world, 100, "accepted")
    turn(world, 8, "mailbox_not_found")
    make_plan(world.with_settings(**SHARE))
    make_plan(world.with_settings(**UNSUBSCRIBE, unsubscribe_share_limit=0.05))
    assert len(world.batches(BatchState.HELD)) == 1


def test_after_a_week_the_share_is_free_again(world: World) -> None:
    people(world, 100, "accepted")
    settings = world.with_settings(**SHARE)
    turn(world, 8, "mailbox_not_found")
    make_plan(settings)
    world.push()
    world.conn.execute("update ledger.receipts set answered_at = answered_at - interval '7 days'")
    turn(world, 8, "mailbox_not_found", start=8)
    assert make_plan(settings).held_batches == []


def test_an_audience_smaller_than_the_project_has_its_own_share(world: World) -> None:
    people(world, 200, "accepted")
    few = people(world, 10, "accepted")
    turn(world, 6, "mailbox_not_found")
    world.pull("few", few)
    (held,) = make_plan(world.with_settings(**SHARE), "few").held_batches
    assert held.held_because.startswith("6 of the audience's 10 addresses (60.0%)")


def test_the_project_s_share_holds_for_an_audience_too(world: World) -> None:
    everybody = people(world, 100, "accepted")
    turn(world, 12, "mailbox_not_found")
    settings = world.with_settings(**SHARE)
    world.pull("half", everybody[:10] + everybody[20:60])
    world.pull("rest", everybody[10:12] + everybody[60:])
    assert len(make_plan(settings, "half").held_batches) == 1
    assert len(make_plan(settings, "rest").held_batches) == 1


def test_a_provider_that_turns_against_us_is_held_by_itself(world: World) -> None:
    people(world, 100, "accepted", "big.test")
    people(world, 100, "accepted", "other.test")
    settings = world.with_settings(**PROVIDER)
    make_plan(settings)
    turn(world, 40, "mailbox_not_found", "big.test")
    turn(world, 5, "mailbox_not_found", "other.test")
    summary = make_plan(settings)
    assert {(batch.state, batch.change_count) for batch in summary.batches} == {
        (BatchState.HELD, 40),
        (BatchState.PLANNED, 5),
    }
    (held,) = summary.held_batches
    assert held.held_because.startswith("40.0% of 100 judged addresses at big.test are invalid, 0.0% before")
    # replanning does not make the jump normal
    turn(world, 45, "mailbox_not_found", "big.test")
    assert make_plan(settings).held_batches[0].change_count == 5


def test_a_renamed_provider_does_not_slip_past(world: World) -> None:
    people(world, 100, "accepted", "big.test")
    people(world, 100, "accepted", "other.test")
    settings = world.with_settings(**PROVIDER)
    make_plan(settings)
    for number in range(100):
        reason = "mailbox_not_found" if number < 40 else "accepted"
        world.judge_again(f"person{number}@big.test", reason, provider="renamed.test")
    assert make_plan(settings).held_batches[0].held_because.startswith("40.0% of 100 judged addresses at renamed.test")


def test_many_small_providers_are_braked_together(world: World) -> None:
    people(world, 200, "accepted", "other.test")
    for number in range(12):
        people(world, 10, "mailbox_not_found", f"small{number}.test")
    (held,) = make_plan(world.with_settings(**PROVIDER)).held_batches
    assert held.change_count == 120
    assert "(providers with few addresses)" in held.held_because


def test_what_waited_unbraked_waits_for_the_brake_once_its_provider_is_braked(world: World) -> None:
    people(world, 100, "accepted", "big.test")
    people(world, 100, "accepted", "other.test")
    settings = world.with_settings(**PROVIDER)
    make_plan(settings)
    turn(world, 10, "mailbox_not_found", "big.test")
    assert make_plan(settings).held_batches == []
    turn(world, 40, "mailbox_not_found", "big.test")
    summary = make_plan(settings)
    assert summary.withdrawn == {"waits for the brake of big.test": 10}
    assert [batch.change_count for batch in summary.held_batches] == [40]
    assert world.push() == 0


@pytest.mark.parametrize("is_approved", [True, False])
def test_an_approval_accepts_the_new_rate_of_a_provider(world: World, is_approved: bool) -> None:
    people(world, 100, "accepted", "big.test")
    people(world, 100, "accepted", "other.test")
    settings = world.with_settings(**PROVIDER)
    make_plan(settings)
    turn(world, 40, "mailbox_not_found", "big.test")
    (held,) = make_plan(settings).held_batches
    if is_approved:
        approve(settings, [held.batch_id], "Ann", "the provider has closed old mailboxes")
        assert world.push() == 40
    turn(world, 45, "mailbox_not_found", "big.test")
    assert len(make_plan(settings).held_batches) == (0 if is_approved else 1)


def test_addresses_without_a_mail_host_are_guarded_by_look_ups_and_share(world: World) -> None:
    people(world, 100, "accepted", "other.test")
    for number in range(100):
        world.person(f"a@gone{number}.test", "domain_not_found", provider="")
    assert make_plan(world.with_settings(**PROVIDER)).held_batches == []
