"""What the sensors around the verifier decide, on a real ledger and a real instance."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.orchestration.partitions import lane_range_tags, lanes
from ct_pipeline.orchestration.under_way import FIRST_REST, lanes_under_way, resting_until
from ct_pipeline.orchestration.verifying_sensors import (
    LISTS_WHILE_VERIFYING,
    UNJUDGED_AGE,
    judging,
    list_writing,
    recheck,
)
from ct_pipeline.settings import Settings
from ct_pipeline.stages.intake import normalize_new_pulls, take_in_contact_file
from ct_pipeline.storage.domain_facts import keep_domain_facts
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.site_memory import keep_site_memories
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import MailService, Reason
from ct_pipeline_tests.orchestration.deciding import asked, decide, started


def test_nothing_is_asked_again_while_nothing_is_due(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert isinstance(decide(recheck, instance), dg.SkipReason)


def test_due_addresses_are_asked_in_one_run_from_the_first_to_the_last_lane(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    _due_in(settings, {"a.test": "google", "b.test": "small-05", "c.test": "yahoo"})
    decision = asked(recheck, instance)
    requested = [(request.job_name, request.tags) for request in decision.run_requests or ()]
    assert requested == [("verify", lane_range_tags("google", "small-05"))]


def test_domains_never_looked_up_get_a_run_of_their_own(settings: Settings, instance: dg.DagsterInstance) -> None:
    _due_in(settings, {"a.test": ""})
    decision = asked(recheck, instance)
    assert [request.job_name for request in decision.run_requests or ()] == ["domains"]


def test_a_lane_that_a_run_works_on_is_not_asked_for(settings: Settings, instance: dg.DagsterInstance) -> None:
    _due_in(settings, {"a.test": "google", "c.test": "yahoo"})
    started(instance, "verify", lane_range_tags("google", "yahoo"))
    assert isinstance(decide(recheck, instance), dg.SkipReason)
    _due_in(settings, {"d.test": "small-05"})
    decision = asked(recheck, instance)
    assert [request.tags for request in decision.run_requests or ()] == [lane_range_tags("small-05", "small-05")]


def test_lanes_of_another_machines_egress_are_not_asked_for(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    _due_in(settings, {"a.test": "google", "c.test": "yahoo"})
    path = settings.state_dir / "egresses.toml"
    path.write_text('[[egress]]\nname = "paris"\nlanes = ["google"]\n[[egress]]\nname = "delhi"\n')
    monkeypatch.setenv("CT_EGRESS_FILE", str(path))
    monkeypatch.setenv("CT_OWN_EGRESSES", "delhi")
    decision = asked(recheck, instance)
    assert [request.tags for request in decision.run_requests or ()] == [lane_range_tags("yahoo", "yahoo")]
    monkeypatch.setenv("CT_OWN_EGRESSES", "london")
    refusal = decide(recheck, instance)
    assert isinstance(refusal, dg.SkipReason)
    assert "CT_OWN_EGRESSES names london" in str(refusal.skip_message)


def test_no_run_is_asked_for_a_site_that_has_turned_us_away(settings: Settings, instance: dg.DagsterInstance) -> None:
    _due_in(settings, {"a.test": "google", "b.test": "small-05"})
    _turned_away(settings, "a.test", "google")
    decision = asked(recheck, instance)
    assert [request.tags for request in decision.run_requests or ()] == [lane_range_tags("small-05", "small-05")]
    _turned_away(settings, "b.test", "small-05")
    assert isinstance(decide(recheck, instance), dg.SkipReason)


def test_lanes_that_a_run_has_finished_are_free_again(settings: Settings, instance: dg.DagsterInstance) -> None:
    result = JobRuns(instance).verify(("google", "google"))
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    instance.report_run_canceling(run)  # unfinished again, with its lane done
    assert lanes_under_way(instance) == set()
    started(instance, "verify", {"dagster/partition": "yahoo"})
    assert lanes_under_way(instance) == {"yahoo"}
    started(instance, "verify", {})
    assert lanes_under_way(instance) == set(lanes.get_partition_keys())


def test_a_failing_job_rests_longer_each_time(settings: Settings, instance: dg.DagsterInstance) -> None:
    _due_in(settings, {"a.test": "google"})
    rests = []
    for _ in range(3):
        instance.report_run_failed(started(instance, "verify", {}))
        until = resting_until(instance, "verify")
        assert until is not None
        rests.append(until - datetime.now(UTC))
        assert isinstance(decide(recheck, instance), dg.SkipReason)
    assert rests[0] <= FIRST_REST < rests[1] <= 2 * FIRST_REST < rests[2]
    JobRuns(instance).verify(("yahoo", "yahoo"))  # idle: succeeds
    assert resting_until(instance, "verify") is None


def test_evidence_is_judged_at_once_while_the_verifier_is_idle(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert isinstance(decide(judging, instance), dg.SkipReason)
    _unjudged(settings)
    assert isinstance(decide(judging, instance), dg.RunRequest)


def test_evidence_waits_for_company_while_the_verifier_runs(settings: Settings, instance: dg.DagsterInstance) -> None:
    _unjudged(settings)
    started(instance, "verify", {})
    assert isinstance(decide(judging, instance), dg.SkipReason)
    with open_ledger(settings) as ledger:
        ledger.execute("update ledger.unjudged set since_at = %s", (datetime.now(UTC) - UNJUDGED_AGE,))
    assert isinstance(decide(judging, instance), dg.RunRequest)
    started(instance, "judge", {})
    assert isinstance(decide(judging, instance), dg.SkipReason)


def test_a_list_is_written_when_its_verdicts_are_newer(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert isinstance(decide(list_writing, instance), dg.SkipReason)
    instance.add_dynamic_partitions("contact_files", ["faults.csv", "people.csv"])
    _unjudged(settings)
    JobRuns(instance).judge()
    first = asked(list_writing, instance)
    assert [request.partition_key for request in first.run_requests or ()] == ["faults.csv"]
    assert isinstance(decide(list_writing, instance, first.cursor), dg.SkipReason)
    JobRuns(instance).judge()  # nothing new
    second = asked(list_writing, instance, first.cursor)
    assert not second.run_requests


def test_lists_wait_while_the_verifier_runs_but_not_for_days(settings: Settings, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("contact_files", ["faults.csv"])
    _unjudged(settings)
    JobRuns(instance).judge()
    started(instance, "verify", {})
    just_written = json.dumps({"judged_at": datetime.now(UTC).timestamp() - 60})
    JobRuns(instance).judge()
    assert isinstance(decide(list_writing, instance, just_written), dg.SkipReason)
    long_ago = json.dumps({"judged_at": (datetime.now(UTC) - LISTS_WHILE_VERIFYING).timestamp() - 60})
    assert [request.partition_key for request in asked(list_writing, instance, long_ago).run_requests or ()]


def test_a_database_that_does_not_answer_is_told_and_waited_for(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CT_DATABASE_URL", "postgresql://ct@127.0.0.1:1/ct")
    for sensor in (recheck, judging):
        decision = decide(sensor, instance)
        assert isinstance(decision, dg.SkipReason)
        assert "127.0.0.1:1" in (decision.skip_message or "")


def _due_in(settings: Settings, lane_of: dict[str, str]) -> None:
    """One due address a domain; a domain with a lane has facts in force, one without was never looked up."""
    path = settings.state_dir / f"{'-'.join(lane_of)}.csv"
    path.write_text("email\n" + "".join(f"anna@{domain}\n" for domain in lane_of))
    take_in_contact_file(settings, path)
    normalize_new_pulls(settings)
    now = datetime.now(UTC)
    facts = [
        DomainFacts(
            domain=domain,
            service=MailService.MX,
            mx_hosts=(MxHost(10, f"mx.{domain}", ("127.77.0.9",)),),
            mx_record=f"mx.{domain}",
            provider="",
            site=domain,
            lane=lane,
            is_disposable=False,
            is_free=False,
            looked_up_at=now,
            expires_at=now + timedelta(days=1),
        )
        for domain, lane in lane_of.items()
        if lane
    ]
    with open_ledger(settings) as ledger:
        keep_domain_facts(ledger, facts, now)


def _turned_away(settings: Settings, site: str, lane: str) -> None:
    now = datetime.now(UTC)
    note = BreakerNote(Reason.PROBER_BLOCKED, "no", now, now + timedelta(hours=1))
    with open_ledger(settings) as ledger:
        keep_site_memories(ledger, [SiteMemory("default", site, lane, now, 0.5, breaker=note)])


def _unjudged(settings: Settings) -> None:
    """One address with evidence: what is no address needs no other."""
    path = settings.state_dir / "faults.csv"
    path.write_text("email\nanna@@acme.test\n")
    take_in_contact_file(settings, path)
    normalize_new_pulls(settings)
