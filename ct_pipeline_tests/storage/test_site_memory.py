"""What is remembered of sites, and that nobody is sent to one that has turned us away."""

from dataclasses import replace
from datetime import datetime

import psycopg
import pytest

from ct_pipeline.storage.due import DueAgain, due_again, lanes_due, next_due_among, next_due_at
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.probes import ObservationWriter
from ct_pipeline.storage.site_memory import keep_site_memories, open_breakers, site_memories
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.storage.records import DAY, HOUR, LANE, NOON, look_up, new_pull, session, take

BREAKER = BreakerNote(Reason.PROBER_BLOCKED, "Client host blocked", NOON, NOON + 2 * HOUR, 3)


def memory(site: str = "x.test", egress: str = "default", breaker: BreakerNote | None = BREAKER) -> SiteMemory:
    return SiteMemory(egress, site, LANE, NOON, 0.25, 12, NOON - DAY, breaker, NOON - DAY, False, True)


def test_what_was_kept_is_remembered(conn: psycopg.Connection) -> None:
    kept = [memory(), memory("y.test", breaker=None), memory(egress="second")]
    keep_site_memories(conn, kept)
    assert site_memories(conn, "default", ["x.test", "y.test", "z.test"]) == {"x.test": kept[0], "y.test": kept[1]}
    assert site_memories(conn, "second", ["x.test"]) == {"x.test": kept[2]}


@pytest.mark.parametrize("later", [NOON - HOUR, NOON + HOUR])
def test_the_newest_memory_wins(conn: psycopg.Connection, later: datetime) -> None:
    first, second = memory(), replace(memory(breaker=None), share=0.5, updated_at=later)
    keep_site_memories(conn, [first])
    keep_site_memories(conn, [second])
    assert site_memories(conn, "default", ["x.test"]) == {"x.test": second if later > NOON else first}


def test_memories_come_with_the_observations_and_the_last_counts(conn: psycopg.Connection, ledger_url: str) -> None:
    with ObservationWriter(ledger_url) as writer:
        writer.put(site_memories=[memory(), replace(memory(), share=0.125)])
        writer.flush()
        assert site_memories(conn, "default", ["x.test"])["x.test"].share == 0.125
    (other,) = [session(2)._replace(egress="second")]
    merge_observations(conn, Observations([session(), other]), NOON)
    rows = conn.execute("select session_id, egress from ledger.sessions order by session_id").fetchall()
    assert rows == [(1, "default"), (2, "second")]


def test_whatever_a_host_says_of_us_can_be_stored(conn: psycopg.Connection) -> None:
    keep_site_memories(conn, [memory(breaker=replace(BREAKER, text="go\0away " + "x" * 5000))])
    note = site_memories(conn, "default", ["x.test"])["x.test"].breaker
    assert note is not None
    assert note.text == "go\ufffdaway " + "x" * 992


def test_open_breakers_are_told_with_who_waits_for_them(conn: psycopg.Connection) -> None:
    take(conn, "ann@y.test", "bob@y.test", "eve@x.test")
    look_up(conn, "x.test", "y.test", "z.test")
    keep_site_memories(conn, [memory(site) for site in ("z.test", "x.test", "y.test")])
    told = [(each.site, each.waiting_count, each.note) for each in open_breakers(conn, NOON)]
    assert told == [("y.test", 2, BREAKER), ("x.test", 1, BREAKER), ("z.test", 0, BREAKER)]
    assert open_breakers(conn, BREAKER.until_at) == []


def test_a_site_whose_breaker_is_open_is_not_due(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@y.test")
    look_up(conn, "x.test", "y.test")
    keep_site_memories(conn, [memory()])
    assert lanes_due(conn, NOON) == {LANE: 1}
    assert lanes_due(conn, BREAKER.until_at) == {LANE: 2}
    keep_site_memories(conn, [memory("y.test")])
    assert lanes_due(conn, NOON) == {}


def test_the_next_address_is_due_when_the_breaker_may_be_tried(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    pull_id = new_pull(conn)
    keep_site_memories(conn, [memory()])
    for asked in (None, pull_id):
        assert next_due_at(conn, asked) == BREAKER.until_at
        assert due_again(conn, asked, NOON) == DueAgain(1, 0, BREAKER.until_at, BREAKER.until_at)
        assert due_again(conn, asked, NOON + HOUR) == DueAgain(1, 1, BREAKER.until_at, BREAKER.until_at)


def test_the_next_of_some_addresses_is_due_when_they_are_and_not_when_others_are(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test", "bob@y.test")
    look_up(conn, "x.test", "y.test")
    keep_site_memories(conn, [memory()])
    assert next_due_among(conn, ["ann@x.test"]) == BREAKER.until_at
    assert next_due_among(conn, ["ann@x.test", "bob@y.test"]) == NOON == next_due_at(conn)
    assert next_due_among(conn, ["eve@y.test"]) is None
    conn.execute("update ledger.due set next_attempt_at = null")
    assert next_due_among(conn, ["ann@x.test", "bob@y.test"]) is None


def test_a_breaker_of_another_lane_holds_nobody(conn: psycopg.Connection) -> None:
    take(conn, "ann@x.test")
    look_up(conn, "x.test")
    keep_site_memories(conn, [replace(memory(egress="second"), lane="google-1")])
    assert lanes_due(conn, NOON) == {LANE: 1}
    assert next_due_at(conn) == NOON
