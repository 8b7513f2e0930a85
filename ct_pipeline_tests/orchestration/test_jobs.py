"""The jobs on a small sandbox: what is materialized, and what the metadata say."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ct_pipeline.errors import ContactFileError
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.orchestration.partitions import lanes
from ct_pipeline.sandbox.behaviours import MailboxBehaviour
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import Mailbox, MailDomain
from ct_pipeline.settings import Settings
from ct_pipeline.storage.database import resolve_database_url
from ct_pipeline.storage.due import lanes_due
from ct_pipeline.storage.lanes import LaneLock
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.site_memory import keep_site_memories
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import Reason

FILE = "people.csv"
PEOPLE = [
    Mailbox("anna@acme.test"),
    Mailbox("bert@acme.test", MailboxBehaviour.MISSING),
    Mailbox("carla@toys.test"),
    Mailbox("ct-sandbox-0001@gmail.com"),
]
DOMAINS = [MailDomain("gmail.com", mail_hosts=("gmail-smtp-in.l.google.com",))]


@pytest.fixture
def runs(settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobRuns]:
    """The jobs, with one contact file in the inbox and its hosts in a sandbox."""
    rows = [mailbox.address for mailbox in PEOPLE] + ["Anna <ANNA@acme.test>", "no address"]
    (settings.inbox_dir / FILE).write_text("email\n" + "".join(f"{row}\n" for row in rows))
    with Sandbox(population=PEOPLE, domains=DOMAINS, smtp_port=0, dns_port=0).run_in_thread() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield JobRuns(instance)


def test_a_contact_file_becomes_a_list_with_verdicts(runs: JobRuns, settings: Settings) -> None:
    runs.intake(FILE)
    runs.verify()
    runs.judge()
    runs.lists(FILE)
    rows = pl.read_csv(settings.lists_dir / FILE, infer_schema=False)
    assert rows["email"].to_list()[-2:] == ["Anna <ANNA@acme.test>", "no address"]
    assert rows["status"].to_list() == ["valid", "invalid", "valid", "valid", "valid", "invalid"]


def test_a_range_yields_each_lane_once_per_asset_the_idle_ones_first(runs: JobRuns) -> None:
    runs.intake(FILE)
    yielded = _materializations(runs.verify())
    every_lane = lanes.get_partition_keys()
    for asset in ("mailbox_probes", "catch_all_facts"):
        assert Counter(lane for key, lane, _ in yielded if key == asset) == Counter(every_lane)
    asked = [metadata["asked_count"] for key, _, metadata in yielded if key == "mailbox_probes"]
    assert sum(asked) == len(PEOPLE)
    busy_count = sum(count > 0 for count in asked)
    assert 2 <= busy_count <= 3  # google, and one or two of the small lanes
    assert not any(asked[:-busy_count])


def test_one_lane_alone_leaves_the_others_due(runs: JobRuns, settings: Settings) -> None:
    runs.intake(FILE)
    yielded = _materializations(runs.verify(("google", "google")))
    assert [(key, lane) for key, lane, _ in yielded] == [("mailbox_probes", "google"), ("catch_all_facts", "google")]
    assert yielded[0][2]["asked_count"] == 1
    with open_ledger(settings) as ledger:
        due = lanes_due(ledger, datetime.now(UTC))
    assert "google" not in due
    assert sum(due.values()) == 3


def test_a_lane_that_another_process_works_on_is_reported_and_the_rest_finishes(
    runs: JobRuns, settings: Settings
) -> None:
    runs.intake(FILE)
    lock = LaneLock(resolve_database_url(settings), "google")
    assert lock.acquire()
    try:
        yielded = _materializations(runs.verify())
    finally:
        lock.release()
    probes = {lane: metadata for key, lane, metadata in yielded if key == "mailbox_probes"}
    assert probes["google"]["asked_count"] == 0
    assert probes["google"]["stopped_because"] != "-"
    assert sum(metadata["asked_count"] for metadata in probes.values()) == 3
    with open_ledger(settings) as ledger:
        assert lanes_due(ledger, datetime.now(UTC)) == {"google": 1}


def test_a_site_that_turned_us_away_is_left_alone_and_told(
    runs: JobRuns, settings: Settings, instance: dg.DagsterInstance
) -> None:
    runs.intake(FILE)
    until_at = datetime.now(UTC) + timedelta(hours=4)
    lane = turned_away(settings, "toys.test", until_at)
    result = runs.verify()
    probes = {lane: metadata for key, lane, metadata in _materializations(result) if key == "mailbox_probes"}
    assert sum(metadata["asked_count"] for metadata in probes.values()) == len(PEOPLE) - 1
    assert "toys.test: prober_blocked" in probes[lane]["stopped_because"]
    assert probes[lane]["due_count"] == 1
    (waiting,) = probes[lane]["due"].records
    assert (waiting.data["reason"], waiting.data["behind a breaker"]) == ("not_asked_yet", 1)
    assert waiting.data["next at"] == f"{until_at:%Y-%m-%d %H:%M:%S} UTC"
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.severity) == ("sites_welcome_us", False, dg.AssetCheckSeverity.WARN)
    sites = check.metadata["sites"]
    assert isinstance(sites, dg.TableMetadataValue)
    (row,) = sites.records
    assert (row.data["lane"], row.data["site"], row.data["still due"]) == (lane, "toys.test", 1)
    assert (row.data["why"], row.data["their words"]) == ("it blocks our address", "blocked, ask •••")
    with open_ledger(settings) as ledger:
        assert lanes_due(ledger, datetime.now(UTC)) == {}
    assert "@" not in "".join(str(event) for event in instance.all_logs(result.run_id))


def test_what_a_run_cost_the_other_side_is_told(runs: JobRuns) -> None:
    runs.intake(FILE)
    result = runs.verify()
    (google,) = [
        metadata for key, lane, metadata in _materializations(result) if (key, lane) == ("mailbox_probes", "google")
    ]
    assert (google["session_count"], google["random_probe_count"], google["control_probe_count"]) == (1, 1, 0)
    assert (google["rcpt_count"], google["sessions_per_address"], google["temporary_reply_rate"]) == (2, 1, 0)
    assert google["dns_queries_per_address"] >= 2  # MX and A at least
    (site,) = google["sites"].records
    assert (site.data["site"], site.data["sessions"], site.data["RCPTs"]) == ("google", 1, 2)
    assert site.data["breaker"] == "closed"
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("sites_welcome_us", True)


def test_no_address_is_in_what_dagster_keeps(runs: JobRuns, instance: dg.DagsterInstance) -> None:
    results = [runs.intake(FILE), runs.verify(), runs.judge(), runs.lists(FILE)]
    for result in results:
        events = "".join(str(event) for event in instance.all_logs(result.run_id))
        assert "MATERIALIZATION" in events
        assert "@" not in events


def test_a_key_that_names_no_file_of_the_inbox_fails_the_run(runs: JobRuns, settings: Settings) -> None:
    outside = settings.state_dir / "secret.csv"
    outside.write_text("email\nanna@acme.test\n")
    with pytest.raises(ContactFileError, match=r"There is no file '\.\./secret\.csv'"):
        runs.intake("../secret.csv")


def turned_away(settings: Settings, site: str, until_at: datetime) -> str:
    """The ledger knows that ``site`` wants nothing of us before ``until_at``; returns its lane."""
    with open_ledger(settings) as ledger:
        (lane,) = ledger.execute("select distinct lane from ledger.domains where site = %s", (site,)).fetchone() or (
            "",
        )
        now = datetime.now(UTC)
        note = BreakerNote(Reason.PROBER_BLOCKED, "blocked, ask postmaster@toys.test", now, until_at)
        keep_site_memories(ledger, [SiteMemory("default", site, lane, now, 0.5, breaker=note)])
    return lane


def _materializations(result: dg.ExecuteInProcessResult) -> list[tuple[str, str | None, dict[str, Any]]]:
    """(asset, lane, metadata) in the order they were yielded."""
    return [
        (
            event.materialization.asset_key.to_user_string(),
            event.partition,
            {name: value.value for name, value in event.materialization.metadata.items()},
        )
        for event in result.get_asset_materialization_events()
    ]
