"""Does the ledger lead back from an address to everything that was asked about it, and can it be asked once more?"""

from collections.abc import Sequence
from datetime import datetime

import psycopg

from ct_pipeline.storage.domain_facts import domains_to_look_up
from ct_pipeline.storage.due import due_addresses, lanes_due
from ct_pipeline.storage.observations import Observations, merge_observations
from ct_pipeline.storage.probes import catch_all_facts
from ct_pipeline.storage.site_memory import keep_site_memories
from ct_pipeline.storage.trail import (
    Holding,
    ask_again,
    breakers_of,
    held_by,
    known_addresses,
    latest_catch_all_facts,
    probes_about,
    probes_of_domains,
)
from ct_pipeline.storage.verdicts import evidence_of, keep_verdicts
from ct_pipeline.verification.probe import CatchAllFact, Probe, ProbeKind, Turn
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import MailService, Reason, Status
from ct_pipeline_tests.storage.records import (
    DAY,
    HOUR,
    LANE,
    NOON,
    answered,
    catch_all,
    look_up,
    probe,
    session,
    take,
    verdict,
)

ANNA = "anna@acme.test"
BORIS = "boris@acme.test"


def id_of(conn: psycopg.Connection, address: str = ANNA) -> int:
    return known_addresses(conn, [address])[address].address_id


def observe(
    conn: psycopg.Connection,
    probes: Sequence[Probe] = (),
    turns: Sequence[Turn] = (),
    facts: Sequence[CatchAllFact] = (),
) -> None:
    merge_observations(conn, Observations([session()], [*probes], [*turns], [*facts]), NOON)


def test_the_last_questions_come_newest_first_and_no_more_than_wanted(conn: psycopg.Connection) -> None:
    take(conn, ANNA, BORIS)
    anna, boris = id_of(conn), id_of(conn, BORIS)
    asked = [probe(number, anna, "acme.test")._replace(asked_at=NOON + number * HOUR) for number in range(1, 6)]
    observe(conn, [*asked, probe(9, boris, "acme.test")])

    found = probes_about(conn, [anna, boris], limit=3)

    assert [one.probe for one in found[anna]] == [asked[4], asked[3], asked[2]]
    assert [one.probe.probe_id for one in found[boris]] == [9]
    assert {one.session for one in found[anna]} == {session()}


def test_the_replies_that_a_verdict_rests_on_are_there_however_old(conn: psycopg.Connection) -> None:
    """One reply was given to a session, another settled the mailbox long ago: neither is among the newest."""
    take(conn, ANNA)
    anna = id_of(conn)
    refused = probe(1, None, "acme.test", 421, "go away")._replace(kind=ProbeKind.SESSION, asked_at=NOON - DAY)
    settling = probe(2, anna, "acme.test")._replace(asked_at=NOON - 2 * DAY)
    newest = [probe(number, anna, "acme.test", 451)._replace(asked_at=NOON + number * HOUR) for number in (3, 4)]
    observe(conn, [settling, *newest], [Turn(anna, None, 1, 2, is_definitive=True)])
    observe(conn, [refused], [Turn(anna, NOON + DAY, 1, 1)])

    assert [one.probe for one in probes_about(conn, [anna], limit=1)[anna]] == [newest[1], refused, settling]


def test_a_probe_whose_session_is_not_there_yet_is_told_without(conn: psycopg.Connection) -> None:
    take(conn, ANNA)
    observe(conn, [probe(1, id_of(conn), "acme.test")._replace(session_id=77)])
    (found,) = probes_about(conn, [id_of(conn)], limit=3)[id_of(conn)]
    assert found.session is None


def test_the_indexes_lead_there(conn: psycopg.Connection) -> None:
    """A ledger may hold 100 million probes: nobody reads them all for a question about one address."""
    take(conn, ANNA)
    observe(conn, [probe(1, id_of(conn), "acme.test"), probe(2, None, "acme.test")])
    conn.execute("set enable_seqscan = off")
    probes_about(conn, [id_of(conn)], limit=3)
    probes_of_domains(conn, ["acme.test"], limit=3)
    conn.execute("select pg_stat_force_next_flush()")
    scans = conn.execute(
        "select indexrelname from pg_stat_user_indexes where relname = 'probes' and idx_scan > 0"
    ).fetchall()
    assert {name for (name,) in scans} >= {"probes_address_id", "probes_of_domain"}


def test_the_last_lists_that_brought_an_address_and_no_check(conn: psycopg.Connection) -> None:
    for day in (1, 2, 3):
        take(conn, ANNA, BORIS, ANNA, sha256=f"{day:04}", now=NOON + day * DAY)
    anna, boris = id_of(conn), id_of(conn, BORIS)
    conn.execute("update ledger.pulls set pulled_at = pulled_at + sha256::int * interval '1 day'")
    conn.execute("update ledger.pulls set kind = 'check' where sha256 = '0003'")
    found = held_by(conn, [anna, boris], limit=1)
    assert found == {one: [Holding("newsletter", "list.csv", NOON + 2 * DAY)] for one in (anna, boris)}
    assert len(held_by(conn, [anna], limit=5)[anna]) == 2


def test_of_a_domain_the_last_questions_of_each_kind(conn: psycopg.Connection) -> None:
    take(conn, ANNA)
    kinds = (ProbeKind.RANDOM, ProbeKind.CONTROL, ProbeKind.SESSION)
    asked = [
        probe(10 * place + number, None, "acme.test")._replace(kind=kind, asked_at=NOON + (10 * place + number) * HOUR)
        for place, kind in enumerate(kinds)
        for number in (1, 2, 3)
    ]
    observe(conn, [*asked, probe(99, id_of(conn), "acme.test"), probe(98, None, "else.test")])

    found = probes_of_domains(conn, ["acme.test"], limit=2)

    assert [one.probe.probe_id for one in found["acme.test"]] == [23, 22, 13, 12, 3, 2]


def test_what_is_known_of_an_address_and_how_it_was_judged(conn: psycopg.Connection) -> None:
    take(conn, ANNA, "what?")
    known = known_addresses(conn, [ANNA, "what?", "nobody@else.test"])
    assert set(known) == {ANNA, "what?"}
    assert (known["what?"].domain, known["what?"].next_attempt_at, known["what?"].judged) == (None, None, None)

    rows = evidence_of(conn, [ANNA])
    keep_verdicts(conn, [verdict(rows[0])], rows)
    judged = known_addresses(conn, [ANNA])[ANNA].judged
    assert judged is not None
    assert (judged.status, judged.reason, judged.rules_version) == (Status.VALID, Reason.ACCEPTED, "v1")


def test_facts_that_have_expired_are_still_told(conn: psycopg.Connection) -> None:
    take(conn, ANNA)
    fact = catch_all("acme.test", now=NOON - 90 * DAY)
    observe(conn, facts=[fact])
    assert latest_catch_all_facts(conn, ["acme.test", "else.test"]) == {"acme.test": fact}
    assert catch_all_facts(conn, ["acme.test"], NOON) == {}


def test_breakers_by_site_and_egress(conn: psycopg.Connection) -> None:
    note = BreakerNote(Reason.PROBER_BLOCKED, "blocked", NOON, NOON + HOUR)
    keep_site_memories(
        conn,
        [
            SiteMemory("default", "acme.test", LANE, NOON, 0.5, breaker=note),
            SiteMemory("other", "acme.test", LANE, NOON, 0.5),
        ],
    )
    assert breakers_of(conn, ["acme.test", "else.test"]) == {"acme.test": {"default": note}}


# -- once more ---


def due_now(conn: psycopg.Connection, now: datetime = NOON) -> dict[str, int]:
    return {one.address: one.attempt_count for one in due_addresses(conn, LANE, now, 10)}


def test_a_fresh_answer_and_one_that_was_put_off_become_due(conn: psycopg.Connection) -> None:
    take(conn, ANNA, BORIS)
    look_up(conn, "acme.test")
    anna, boris = id_of(conn), id_of(conn, BORIS)
    observe(
        conn,
        [probe(1, anna, "acme.test"), probe(2, boris, "acme.test", 451)],
        [answered(anna, 1, attempt_count=3), Turn(boris, NOON + DAY, 2, 2)],
    )
    assert due_now(conn) == {}

    assert ask_again(conn, [ANNA, BORIS, "nobody@else.test"], NOON) == {ANNA, BORIS}

    assert due_now(conn) == {ANNA: 0, BORIS: 2}, "an answer begins anew; what was put off goes on counting"
    assert ask_again(conn, [ANNA], NOON) == set(), "its turn has come already"


def test_a_catch_all_is_found_out_anew(conn: psycopg.Connection) -> None:
    take(conn, ANNA)
    look_up(conn, "acme.test")
    observe(conn, [], [answered(id_of(conn), None)], [catch_all("acme.test")])
    ask_again(conn, [ANNA], NOON)
    assert catch_all_facts(conn, ["acme.test"], NOON) == {}


def test_that_a_domain_is_no_catch_all_stays_known(conn: psycopg.Connection) -> None:
    take(conn, ANNA)
    look_up(conn, "acme.test")
    observe(conn, [], [answered(id_of(conn), None)], [catch_all("acme.test", is_catch_all=False)])
    ask_again(conn, [ANNA], NOON)
    assert set(catch_all_facts(conn, ["acme.test"], NOON)) == {"acme.test"}


def test_a_domain_that_takes_no_mail_is_looked_up_anew_and_another_is_not(conn: psycopg.Connection) -> None:
    take(conn, ANNA, "cid@gone.test")
    look_up(conn, "acme.test")
    look_up(conn, "gone.test", service=MailService.DOMAIN_NOT_FOUND)
    assert ask_again(conn, [ANNA, "cid@gone.test"], NOON) == {"cid@gone.test"}
    assert domains_to_look_up(conn, NOON, 10) == ["gone.test"]


def test_a_site_that_turned_us_away_is_not_asked_for_it(conn: psycopg.Connection) -> None:
    take(conn, ANNA)
    look_up(conn, "acme.test")
    observe(conn, [], [answered(id_of(conn), None)])
    note = BreakerNote(Reason.PROBER_BLOCKED, "blocked", NOON, NOON + HOUR)
    keep_site_memories(conn, [SiteMemory("default", "acme.test", LANE, NOON, 0.5, breaker=note)])
    ask_again(conn, [ANNA], NOON)
    assert due_now(conn) == {}
    assert lanes_due(conn, NOON) == {}
