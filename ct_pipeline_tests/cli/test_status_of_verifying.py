"""What `status` shows of the verifier: what waits and why, who turned us away, what it costs the mail hosts."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import psycopg
from rich.console import Console

from ct_pipeline.cli.status import show_status
from ct_pipeline.settings import Settings
from ct_pipeline.stages.status import Status, status
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.site_memory import keep_site_memories
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.storage.records import HOUR, LANE, NOON, answered, look_up, probe, session, take

PEOPLE = [f"user{number}@x.test" for number in range(3)] + ["zoe@y.test"]


def shown(found: Status) -> str:
    console = Console(width=200, record=True, file=StringIO())
    show_status(found, console)
    return console.export_text()


def asked(settings: Settings) -> psycopg.Connection:
    assert settings.database_url is not None
    conn = psycopg.connect(settings.database_url.get_secret_value(), autocommit=True)
    take(conn, *PEOPLE)
    look_up(conn, "x.test", "y.test", now=datetime.now(UTC))
    rows = Observations([session()], [probe(1, 1, "x.test"), probe(2, None, "x.test", 550)], [answered(1, 1)])
    merge_observations(conn, rows, NOON)
    return conn


def test_what_waits_and_what_it_cost(settings_for_tests: Settings) -> None:
    with asked(settings_for_tests):
        text = shown(status(settings_for_tests))
    assert "cost to others  1 session, 2 RCPTs (1 of them about names of ours), 0 DNS queries" in text
    assert "per address 1.00 sessions, 2.00 RCPTs, 0.00 DNS queries" in text
    (row,) = (line.split() for line in text.splitlines() if line.startswith(LANE))
    assert row == [LANE, "not_asked_yet", "3", "0", "0", "0", "now"]
    assert "turned us away" not in text
    (row,) = (line.split() for line in text.splitlines() if line.startswith("x.test"))
    assert row == ["x.test", "1", "2", "1", "1.00", "closed"]


def test_who_turned_us_away_is_told_with_what_to_do(settings_for_tests: Settings) -> None:
    until_at = datetime.now(UTC) + HOUR
    note = BreakerNote(Reason.PROBER_BLOCKED, "Client host\nblocked using a list", NOON, until_at)
    memory = SiteMemory("default", "y.test", LANE, NOON, 0.5, breaker=note)
    with asked(settings_for_tests) as conn:
        keep_site_memories(conn, [memory, *(replace(memory, site=f"empty{number}.test") for number in range(9))])
        found = status(settings_for_tests)
    assert found.due_now_count == 2
    text = shown(found)
    (row,) = (line for line in text.splitlines() if line.startswith("y.test  "))
    assert "it blocks our address" in row
    assert "Client host blocked using a list" in row
    assert f"{until_at:%Y-%m-%d %H:%M} UTC" in row
    assert "busiest sites" in text
    assert text.count("empty0.test") == 1, "it was never spoken to"
    assert "and 2 more; all in ledger.site_costs" in text
    assert "1 behind a breaker" in text
    assert any(step.startswith("y.test turned us away. `ct-pipeline doctor` tells") for step in found.next_steps)
