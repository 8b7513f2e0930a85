"""Judging from the ledger: whose word a recorded reply is, which of two counts, and what other rules change."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline.stages.judge import judge_addresses, judge_unjudged
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.rules_history import VerdictChange, begin_rejudgement, last_rejudgement, note_rules
from ct_pipeline.storage.verdicts import evidence_of
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.vocabulary import Reason, Status
from ct_pipeline_tests.storage.records import NOON, answered, catch_all, look_up, probe, session, take

ADDRESS = "anna@acme.test"


def judged(settings: Settings, kind: ProbeKind, text: str, *, is_definitive: bool = False) -> tuple[Status, Reason]:
    """The verdict on an address of a domain that tells names apart, from one 550 of ``kind``."""
    with open_ledger(settings) as conn:
        take(conn, ADDRESS)
        look_up(conn, "acme.test")
        (row,) = evidence_of(conn, [ADDRESS])
        about = row.address_id if kind is ProbeKind.MAILBOX else None
        said = probe(1, about, "acme.test", 550, text)._replace(kind=kind)
        fact = catch_all("acme.test", is_catch_all=False)._replace(tells_apart=True)
        turn = answered(row.address_id, 1)._replace(is_definitive=is_definitive)
        merge_observations(conn, Observations([session()], [said], [turn], [fact]), NOON)
    (verdict,) = judge_addresses(settings, [ADDRESS])
    return verdict.status, verdict.reason


@pytest.mark.parametrize("text", ["User unknown", "Nope"])
def test_a_refusal_of_the_address_itself_is_its_verdict(settings_for_tests: Settings, text: str) -> None:
    found = judged(settings_for_tests, ProbeKind.MAILBOX, text, is_definitive=True)
    assert found == (Status.INVALID, Reason.MAILBOX_NOT_FOUND)


def test_a_vague_refusal_after_which_nobody_was_accepted_may_be_one_of_us(settings_for_tests: Settings) -> None:
    assert judged(settings_for_tests, ProbeKind.MAILBOX, "Nope") == (Status.UNKNOWN, Reason.UNCLEAR_REPLY)


@pytest.mark.parametrize("text", ["User unknown", "Nope"])
def test_a_reply_that_ended_a_session_says_nothing_of_one_mailbox(settings_for_tests: Settings, text: str) -> None:
    assert judged(settings_for_tests, ProbeKind.SESSION, text) == (Status.UNKNOWN, Reason.UNCLEAR_REPLY)


def test_a_block_stays_a_block(settings_for_tests: Settings) -> None:
    text = "Service unavailable; Client host blocked using zen.spamhaus.org"
    assert judged(settings_for_tests, ProbeKind.SESSION, text) == (Status.UNKNOWN, Reason.PROBER_BLOCKED)


# -- the last definitive reply ---


def settled_and(settings: Settings, later: str, days: float = 1, first: str = "250 ok") -> Verdict:
    """An address whose host answered ``first``, and ``days`` later ``later``; judged now."""
    first_at = datetime.now(UTC) - timedelta(days=days + 1)
    with open_ledger(settings) as conn:
        take(conn, ADDRESS)
        look_up(conn, "acme.test")
        (row,) = evidence_of(conn, [ADDRESS])
        code, _, text = later.partition(" ")
        first_code, _, first_text = first.partition(" ")
        accepted = probe(1, row.address_id, "acme.test", int(first_code), first_text)._replace(asked_at=first_at)
        said = probe(2, row.address_id, "acme.test", int(code), text)
        said = said._replace(asked_at=first_at + timedelta(days=days))
        fact = catch_all("acme.test", is_catch_all=False)
        turns = [answered(row.address_id, 2)]
        merge_observations(conn, Observations([session()], [accepted, said], turns, [fact]), NOON)
        conn.execute("update ledger.due set definitive_probe_id = 1")
    (verdict,) = judge_addresses(settings, [ADDRESS])
    return verdict


@pytest.mark.parametrize(
    "later", ["450 4.2.0 Greylisted, try again", "550 5.7.1 Client host blocked using zen.spamhaus.org"]
)
def test_a_later_reply_that_settles_nothing_leaves_the_verdict(settings_for_tests: Settings, later: str) -> None:
    verdict = settled_and(settings_for_tests, later)
    assert (verdict.status, verdict.smtp_code, verdict.elapsed_ms) == (Status.VALID, 250, 12)
    assert verdict.verified_at is not None
    assert verdict.verified_at < datetime.now(UTC) - timedelta(days=1)


def test_an_acceptance_grown_old_no_longer_outweighs_it(settings_for_tests: Settings) -> None:
    assert settled_and(settings_for_tests, "450 4.2.0 Greylisted, try again", days=40).reason is Reason.GREYLISTED


def test_a_later_refusal_wins(settings_for_tests: Settings) -> None:
    assert settled_and(settings_for_tests, "550 5.1.1 User unknown").status is Status.INVALID


def test_a_later_refusal_in_vague_words_leaves_nobody_valid(settings_for_tests: Settings) -> None:
    verdict = settled_and(settings_for_tests, "550 Nope")
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, Reason.UNCLEAR_REPLY)


@pytest.mark.parametrize("later", ["452 4.2.2 Mailbox full", "450 4.2.1 This user is receiving mail at a rate that"])
def test_a_later_word_of_a_living_mailbox_leaves_nobody_invalid(settings_for_tests: Settings, later: str) -> None:
    verdict = settled_and(settings_for_tests, later, first="550 5.1.1 User unknown")
    assert verdict.status is Status.UNKNOWN
    assert verdict.reason in (Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED)


@pytest.mark.parametrize(("days_after", "status"), [(-1, Status.VALID), (2, Status.UNKNOWN)])
def test_a_finding_that_had_expired_before_the_acceptance_proves_nothing(
    settings_for_tests: Settings, days_after: int, status: Status
) -> None:
    """The domain may accept every name by now."""
    with open_ledger(settings_for_tests) as conn:
        take(conn, ADDRESS)
        look_up(conn, "acme.test")
        (row,) = evidence_of(conn, [ADDRESS])
        fact = catch_all("acme.test", is_catch_all=False)._replace(tells_apart=True)
        said = probe(1, row.address_id, "acme.test")._replace(asked_at=fact.expires_at + timedelta(days=days_after))
        turns = [answered(row.address_id, 1)._replace(is_definitive=True)]
        merge_observations(conn, Observations([session()], [said], turns, [fact]), NOON)
    (verdict,) = judge_addresses(settings_for_tests, [ADDRESS])
    assert verdict.status is status


# -- two judges at once ---


def test_a_verdict_is_dated_before_its_evidence_was_read(settings_for_tests: Settings) -> None:
    """Or it could replace that of another judge, who has read later."""
    with ThreadPoolExecutor(1) as other, open_ledger(settings_for_tests) as conn:
        take(conn, "no?address")
        with conn.transaction():
            conn.execute("lock table ledger.unjudged in access exclusive mode")
            judging = other.submit(judge_unjudged, settings_for_tests)
            while not conn.execute("select 1 from pg_locks where not granted").fetchone():
                assert not judging.done()
            read_at = datetime.now(UTC)
        judging.result()
        (judged_at,) = conn.execute("select judged_at from ledger.verdicts").fetchone() or (None,)
    assert judged_at is not None
    assert judged_at < read_at


# -- other rules ---


def test_other_rules_judge_anew_and_report_what_changed(settings_for_tests: Settings) -> None:
    with open_ledger(settings_for_tests) as conn:
        take(conn, "info@acme.test", "anna@acme.test")
        look_up(conn, "acme.test")
        rows = evidence_of(conn, ["info@acme.test", "anna@acme.test"])
        said = [probe(n, row.address_id, "acme.test") for n, row in enumerate(rows, 1)]
        turns = [answered(row.address_id, n) for n, row in enumerate(rows, 1)]
        facts = [catch_all("acme.test", is_catch_all=False)]
        merge_observations(conn, Observations([session()], said, turns, facts), NOON)
    first = judge_unjudged(settings_for_tests)
    assert (first.judged_count, first.rejudgement) == (2, None)
    assert judge_unjudged(settings_for_tests).judged_count == 0

    second = judge_unjudged(settings_for_tests.model_copy(update={"role_is_safe": True}))
    assert second.rules_version != first.rules_version
    found = second.rejudgement
    assert found is not None
    assert (found.judged_count, found.changed_count) == (2, 1)
    assert found.changes == [
        VerdictChange("valid", "accepted", "risky", "valid", "accepted", "yes", 1, ("info@acme.test",))
    ]
    assert found.changed_parts == {"CT_ROLE_IS_SAFE": ("false", "true")}
    assert found.ended_at is not None


def test_new_evidence_is_no_change_of_rules(settings_for_tests: Settings) -> None:
    judged(settings_for_tests, ProbeKind.MAILBOX, "User unknown")
    with open_ledger(settings_for_tests) as conn:
        (row,) = evidence_of(conn, [ADDRESS])
        said = probe(2, row.address_id, "acme.test")
        merge_observations(conn, Observations([session()], [said], [answered(row.address_id, 2)]), NOON)
    summary = judge_unjudged(settings_for_tests.model_copy(update={"role_is_safe": True}))
    assert (summary.judged_count, summary.rejudgement) == (1, None)


def test_a_rejudging_that_was_stopped_goes_on_in_the_same_report(settings_for_tests: Settings) -> None:
    now = datetime.now(UTC)
    with open_ledger(settings_for_tests) as conn:
        note_rules(conn, "old", {"judge": "1"}, now)
        note_rules(conn, "new", {"judge": "2"}, now + timedelta(seconds=1))
        first = begin_rejudgement(conn, "new", now)
        assert begin_rejudgement(conn, "new", now) == first
        assert begin_rejudgement(conn, "old", now) != first
        latest = last_rejudgement(conn)
    assert latest is not None
    assert latest.changed_parts == {"judge": ("2", "1")}
    assert (latest.ended_at, latest.changes) == (None, [])


@pytest.mark.parametrize("batch_addresses", [1, 2, 5])
def test_batches_overlap_and_every_address_is_judged_once(settings_for_tests: Settings, batch_addresses: int) -> None:
    with open_ledger(settings_for_tests) as conn:
        take(conn, *(f"no?address{n}" for n in range(5)))
    committed: list[int] = []
    first = judge_unjudged(settings_for_tests, committed.append, batch_addresses)
    assert (first.judged_count, sum(committed), max(committed)) == (5, 5, batch_addresses)
    other_rules = settings_for_tests.model_copy(update={"role_is_safe": True})
    again = judge_unjudged(other_rules, batch_addresses=batch_addresses)
    assert again.rejudgement is not None
    assert (again.judged_count, again.rejudgement.judged_count, again.rejudgement.changed_count) == (5, 5, 0)
    assert judge_unjudged(other_rules).judged_count == 0
