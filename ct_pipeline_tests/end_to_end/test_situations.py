"""Every situation in one ledger, the real way from contact file to verdict; then one assertion each.

Everybody is asked three times, on three days, as if all were due again: greylisting and doubt need it, and nothing else
may change by it.
"""

from dataclasses import dataclass, field

import pytest

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.judge import judge_unjudged
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.verdicts import verdict_words
from ct_pipeline.vocabulary import Status
from ct_pipeline_tests.end_to_end.pipeline import take_in
from ct_pipeline_tests.end_to_end.situation_hosts import Turncoat
from ct_pipeline_tests.end_to_end.situations import (
    SITUATIONS,
    Outcome,
    Situation,
    become_a_catch_all,
    distrustful,
    for_a_day,
    for_a_day_from_the_first,
)
from ct_pipeline_tests.end_to_end.situations_world import SituationsWorld, situations_world

# But where nobody answers: to find that out again takes seconds and shows nothing new.
EVERYBODY_IS_DUE = """
update ledger.due set next_attempt_at = now()
where domain_id in (select domain_id from ledger.domains where lane <> '')
      and not exists (select from ledger.probes p where p.probe_id = due.probe_id and p.reason = 'command_timeout')
"""
ALL_IS_OF_YESTERDAY = """
update ledger.catch_all_facts set doubted_at = doubted_at - interval '1 day', found_at = found_at - interval '1 day';
update ledger.probes set asked_at = asked_at - interval '1 day'
"""
UNSUBSCRIBABLE = """
select address from ledger.verdicts join ledger.addresses using (address_id)
where status = 'invalid' and bounce_type = 'hard' and next_check_at is null
"""
EVERY_SITE_MAY_BE_TRIED = "update ledger.site_memories set breaker_until_at = now() where breaker_until_at > now()"
DAYS = [(False, False), (True, True), (False, True)]  # which of the two turncoats accept every name


@dataclass
class Told:
    """The verdicts after each visit, by address, what lanes said of their sites, and the commands that hosts got."""

    visits: list[dict[str, Outcome]] = field(default_factory=list)
    warnings: list[list[str]] = field(default_factory=list)
    unsubscribable: list[set[str]] = field(default_factory=list)
    commands: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def told(settings_for_module: Settings, tmp_path_factory: pytest.TempPathFactory) -> Told:
    told = Told()
    with situations_world() as world:
        settings = settings_of(world, settings_for_module)
        contacts = tmp_path_factory.mktemp("situations") / "contacts.csv"
        contacts.write_text(world.contacts())
        take_in(settings, contacts)
        for distrustful.accepts_everything, become_a_catch_all.accepts_everything in DAYS:
            visit(settings, world, told)
            let_a_day_pass(settings)
            for_a_day.has_forgiven = for_a_day_from_the_first.has_forgiven = True
        told.commands = {situation.name: world.commands(situation.name) for situation in SITUATIONS}
    return told


def settings_of(world: SituationsWorld, own: Settings) -> Settings:
    return load_settings(state_dir=own.state_dir, database_url=own.database_url, **world.environment)


def visit(settings: Settings, world: SituationsWorld, told: Told) -> None:
    summaries = verify_lanes(settings, lane_keys(load_providers()))
    judge_unjudged(settings)
    told.warnings.append([line for summary in summaries for line in summary.stopped_because])
    with open_ledger(settings) as conn:
        told.visits.append(verdict_words(conn, world.addresses()))
        told.unsubscribable.append({address for (address,) in conn.execute(UNSUBSCRIBABLE)})


def let_a_day_pass(settings: Settings) -> None:
    with open_ledger(settings) as conn:
        conn.execute(EVERYBODY_IS_DUE)
        conn.execute(EVERY_SITE_MAY_BE_TRIED)
        conn.execute(ALL_IS_OF_YESTERDAY)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name.replace(" ", "_"))
def test_situation(situation: Situation, told: Told) -> None:
    first, second, last = (
        {local: words[situation.address(local)] for local in situation.should_be} for words in told.visits
    )
    assert first == situation.should_be | situation.at_first
    assert last == situation.should_be
    if not any(isinstance(host, Turncoat) for host in situation.hosts):
        assert second == situation.should_be


@pytest.mark.parametrize("name", ["accepts-everything-for-a-day", "becomes-a-catch-all"])
def test_what_a_host_accepts_while_it_is_in_doubt_is_no_evidence(name: str, told: Told) -> None:
    """Neither that dead mailboxes live, nor that the domain is a catch-all."""
    statuses = {local: told.visits[1][f"{local}@{name}.test"][0] for local in ("live", "dead")}
    assert statuses["dead"] in (Status.INVALID, Status.UNKNOWN)
    assert statuses["live"] in (Status.VALID, Status.UNKNOWN)


@pytest.mark.parametrize(
    "name",
    [
        "company-of-dead-names-only",
        "domain-not-hosted",
        "refuses-everybody-in-clear-words-from-the-first-name-for-a-day",
    ],
)
def test_what_a_host_says_to_everybody_unsubscribes_nobody_on_one_visit(name: str, told: Told) -> None:
    of_name = [{a for a in addresses if a.endswith(f"@{name}.test")} for addresses in told.unsubscribable]
    assert of_name[0] == set()
    assert of_name[1] == of_name[2] == ({f"dead@{name}.test"} if "day" in name else of_name[2])
    assert of_name[2]


def test_a_domain_in_doubt_is_named(told: Told) -> None:
    first, second, third = (
        [line for line in lines if "accepts names that it refused before" in line] for lines in told.warnings
    )
    assert [sorted(line.partition(":")[0] for line in lines) for lines in (first, second, third)] == [
        ["closed-name-at-a-catch-all.test"],
        ["accepts-everything-for-a-day.test", "becomes-a-catch-all.test"],
        [],
    ]
    assert first == ["{0}: {0} accepts names that it refused before".format("closed-name-at-a-catch-all.test")]


def test_hosts_whose_answer_says_nothing_are_not_asked(told: Told) -> None:
    assert told.commands["provider that accepts everything and bounces later"] == []


def test_no_message_is_ever_begun(told: Told) -> None:
    said = {command[:4].upper() for commands in told.commands.values() for command in commands}
    assert said == {"EHLO", "HELO", "MAIL", "RCPT", "RSET", "NOOP", "QUIT"}
