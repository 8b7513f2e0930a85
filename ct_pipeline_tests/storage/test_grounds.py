"""What is withdrawn when its turn comes, and why."""

import psycopg
import pytest

from ct_pipeline.settings import load_settings
from ct_pipeline.stages.rules_in_force import rules_version
from ct_pipeline.storage.changes import intend, keep_receipts, open_changes, take_batch
from ct_pipeline.storage.grounds import Standard, lost_grounds
from ct_pipeline.to_clevertap.changes import Receipt
from ct_pipeline.vocabulary import ChangeKind, Outcome
from ct_pipeline_tests.storage.export_records import (
    PROJECT,
    add_profile,
    add_property_changes,
    add_unsubscribes,
    address_id_of,
    set_verdict,
)
from ct_pipeline_tests.storage.records import DAY, NOON

ANN = "Ann@x.test"
TODAY = Standard(
    ["mailbox_not_found", "null_mx", "syntax_error"],
    rules_version(load_settings()),
    NOON - 30 * DAY,
    ["null_mx"],
    ["syntax_error"],
)


@pytest.fixture
def ann(conn: psycopg.Connection) -> int:
    return add_profile(conn, "ann", ANN)


def whys(conn: psycopg.Connection, batch_id: int, kind: ChangeKind = ChangeKind.UNSUBSCRIBE) -> list[str]:
    return [lost.why for lost in lost_grounds(conn, batch_id, kind, TODAY)]


def send(conn: psycopg.Connection, batch_id: int, *, answer: bool = True) -> None:
    take_batch(conn, batch_id, NOON)
    changes = [change.change_id for change in open_changes(conn, batch_id)]
    intend(conn, batch_id, changes, NOON)
    if answer:
        keep_receipts(conn, [Receipt(change_id, Outcome.PROCESSED, NOON) for change_id in changes])


def test_an_unsubscribe_whose_grounds_stand_is_sent(conn: psycopg.Connection, ann: int) -> None:
    assert whys(conn, add_unsubscribes(conn, [ANN])) == []


def test_an_unsubscribe_of_whom_is_to_be_asked_again_waits(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    conn.execute("update ledger.verdicts set next_check_at = %s", (NOON + DAY,))
    assert whys(conn, batch_id) == ["waits to be asked again: its refusal counts once it is repeated"]


@pytest.mark.parametrize("was_sent", [False, True])
@pytest.mark.parametrize(
    ("status", "reason", "why"),
    [
        ("valid", "accepted", "the verdict is now valid (accepted)"),
        ("unknown", "greylisted", "the verdict is now unknown (greylisted)"),
        ("invalid", "domain_not_found", "the verdict is now invalid (domain_not_found)"),
    ],
)
def test_an_unsubscribe_whose_verdict_changed_is_not_sent(
    conn: psycopg.Connection, ann: int, status: str, reason: str, why: str, was_sent: bool
) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    if was_sent:
        send(conn, batch_id, answer=False)
    set_verdict(conn, address_id_of(conn, ANN), status, reason)
    (lost,) = lost_grounds(conn, batch_id, ChangeKind.UNSUBSCRIBE, TODAY)
    assert (lost.why, lost.sent_at) == (why, NOON if was_sent else None)


def test_an_unsubscribe_in_a_spelling_that_nobody_holds_is_not_sent(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    conn.execute("update ledger.profiles set raw_email = 'ann@x.test'")
    assert whys(conn, batch_id) == ["no profile holds the address in this spelling any more"]
    add_profile(conn, "her-other-device", ANN)
    assert whys(conn, batch_id) == []


def test_an_address_with_new_evidence_waits_for_the_judge(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    conn.execute("insert into ledger.unjudged (address_id, since_at) values (%s, %s)", (address_id_of(conn, ANN), NOON))
    assert whys(conn, batch_id) == ["new evidence on the address is not judged yet"]
    send(conn, batch_id, answer=False)
    assert whys(conn, batch_id) == [], "what may have reached CleverTap is sent again, so that it is known"


def test_an_answer_that_has_grown_old_since_the_plan_unsubscribes_nobody(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    conn.execute("update ledger.verdicts set verified_at = %s", (NOON - 31 * DAY,))
    assert whys(conn, batch_id) == ["its answer is no longer fresh: pull and verify again"]
    conn.execute("update ledger.verdicts set reason = 'syntax_error'")
    conn.execute("update ledger.changes set reason = 'syntax_error'")
    assert whys(conn, batch_id) == [], "what was not asked cannot go stale"
    conn.execute("update ledger.verdicts set reason = 'null_mx', verified_at = %s", (NOON,))
    conn.execute("update ledger.changes set reason = 'null_mx'")
    assert whys(conn, batch_id) == ["its answer is no longer fresh: pull and verify again"], "its domain is unknown"


def test_what_the_policy_no_longer_asks_for_is_not_sent(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    (lost,) = lost_grounds(conn, batch_id, ChangeKind.UNSUBSCRIBE, TODAY._replace(reasons=[]))
    assert lost.why == "the policy does not ask for it any more"


def test_a_verdict_of_earlier_rules_unsubscribes_nobody(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    conn.execute("update ledger.verdicts set rules_version = 'of the last release'")
    assert whys(conn, batch_id) == ["waits to be judged again"]
    send(conn, batch_id, answer=False)
    assert whys(conn, batch_id) == [], "what may have reached CleverTap is sent again, so that it is known"


def test_what_we_have_unsubscribed_already_is_not_sent_again_until_it_was_undone(
    conn: psycopg.Connection, ann: int
) -> None:
    first = add_unsubscribes(conn, [ANN])
    send(conn, first)
    second = add_unsubscribes(conn, [ANN])
    assert whys(conn, second) == ["the address is unsubscribed already, by us"]
    undo = add_unsubscribes(conn, [ANN], kind=ChangeKind.RESUBSCRIBE, undoes_batch_id=first)
    assert whys(conn, second) == ["an undo of this address is under way"]
    send(conn, undo)
    assert whys(conn, second) == []


def test_a_resubscribe_gives_way_to_a_later_unsubscribe_of_ours(conn: psycopg.Connection, ann: int) -> None:
    first = add_unsubscribes(conn, [ANN])
    send(conn, first)
    undo = add_unsubscribes(conn, [ANN], kind=ChangeKind.RESUBSCRIBE, undoes_batch_id=first)
    assert whys(conn, undo, ChangeKind.RESUBSCRIBE) == []
    later = add_unsubscribes(conn, [ANN])
    assert whys(conn, undo, ChangeKind.RESUBSCRIBE) == []
    send(conn, later, answer=False)
    assert whys(conn, undo, ChangeKind.RESUBSCRIBE) == [f"batch {later} has unsubscribed the address again"]


def test_properties_of_a_profile_that_changed_are_not_sent(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_property_changes(conn, [(ann, {"EV Status": "invalid"})])
    kind = ChangeKind.SET_PROPERTIES
    assert whys(conn, batch_id, kind) == []
    set_verdict(conn, address_id_of(conn, ANN), "valid", "accepted")
    assert whys(conn, batch_id, kind) == ["the verdict is now valid (accepted)"]
    add_profile(conn, "bob", "bob@x.test")
    conn.execute(
        "update ledger.profiles set address_id = %s where profile_id = %s", (address_id_of(conn, "bob@x.test"), ann)
    )
    assert whys(conn, batch_id, kind) == ["the profile has another address now"]
    send(conn, batch_id, answer=False)
    assert whys(conn, batch_id, kind) == [], "what may have reached CleverTap is sent again, so that it is known"
    conn.execute("update ledger.profiles set identifier = 'other' where profile_id = %s", (ann,))
    assert whys(conn, batch_id, kind) == ["the profile is not known by this identifier any more"]
    conn.execute("delete from ledger.profiles where profile_id = %s", (ann,))
    assert whys(conn, batch_id, kind) == ["the profile is not known by this identifier any more"]


def test_what_has_a_receipt_is_not_looked_at(conn: psycopg.Connection, ann: int) -> None:
    batch_id = add_unsubscribes(conn, [ANN])
    send(conn, batch_id)
    set_verdict(conn, address_id_of(conn, ANN), "valid", "accepted")
    assert whys(conn, batch_id) == []


def test_other_projects_do_not_count(conn: psycopg.Connection, ann: int) -> None:
    add_profile(conn, "ann", ANN, project="OTHER-1")
    send(conn, add_unsubscribes(conn, [ANN], project="OTHER-1"))
    assert whys(conn, add_unsubscribes(conn, [ANN], project=PROJECT)) == []
