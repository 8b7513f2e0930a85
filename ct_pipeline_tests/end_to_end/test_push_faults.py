"""Whatever goes wrong between here and CleverTap, its final state is the intended one, and the ledger tells it."""

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from ct_pipeline.sandbox.clevertap.faults import Switches, fault_profile
from ct_pipeline.settings import Settings
from ct_pipeline.stages import push_run
from ct_pipeline.stages.push import push
from ct_pipeline.stages.push_clerk import Clerk
from ct_pipeline.stages.undo import undo_batch
from ct_pipeline.storage.database import connect
from ct_pipeline.to_clevertap.undo import OPTED_OUT
from ct_pipeline_tests.end_to_end.waiting import wait_until
from ct_pipeline_tests.stages.small_account import SmallAccount, small_account

PUSHES = 30  # far more than any seed needs


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_run, "REFUSED_PAUSE_SECONDS", 0.01)
    soon = push_run.Backoff(0.01, 0.1, 9)
    monkeypatch.setattr(push_run, "TRIES", push_run.Backoff(0.01, 0.05, 7))
    monkeypatch.setattr(push_run, "ONE_TRY", push_run.Patience(push_run.ONE_TRY.trouble, soon))
    monkeypatch.setattr(push_run, "READING", push_run.Patience(soon, soon, soon, soon))


@pytest.mark.parametrize("seed", range(6))
def test_under_random_faults_the_final_state_is_the_intended_one(settings_for_tests: Settings, seed: int) -> None:
    """Shared addresses, rejected records, own opt-outs before and after, then an undo of everything."""
    dice = random.Random(seed)
    people: dict[str, str | None] = {f"cust-{n}": f"user{dice.randrange(90)}@x.test" for n in range(120)}
    before = {name: {"Plan": dice.choice(["Gold", "Tin"]), "EV Status": "unknown"} for name in people}
    columns = {name: {"EV Status": "invalid", "EV Score": dice.randrange(100)} for name in people}
    emails = sorted({email for email in people.values() if email})
    early, late = dice.sample(sorted(people), 4), dice.sample(sorted(people), 4)
    switches = Switches(
        not_found=dice.choice(["null", "404", "fail"]),
        too_many_requests_body=dice.choice(["json", "text"]),
        event_booleans=dice.choice(["bool", "text"]),
        repeat_raises_event=dice.random() < 0.5,
    )
    with small_account(settings_for_tests, people, properties=before, switches=switches) as account:
        for name in early:
            account.clevertap.opt_out(identity=name)
        account.later()
        set_harsh_faults(account, seed)
        unsubscribes = [account.plan_unsubscribes(emails[at : at + 30]) for at in range(0, len(emails), 30)]
        names = sorted(people)
        writes = [
            account.plan_properties({name: columns[name] for name in names[at : at + 50]}) for at in range(0, 120, 50)
        ]
        push_until_done(account, [*unsubscribes, *writes])
        rejected = rejected_emails(account)
        assert account.opted_out() >= set(emails) - rejected
        written = {name for name, new in columns.items() if is_within(new, account.properties()[name])}
        assert len(written) == len(people) - rejected_property_changes(account)

        account.later()
        calm(account)
        for name in late:
            account.clevertap.opt_out(identity=name)
        account.later()
        set_harsh_faults(account, seed + 1)
        # Where a repeated opt-out raises no event, one that comes after ours leaves no trace anywhere.
        own_word = {people[name] for name in ((*early, *late) if switches.repeat_raises_event else early)}
        left_alone = 0
        for batch_id in (*unsubscribes, *writes):
            left_alone += undo_until_done(account, batch_id)[OPTED_OUT]
        assert account.opted_out() >= own_word, "somebody was resubscribed against their word"
        calm(account)
        assert len(account.opted_out() - own_word - rejected) <= left_alone
        undone = {name: before[name] for name in written}
        held = {name: account.properties()[name] for name in written}
        assert [name for name in undone if held[name] != undone[name]] == sorted(not_undone(account))


def test_a_database_connection_lost_between_call_and_receipt(settings_for_tests: Settings) -> None:
    """The answer is kept over another connection; the lock is gone with the first, so the push ends."""
    people = {f"cust-{n}": f"user{n}@x.test" for n in range(40)}
    with small_account(settings_for_tests, people, upload_concurrency=1) as account:
        emails = list(people.values())
        batches = [account.plan_unsubscribes(emails[at : at + 10]) for at in range(0, 40, 10)]
        account.clevertap.set_faults(answer_seconds=0.5)
        with ThreadPoolExecutor(1) as thread:
            pushing = thread.submit(push, account.settings)
            wait_until(lambda: intended_count(account) == 20)
            cut_the_pusher(account)
            summary = pushing.result()
        assert "connection to the database was lost" in summary.stopped_because
        assert "is kept" in summary.stopped_because
        assert account.outcomes(batches[1]) == ["processed"] * 10
        assert account.opted_out() == set(emails[:20])
        account.clevertap.set_faults(answer_seconds=0.002)
        assert push(account.settings).sent_count == 20
        assert [account.state_of(batch) for batch in batches] == ["done"] * 4
        attempts = account.conn.execute("select distinct attempt_count from ledger.changes").fetchall()
        assert attempts == [(1,)], "nothing was sent twice"


def test_a_database_that_stays_away_costs_a_repetition_and_nothing_else(
    settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ct_pipeline.stages.push_clerk.RESCUE_PAUSES_SECONDS", (0.0, 0.05))
    people = {f"cust-{n}": f"user{n}@x.test" for n in range(10)}
    with small_account(settings_for_tests, people) as account:
        batch_id = account.plan_unsubscribes(list(people.values()))
        account.clevertap.set_faults(answer_seconds=0.5)
        with ThreadPoolExecutor(1) as thread:
            pushing = thread.submit(push, account.settings)
            wait_until(lambda: intended_count(account) == 10)
            with no_new_connections(account):
                cut_the_pusher(account)
                summary = pushing.result()
        assert "will be sent again" in summary.stopped_because
        assert account.outcomes(batch_id) == [""] * 10
        assert push(account.settings).processed_count == 10
        assert account.opted_out() == set(people.values())


def test_who_has_lost_the_lock_gives_up_calls_that_are_still_tried(
    settings_for_tests: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that hangs must not arrive after another push, or an undo, has gone on."""
    monkeypatch.setattr(push_run, "WATCH_EVERY_SECONDS", 0.05)
    people = {"ann": "ann@x.test"}
    with small_account(settings_for_tests, people) as account:
        account.plan_unsubscribes(list(people.values()))
        account.clevertap.set_faults(answer_seconds=3600.0)
        with ThreadPoolExecutor(1) as thread:
            pushing = thread.submit(push, account.settings)
            wait_until(lambda: intended_count(account) == 1)
            cut_the_pusher(account)
            summary = pushing.result(timeout=60)
        assert "connection to the database was lost" in summary.stopped_because
        assert account.opted_out() == set()


def test_a_user_who_stops_a_push_keeps_what_was_in_flight(settings_for_tests: Settings) -> None:
    people = {f"cust-{n}": f"user{n}@x.test" for n in range(40)}
    with small_account(settings_for_tests, people, upload_concurrency=2) as account:
        emails = list(people.values())
        batches = [account.plan_unsubscribes(emails[at : at + 10]) for at in range(0, 40, 10)]
        account.clevertap.set_faults(answer_seconds=0.5)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancelled_after_the_first_intents(account))
        states = [account.state_of(batch) for batch in batches]
        assert states == ["done", "done", "planned", "planned"]
        assert [set(account.outcomes(batch)) for batch in batches] == [{"processed"}] * 2 + [{""}] * 2


async def cancelled_after_the_first_intents(account: SmallAccount) -> None:
    from ct_pipeline.to_clevertap.push_summary import PushSummary

    url = account.settings.database_url
    assert url is not None
    summary = PushSummary(account.project, preview=False)
    with connect(url.get_secret_value()) as conn:
        clerk = Clerk(account.settings, conn)
        async with clerk, push_run.PushRun(account.settings, clerk, summary, lambda _batch: None) as run:
            pushing = asyncio.create_task(run.push(push_run.ChangeKind))
            await asyncio.to_thread(wait_until, lambda: intended_count(account) == 20)
            pushing.cancel()
            await pushing


def set_harsh_faults(account: SmallAccount, seed: int) -> None:
    harsh = fault_profile("harsh", seed).model_dump(exclude={"answer_seconds", "clock_offset_seconds", "empty_exports"})
    account.clevertap.set_faults(**harsh)


def calm(account: SmallAccount) -> None:
    account.clevertap.set_faults(**fault_profile("none").model_dump(exclude={"clock_offset_seconds"}))


def push_until_done(account: SmallAccount, batches: list[int]) -> None:
    for _ in range(PUSHES):
        push(account.settings)
        if all(account.state_of(batch) == "done" for batch in batches):
            return
    raise AssertionError("the pushes come to no end")


def undo_until_done(account: SmallAccount, batch_id: int) -> Any:
    """Why → how many were left alone by the last undo."""
    for _ in range(PUSHES):
        summary = undo_batch(account.settings, batch_id)
        if not summary.stopped_because:
            return summary.left_alone
    raise AssertionError("the undos come to no end")


def rejected_emails(account: SmallAccount) -> set[str]:
    rows = account.conn.execute(
        "select raw_email from ledger.changes join ledger.receipts using (change_id)"
        " where kind = 'unsubscribe' and outcome = 'rejected'"
    ).fetchall()
    return {raw_email for (raw_email,) in rows}


def rejected_property_changes(account: SmallAccount) -> int:
    row = account.conn.execute(
        "select count(*) from ledger.changes join ledger.receipts using (change_id)"
        " where kind = 'set_properties' and outcome = 'rejected'"
    ).fetchone()
    return row[0] if row else 0


def not_undone(account: SmallAccount) -> list[str]:
    """Identities whose former properties CleverTap would not take back."""
    rows = account.conn.execute(
        "select identifier from ledger.changes c join ledger.receipts using (change_id)"
        " join ledger.batches using (batch_id)"
        " where c.kind = 'set_properties' and outcome = 'rejected' and undoes_batch_id is not null"
    ).fetchall()
    return [identifier for (identifier,) in rows]


def is_within(new: dict[str, Any], held: Any) -> bool:
    return new.items() <= held.items()


def intended_count(account: SmallAccount) -> int:
    url = account.settings.database_url
    assert url is not None
    with connect(url.get_secret_value()) as conn:  # of its own: other threads wait here too
        row = conn.execute("select count(*) from ledger.changes where intended_at is not null").fetchone()
    return row[0] if row else 0


def cut_the_pusher(account: SmallAccount) -> None:
    """End the connection that holds the project's lock."""
    row = account.conn.execute(
        """
        select pid from pg_locks where locktype = 'advisory' and granted
               and database = (select oid from pg_database where datname = current_database())
        """
    ).fetchone()
    assert row
    account.conn.execute("select pg_terminate_backend(%s, 10000)", row)


@contextmanager
def no_new_connections(account: SmallAccount) -> Iterator[None]:
    """To the account's database; connections that there are live on."""
    name = sql.Identifier(account.conn.info.dbname)
    server = account.conn.info
    other = psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname="postgres",
        autocommit=True,
    )
    with other as admin:
        admin.execute(sql.SQL("alter database {} with allow_connections false").format(name))
        try:
            yield
        finally:
            admin.execute(sql.SQL("alter database {} with allow_connections true").format(name))
