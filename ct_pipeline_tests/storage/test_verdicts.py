"""Verdicts: what is handed to the judge, what is taken back, and what people get to see."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import psycopg
import pytest

from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.pulls import latest_pull
from ct_pipeline.storage.verdicts import (
    EvidenceRow,
    evidence_of,
    keep_verdicts,
    reason_counts,
    unjudged_backlog,
    unjudged_evidence,
    verdict_counts,
)
from ct_pipeline.storage.verified_rows import VERIFIED_ROWS_SCHEMA, verified_rows
from ct_pipeline.verdicts.evidence import Evidence
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verification.probe import Probe, ProbeKind, Stage, Turn
from ct_pipeline.vocabulary import MailService, Reason, Status
from ct_pipeline_tests.storage.records import (
    DAY,
    NOON,
    answered,
    catch_all,
    look_up,
    probe,
    session,
    take,
    verdict,
)

# What the judge works out from the row, the lists and the rules of the day.
FROM_TODAYS_RULES = {
    "reading", "settled", "is_gibberish", "canonical_email", "listing", "is_acceptance_doubtful",
    "is_refusal_doubtful",
}  # fmt: skip


def observe(conn: psycopg.Connection, probes: Sequence[Probe], turns: Sequence[Turn], now: datetime = NOON) -> None:
    merge_observations(conn, Observations([session()], list(probes), list(turns)), now)


def judge(
    conn: psycopg.Connection, rows: Sequence[EvidenceRow], status: Status = Status.VALID, version: str = "v1"
) -> int:
    return keep_verdicts(conn, [verdict(row, status, version) for row in rows], rows)


@pytest.fixture
def pull_id(conn: psycopg.Connection) -> int:
    """Four rows: ann twice, bob, and no address; x.test takes mail, everybody is answered and unjudged."""
    take(conn, "ann@x.test", "Ann@x.test", "bob@x.test", "no?address")
    look_up(conn, "x.test")
    observe(conn, [probe(1, 1, "x.test"), probe(2, 2, "x.test", 550, "no such user")], [answered(1, 1), answered(2, 2)])
    pull = latest_pull(conn, "list.csv")
    assert pull is not None
    return pull.pull_id


def test_evidence_holds_everything_that_the_judge_asks_for(conn: psycopg.Connection, pull_id: int) -> None:
    merge_observations(conn, Observations(catch_all_facts=[catch_all("x.test", is_catch_all=False)]), NOON)
    (bob,) = evidence_of(conn, ["bob@x.test", "unheard@of.test"])
    assert bob._replace(revision=None) == EvidenceRow(
        address_id=2,
        address="bob@x.test",
        syntax_reason=None,
        is_role=False,
        suggested_email=None,
        domain="x.test",
        mail_service=MailService.MX,
        dns_detail="MX of x.test",
        provider="x.test",
        mx_record="mx.x.test",
        is_disposable=False,
        is_free=False,
        domain_looked_up_at=NOON,
        service_since_at=NOON,
        smtp_kind=ProbeKind.MAILBOX,
        smtp_stage=Stage.RCPT,
        smtp_code=550,
        smtp_enhanced="2.1.5",
        smtp_text="no such user",
        is_definitive=False,
        probe_reason=Reason.MAILBOX_NOT_FOUND,
        asked_at=NOON,
        elapsed_ms=12,
        settled_stage=None,
        settled_code=None,
        settled_enhanced=None,
        settled_text=None,
        settled_asked_at=None,
        settled_elapsed_ms=None,
        attempt_count=1,
        next_attempt_at=None,
        is_catch_all=False,
        tells_apart=None,
        catch_all_found_at=NOON,
        revision=None,
    )
    assert set(Evidence._fields) - FROM_TODAYS_RULES <= set(EvidenceRow._fields)


def test_what_is_judged_leaves_the_list(conn: psycopg.Connection, pull_id: int) -> None:
    waiting = unjudged_backlog(conn)
    assert (waiting.count, waiting.oldest_at) == (3, NOON)
    first = unjudged_evidence(conn, "v1", 2)
    assert judge(conn, first) == 2
    second = unjudged_evidence(conn, "v1", 2)
    assert judge(conn, second) == 1
    assert {row.address for row in first + second} == {"ann@x.test", "bob@x.test", "no?address"}
    assert unjudged_evidence(conn, "v1", 2) == []
    assert (unjudged_backlog(conn).count, unjudged_backlog(conn).oldest_at) == (0, None)


def test_evidence_that_arrives_while_judging_is_judged_again(conn: psycopg.Connection, pull_id: int) -> None:
    rows = unjudged_evidence(conn, "v1", 10)
    observe(conn, [probe(3, 1, "x.test", 550, "gone since")], [answered(1, 3)])
    judge(conn, rows)
    (again,) = unjudged_evidence(conn, "v1", 10)
    assert (again.address, again.smtp_text) == ("ann@x.test", "gone since")
    judge(conn, [again])
    assert unjudged_evidence(conn, "v1", 10) == []


def test_evidence_that_is_not_yet_committed_while_judging_is_judged_again(
    conn: psycopg.Connection, ledger_url: str, pull_id: int
) -> None:
    rows = unjudged_evidence(conn, "v1", 10)
    judge(conn, rows)
    with psycopg.connect(ledger_url) as other, other.transaction():
        # its clock is behind the judge's, and the judge reads before it commits
        observe(other, [probe(3, 1, "x.test", 550, "gone since")], [answered(1, 3)], NOON - DAY)
        stale = evidence_of(conn, ["ann@x.test"])
        judge(conn, stale)
    (again,) = unjudged_evidence(conn, "v1", 10)
    assert again.smtp_text == "gone since"


def test_a_slower_judge_does_not_overwrite_newer_evidence(conn: psycopg.Connection, pull_id: int) -> None:
    slow = unjudged_evidence(conn, "v1", 10)
    observe(conn, [probe(3, 1, "x.test", 550, "gone since")], [answered(1, 3)])
    fast = unjudged_evidence(conn, "v1", 10)
    assert judge(conn, fast, Status.INVALID) == 3
    assert judge(conn, slow, Status.VALID) == 0
    assert verdict_counts(conn)[Status.INVALID] == 3


def test_other_rules_call_every_verdict_back_and_nothing_is_asked(conn: psycopg.Connection, pull_id: int) -> None:
    judge(conn, unjudged_evidence(conn, "v2", 10), version="v2")
    for version in ("v1", "v3"):  # sorts before, sorts after
        rows = unjudged_evidence(conn, version, 10)
        assert len(rows) == 3
        assert len(unjudged_evidence(conn, version, 2)) == 2
        judge(conn, rows, version=version)
        assert unjudged_evidence(conn, version, 10) == []
    assert conn.execute("select count(*) from ledger.due where next_attempt_at is not null").fetchone() == (0,)


def test_a_verdict_on_demand_clears_what_it_saw(conn: psycopg.Connection, pull_id: int) -> None:
    judge(conn, evidence_of(conn, ["bob@x.test"]))
    assert {row.address for row in unjudged_evidence(conn, "v1", 10)} == {"ann@x.test", "no?address"}


def test_counts_are_of_addresses_and_miss_none(conn: psycopg.Connection, pull_id: int) -> None:
    take(conn, "cid@y.test", sha256="bb")
    judge(conn, evidence_of(conn, ["ann@x.test"]))
    judge(conn, evidence_of(conn, ["bob@x.test"]), Status.INVALID)
    assert verdict_counts(conn, pull_id) == {"valid": 1, "invalid": 1, "catch_all": 0, "unknown": 1}
    assert verdict_counts(conn) == {"valid": 1, "invalid": 1, "catch_all": 0, "unknown": 2}
    assert reason_counts(conn) == {Reason.ACCEPTED: 2, Reason.NOT_ASKED_YET: 2}
    assert reason_counts(conn, pull_id) == {Reason.ACCEPTED: 2, Reason.NOT_ASKED_YET: 1}


def test_every_row_of_a_pull_comes_with_its_verdict_in_order(conn: psycopg.Connection, pull_id: int) -> None:
    rows = evidence_of(conn, ["ann@x.test", "no?address"])
    judge(conn, rows)
    frames = list(verified_rows(conn, pull_id, batch_rows=3))
    assert [frame.height for frame in frames] == [3, 1]
    assert {tuple(frame.schema.items()) for frame in frames} == {tuple(VERIFIED_ROWS_SCHEMA.items())}
    whole = pl.concat(frames)
    assert whole["row_number"].to_list() == [1, 2, 3, 4]
    assert whole["address"].to_list() == ["ann@x.test", "ann@x.test", "bob@x.test", "no?address"]
    assert whole["status"].to_list() == ["valid", "valid", "unknown", "valid"]
    assert whole["reason"].to_list() == ["accepted", "accepted", "not_asked_yet", "accepted"]
    assert whole["provider"].to_list() == ["x.test", "x.test", "x.test", ""]
    assert whole["verified_at"].to_list() == [NOON, NOON, None, None]
    assert whole["smtp_code"].to_list() == [250, 250, None, None]


def test_the_columns_are_those_of_a_verdict() -> None:
    fields = [name for name in Verdict._fields if name not in ("address", "address_id")]
    assert VERIFIED_ROWS_SCHEMA.names() == ["row_number", "address", "address_id", *fields]


def test_a_list_that_is_read_halfway_leaves_the_connection_usable(conn: psycopg.Connection, pull_id: int) -> None:
    rows = verified_rows(conn, pull_id, batch_rows=1)
    next(rows)
    rows.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert sum(frame.height for frame in verified_rows(conn, pull_id)) == 4
    assert list(verified_rows(conn, pull_id + 1)) == []
