"""What the judge takes from the spelling of an address and from today's lists, not from what intake once stored."""

import psycopg

from ct_pipeline.settings import Settings
from ct_pipeline.stages.judge import judge_addresses, judge_unjudged
from ct_pipeline.storage.domain_facts import keep_domain_facts
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.vocabulary import GibberishThreshold
from ct_pipeline_tests.storage.records import NOON, facts, take

RANDOM, TAGGED, ROLE, THROW_AWAY, PERSON = (
    "xkqzvbnmtr@shop.test",
    "ann.lee+news@shop.test",
    "no-reply@shop.test",
    "ann@brandnew.test",
    "ann@shop.test",
)
EVERYONE = [RANDOM, TAGGED, ROLE, THROW_AWAY, PERSON]


def fill(conn: psycopg.Connection) -> None:
    take(conn, *EVERYONE)
    keep_domain_facts(conn, [facts("shop.test"), facts("brandnew.test")], NOON)
    conn.execute("update ledger.domains set provider = 'google' where domain = 'shop.test'")
    conn.execute("update ledger.domains set mx_record = 'mail.wabblywabble.com' where domain = 'brandnew.test'")


def judged(settings: Settings) -> dict[str, Verdict]:
    return {verdict.address: verdict for verdict in judge_addresses(settings, EVERYONE)}


def test_facts_are_todays_whatever_was_stored_before(settings_for_tests: Settings) -> None:
    with open_ledger(settings_for_tests) as conn:
        fill(conn)
    found = judged(settings_for_tests)
    assert [address for address in EVERYONE if found[address].is_gibberish] == [RANDOM]
    assert [address for address in EVERYONE if found[address].is_role] == [ROLE]
    assert [address for address in EVERYONE if found[address].is_disposable] == [THROW_AWAY]
    assert {address: v.canonical_email for address, v in found.items() if v.canonical_email} == {
        TAGGED: "ann.lee@shop.test"
    }


def test_another_threshold_judges_anew_without_asking_anyone(settings_for_tests: Settings) -> None:
    with open_ledger(settings_for_tests) as conn:
        fill(conn)
    assert judged(settings_for_tests)[RANDOM].is_gibberish
    assert judge_unjudged(settings_for_tests).judged_count == 0
    off = settings_for_tests.model_copy(update={"gibberish": GibberishThreshold.OFF})
    assert judge_unjudged(off).judged_count == len(EVERYONE)
    assert not any(verdict.is_gibberish for verdict in judged(off).values())
