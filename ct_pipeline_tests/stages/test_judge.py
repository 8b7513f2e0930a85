"""Judging from the ledger: whose word a recorded reply is."""

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline.stages.judge import judge_addresses
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.verdicts import evidence_of
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.vocabulary import Reason, Status
from ct_pipeline_tests.storage.records import NOON, answered, catch_all, look_up, probe, session, take

ADDRESS = "anna@acme.test"


def judged(settings: Settings, kind: ProbeKind, text: str) -> tuple[Status, Reason]:
    """The verdict on an address of a domain that tells names apart, from one 550 of ``kind``."""
    with open_ledger(settings) as conn:
        take(conn, ADDRESS)
        look_up(conn, "acme.test")
        (row,) = evidence_of(conn, [ADDRESS])
        about = row.address_id if kind is ProbeKind.MAILBOX else None
        said = probe(1, about, "acme.test", 550, text)._replace(kind=kind)
        fact = catch_all("acme.test", is_catch_all=False)._replace(tells_apart=True)
        merge_observations(conn, Observations([session()], [said], [answered(row.address_id, 1)], [fact]), NOON)
    (verdict,) = judge_addresses(settings, [ADDRESS])
    return verdict.status, verdict.reason


@pytest.mark.parametrize("text", ["User unknown", "Nope"])
def test_a_refusal_of_the_address_itself_is_its_verdict(settings_for_tests: Settings, text: str) -> None:
    assert judged(settings_for_tests, ProbeKind.MAILBOX, text) == (Status.INVALID, Reason.MAILBOX_NOT_FOUND)


@pytest.mark.parametrize("text", ["User unknown", "Nope"])
def test_a_reply_that_ended_a_session_says_nothing_of_one_mailbox(settings_for_tests: Settings, text: str) -> None:
    assert judged(settings_for_tests, ProbeKind.SESSION, text) == (Status.UNKNOWN, Reason.UNCLEAR_REPLY)


def test_a_block_stays_a_block(settings_for_tests: Settings) -> None:
    text = "Service unavailable; Client host blocked using zen.spamhaus.org"
    assert judged(settings_for_tests, ProbeKind.SESSION, text) == (Status.UNKNOWN, Reason.PROBER_BLOCKED)
