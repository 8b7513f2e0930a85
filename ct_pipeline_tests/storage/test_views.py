"""The two views for people and BI tools: what verifying costs each site, and what waits for what."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.costs import LaneDnsCost, SiteCost, TotalCost, busiest_sites, dns_cost, what_verifying_cost
from ct_pipeline.storage.domain_facts import keep_domain_facts
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.site_memory import keep_site_memories
from ct_pipeline.verification.lane_summary import WaitingCount
from ct_pipeline.verification.probe import ProbeKind, Reply, Stage, Turn
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import MailService, Reason
from ct_pipeline_tests.storage.records import DAY, HOUR, LANE, NOON, answered, facts, probe, session, take

NOW = datetime.now(UTC).replace(microsecond=0)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "ledger_views.md"
MINUTE = timedelta(minutes=1)
COSTS = "select * from ledger.site_costs order by site, egress"


def remembered(site: str, until_at: datetime | None) -> SiteMemory:
    note = BreakerNote(Reason.RATE_LIMITED, "slow down", NOON, until_at) if until_at else None
    return SiteMemory("default", site, LANE, NOON, 0.5, 4, NOON, note)


@pytest.fixture
def costs(conn: psycopg.Connection) -> list[dict]:
    """Three addresses at x.test, of which two have answers; y.test only turned us away; nobody dialled gone.test."""
    take(conn, "ann@x.test", "bob@x.test", "eve@x.test", "ann@y.test", "ann@gone.test")
    looked_up = [facts("x.test"), facts("y.test"), facts("gone.test", MailService.DOMAIN_NOT_FOUND)]
    keep_domain_facts(conn, [replace(fact, query_count=3, mx_query_count=1) for fact in looked_up], NOON)
    ids = dict(conn.execute("select address, address_id from ledger.addresses").fetchall())
    ann, bob = ids["ann@x.test"], ids["bob@x.test"]
    greylisted = probe(2, bob, "x.test", 450)._replace(reason=Reason.GREYLISTED)
    control = probe(4, None, "x.test")._replace(kind=ProbeKind.CONTROL)
    lost = probe(6, None, "x.test")._replace(kind=ProbeKind.SESSION, reply=Reply(Stage.CONNECT, 0, None, "lost"))
    blocked = probe(5, None, "y.test", 554)._replace(session_id=2, reason=Reason.PROBER_BLOCKED)
    merge_observations(
        conn,
        Observations(
            [session(), session(2)._replace(site="y.test"), session(3)._replace(egress="second")],
            [probe(1, ann, "x.test"), greylisted, probe(3, None, "x.test", 550), control, lost, blocked],
            [answered(ann, 1), Turn(bob, NOW + HOUR, 1, 2)],
            site_memories=[remembered("y.test", NOW + HOUR), remembered("z.test", NOW - HOUR)],
        ),
        NOON,
    )
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(COSTS).fetchall()


def test_what_each_site_cost(costs: list[dict]) -> None:
    assert [(row["site"], row["egress"]) for row in costs] == [
        ("x.test", "default"), ("x.test", "second"), ("y.test", "default"), ("z.test", "default"),
    ]  # fmt: skip
    first = costs[0]
    counted = {name: first[name] for name in first if name.endswith("_count")}
    assert counted == {
        "session_count": 1, "rcpt_count": 2, "address_count": 2, "random_probe_count": 1, "control_probe_count": 1,
        "reply_count": 4, "refusal_count": 0, "domain_count": 1, "dns_query_count": 3, "mx_query_count": 1,
    }  # fmt: skip
    assert (first["sessions_per_address"], first["rcpts_per_address"]) == (0.5, 1.0)
    assert (first["temporary_reply_rate"], first["dns_queries_per_address"]) == (0.25, 1.5)
    assert (first["connection_share"], first["breaker_state"], first["last_seen_at"]) == (None, "closed", NOON)


def test_how_we_stand_with_each_site(costs: list[dict]) -> None:
    blocked, to_be_tried = costs[2:]
    assert (blocked["refusal_count"], blocked["address_count"], blocked["sessions_per_address"]) == (1, 0, None)
    assert blocked["breaker_state"] == f"open until {NOW + HOUR:%Y-%m-%d %H:%M:%S} UTC"
    assert (blocked["breaker_reason"], blocked["breaker_text"]) == ("rate_limited", "slow down")
    assert (blocked["connection_share"], blocked["connection_ceiling"]) == (0.5, 4)
    assert (to_be_tried["session_count"], to_be_tried["breaker_state"]) == (0, "trial due")


@pytest.mark.usefixtures("costs")
def test_the_total_and_the_busiest(conn: psycopg.Connection) -> None:
    # gone.test was answered by DNS alone
    assert what_verifying_cost(conn) == TotalCost(3, 2, 3, 6, 2, 1, 9)
    assert busiest_sites(conn, 1) == [SiteCost("x.test", "default", 1, 2, 2, None, "closed")]
    assert dns_cost(conn, LANE) == LaneDnsCost(9, 5)
    assert dns_cost(conn, "google") == LaneDnsCost(0, 0)


def test_what_waits_for_what(conn: psycopg.Connection) -> None:
    take(conn, *(f"user{number}@x.test" for number in range(5)), "ann@y.test", "ann@new.test")
    keep_domain_facts(conn, [facts("x.test"), facts("y.test")], NOON)
    ids = [
        number for (number,) in conn.execute("select address_id from ledger.addresses where address like '%@x.test'")
    ]
    greylisted = [probe(n, n, "x.test", 450)._replace(reason=Reason.GREYLISTED) for n in ids[:4]]
    at = [NOW - MINUTE, NOW + 30 * MINUTE, NOW + 50 * MINUTE, NOW + DAY]
    turns = [Turn(n, next_at, count, n) for n, next_at, count in zip(ids, at, (1, 2, 5, 3), strict=False)]
    merge_observations(conn, Observations([session()], greylisted, turns), NOON)
    keep_site_memories(conn, [remembered("y.test", NOW + 2 * HOUR)])
    grey = WaitingCount(LANE, Reason.GREYLISTED, 1, 2, 1, NOW - MINUTE, 5, 0)
    never = WaitingCount(LANE, Reason.NOT_ASKED_YET, 1, 0, 1, NOON, 0, 1)
    unknown = WaitingCount("", Reason.NOT_ASKED_YET, 1, 0, 0, NOON, 0, 0)
    assert due_backlog(conn) == [unknown, never, grey]
    assert due_backlog(conn, LANE) == [never, grey]
    assert due_backlog(conn, "google") == []


@pytest.mark.parametrize("view", ["site_costs", "due_backlog"])
def test_a_reader_of_the_database_finds_the_views_explained(conn: psycopg.Connection, view: str) -> None:
    row = conn.execute("select obj_description(%s::regclass)", (f"ledger.{view}",)).fetchone()
    assert row is not None
    assert row[0]


@pytest.mark.parametrize("view", ["site_costs", "due_backlog"])
def test_the_reference_names_every_column(conn: psycopg.Connection, view: str) -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    section = page[page.index(f"## `ledger.{view}`") :].partition("```sql")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    cursor = conn.execute(sql.SQL("select * from ledger.{}").format(sql.Identifier(view)))
    assert sorted(named) == sorted(column.name for column in cursor.description or ())
