"""A push that is killed at any moment forgets nothing: every change is sent, and every one has its receipt.

What was sent, and how often, is taken from the simulated account, which is another process.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline.vocabulary import ChangeKind
from ct_pipeline_tests.end_to_end.big_account import BEFORE, COLUMNS, BigAccount, big_account
from ct_pipeline_tests.end_to_end.pushers import Pushers
from ct_pipeline_tests.end_to_end.waiting import wait_until

SEED = 20261123
KILL_COUNT = 30
LONGEST_LIFE_SECONDS = 1.2
FROM_START_SECONDS = 0.3  # shorter lives are counted from the start, when some have not even taken the lock; the others
# from the first intent: they die between intents and answers, or after a dozen batches
BATCH_SIZE = 10
CALLS_AT_ONCE = 3
UNSUBSCRIBED = "Channel Unsubscribed"


@pytest.fixture(scope="module")
def pushers() -> Iterator[Pushers]:
    with Pushers() as forking:
        yield forking


def test_thirty_kills_forget_nothing(settings_for_tests: Settings, pushers: Pushers, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    with big_account(settings_for_tests, tmp_path, 3000, upload_concurrency=CALLS_AT_ONCE) as account:
        account.clevertap.set_faults(answer_seconds=0.15)
        batches = account.plan(BATCH_SIZE)
        lives = [dice.uniform(0, LONGEST_LIFE_SECONDS) for _ in range(KILL_COUNT)]
        print(f"seed {SEED}; killed after {', '.join(f'{seconds:.2f}' for seconds in lives)} s")
        kinds = (ChangeKind.UNSUBSCRIBE, ChangeKind.SET_PROPERTIES)
        receipts_at_death = [
            die_after(pushers, account, seconds, kinds[number % 2]) for number, seconds in enumerate(lives)
        ]
        cut_off = cut_off_counts(account)
        account.clevertap.set_faults(answer_seconds=0.002)
        pushers.start_push("survivor", account.settings)
        survivor = pushers.push_outcome("survivor")

        assert (survivor.error, survivor.stopped_because) == ("", "")
        assert account.counts() == {"processed": 2 * len(account.emails)}
        states = account.conn.execute("select state, count(*) from ledger.batches group by 1").fetchall()
        assert states == [("done", len(batches))]
        everybody_is_as_planned(account)
        nothing_was_written_that_the_ledger_does_not_know(account)

        requests = account.clevertap.requests
        writes = [request for request in requests if request.path in ("/1/upload", "/1/subscribe")]
        repeated = sum(request.processed_count for request in writes) - 2 * len(account.emails)
        print(
            f"{2 * len(account.emails):,} changes in {len(batches)} batches, {len(writes)} calls; at the kills "
            f"{receipts_at_death[0]} to {receipts_at_death[-1]} receipts; {repeated} records were sent again; "
            f"left without an answer by the last kills: {cut_off}"
        )
        assert 0 < repeated <= KILL_COUNT * CALLS_AT_ONCE * BATCH_SIZE
        assert receipts_at_death == sorted(receipts_at_death)
        assert sum(request.named_by_email_count + request.made_profile_count for request in requests) == 0


def test_an_undo_that_is_killed_goes_on(settings_for_tests: Settings, pushers: Pushers, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    with big_account(settings_for_tests, tmp_path, 400, upload_concurrency=CALLS_AT_ONCE) as account:
        (batch_id,) = account.plan(400, has_properties=False)
        pushers.start_push("push", account.settings)
        assert pushers.push_outcome("push").sent_count == 400
        account.clevertap.set_faults(clock_offset_seconds=5, answer_seconds=0.1)  # later, a second apart
        clickers = {f"cust-{number}" for number in dice.sample(range(400), 9)}
        for name in clickers:
            account.clevertap.opt_out(identity=name)
        for number in range(8):
            pushers.start_push(f"mortal {number}", account.settings, undo=batch_id)
            time.sleep(dice.uniform(0.05, 0.5))
            pushers.kill(f"mortal {number}")
        for _ in range(2):
            pushers.start_push("survivor", account.settings, undo=batch_id)
            survivor = pushers.push_outcome("survivor")
            assert (survivor.error, survivor.stopped_because) == ("", "")
        unreachable = {name for name, profile in account.people().items() if profile["is_dnd"]}
        assert unreachable == clickers
        assert "" not in account.counts()


def die_after(pushers: Pushers, account: BigAccount, seconds: float, kind: ChangeKind) -> int:
    """Start a push of one kind and kill it; how many receipts there are then."""
    before = attempt_count(account)
    pushers.start_push("mortal", account.settings, kinds=[kind])
    if seconds > FROM_START_SECONDS:
        wait_until(lambda: attempt_count(account) > before, lambda: pushers.is_running("mortal"))
    time.sleep(seconds)
    kill = pushers.kill("mortal")
    assert kill.was_running, "the work is to outlive the kills: give the account more people"
    return sum(count for outcome, count in account.counts().items() if outcome)


def attempt_count(account: BigAccount) -> int:
    """How many changes were sent so far, each as often as it was."""
    row = account.conn.execute("select sum(attempt_count) from ledger.changes").fetchone()
    return row[0] if row else 0


def cut_off_counts(account: BigAccount) -> dict[str, int]:
    """Changes that were intended and have no receipt, by kind."""
    return dict(
        account.conn.execute(
            "select kind, count(*) from ledger.changes left join ledger.receipts r using (change_id)"
            " where intended_at is not null and r.change_id is null group by 1"
        ).fetchall()
    )


def everybody_is_as_planned(account: BigAccount) -> None:
    people = account.people()
    assert people.keys() == account.emails.keys() | account.bystanders.keys()
    wrong = [name for name in account.emails if not people[name]["is_dnd"]]
    assert wrong == [], "forgotten unsubscribes"
    wrong = [name for name in account.emails if people[name]["properties"] != BEFORE | COLUMNS]
    assert wrong == [], "forgotten properties"
    touched = [name for name in account.bystanders if people[name]["is_dnd"] or people[name]["properties"] != BEFORE]
    assert touched == []
    believed = account.conn.execute("select distinct properties from ledger.profiles").fetchall()
    assert believed == [(BEFORE | COLUMNS,)]


def nothing_was_written_that_the_ledger_does_not_know(account: BigAccount) -> None:
    """Each unsubscribe raises an event: never more of them than the ledger has intents of that address."""
    people = account.people()
    heard = Counter(
        {email: len(people[name]["events"].get(UNSUBSCRIBED, ())) for name, email in account.emails.items()}
    )
    assert Counter(heard) <= Counter(account.attempts())
    assert min(heard.values()) >= 1
