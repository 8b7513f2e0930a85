"""What a pull from CleverTap brings: each profile once, and all that is said of it."""

from datetime import timedelta

import psycopg
import pytest

from ct_pipeline.errors import AudienceError
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings
from ct_pipeline.stages.pull import pull_audience, pull_day
from ct_pipeline.stages.pull_reading import PullProgress
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.open_pulls import open_pull
from ct_pipeline.storage.pulls import pull as recorded_pull
from ct_pipeline_tests.stages.pull.connected import (
    COUNT,
    connected,
    launched_lately,
    midday,
    opened,
    pulled_rows,
    write_query,
    yesterday,
)


def test_everyone_comes_in_once(settings: Settings, clevertap: CleverTapSimulator, conn: psycopg.Connection) -> None:
    seen: list[PullProgress] = []
    summary = pull_audience(settings, "everyone", seen.append)
    assert (summary.profile_count, summary.with_email_count, summary.set_aside_count) == (COUNT, COUNT, 0)
    assert (summary.audience, summary.source_name, summary.project) == ("everyone", "everyone", settings.project_id)
    assert (summary.resumed, summary.restart_count, summary.notes) == (False, 0, [])
    assert summary.expected_count is None  # CleverTap does not count a query without an event
    assert [progress.page_count for progress in seen] == list(range(1, summary.page_count + 1))
    rows = pulled_rows(settings, conn, summary.pull_id)
    assert sorted(rows["identifier"]) == sorted(f"cust-{number}" for number in range(COUNT))
    assert opened(clevertap) == 1
    known = recorded_pull(conn, summary.pull_id)
    assert known is not None
    assert (known.kind, known.project, known.row_count) == ("profiles", settings.project_id, COUNT)
    assert known.audience == f"{settings.project_id}/everyone"
    assert open_pull(conn, settings.project_id, "everyone", "everyone") is None
    assert list((settings.lake_dir / "open_pulls").iterdir()) == []


def test_a_day_is_whoever_raised_the_event_or_changed_an_email(settings_for_tests: Settings) -> None:
    base = connected(settings_for_tests, CleverTapSimulator())
    day = yesterday(base)
    at, before = midday(day, base), midday(day - timedelta(days=1), base)
    profiles = [
        AccountProfile("launched", "a@shop.test", events={"App Launched": [before, at]}),
        AccountProfile("reachable", "b@shop.test", events={"Reachable By": [at]}),
        AccountProfile("both", "c@shop.test", events={"Reachable By": [at], "App Launched": [at]}),
        AccountProfile("bought", "d@shop.test", events={"Charged": [at], "App Launched": [before]}),
    ]
    with CleverTapSimulator(profiles).run_in_thread() as clevertap:
        settings = connected(settings_for_tests, clevertap)
        summary = pull_day(settings, day)
        assert (summary.audience, summary.source_name, summary.profile_count) == ("daily", day.isoformat(), 3)
        assert summary.expected_count == 2  # of each query
        assert pull_day(settings.model_copy(update={"daily_event": "Charged"}), day).profile_count == 3
        assert pull_day(settings, day - timedelta(days=5)).profile_count == 0


def test_a_day_that_has_not_begun_is_refused_without_a_call(settings: Settings, clevertap: CleverTapSimulator) -> None:
    with pytest.raises(AudienceError, match="has not begun yet in Asia/Kolkata"):
        pull_day(settings, yesterday(settings) + timedelta(days=2))
    assert clevertap.requests == []


def test_profiles_of_every_kind_are_read(settings_for_tests: Settings) -> None:
    profiles = [
        AccountProfile("cust-1", "ann@shop.test", other_identities=("shop-1",)),  # shown as [cust-1 shop-1]
        AccountProfile("cust-2", " Ann@Shop.test", phone=4930000000, properties={"EV Status": "valid", "Plan": "Gold"}),
        AccountProfile(None, "bob@shop.test", object_ids=("__g1", "__g2")),
        AccountProfile("cust-4", None),
    ]
    with CleverTapSimulator(profiles).run_in_thread() as clevertap:
        settings = connected(settings_for_tests, clevertap)
        write_query(settings, "all.json", launched_lately(settings))
        summary = pull_audience(settings, "all")
        assert settings.database_url is not None
        with connect(settings.database_url.get_secret_value()) as conn:
            rows = pulled_rows(settings, conn, summary.pull_id).sort("raw_email", nulls_last=True)
    assert (summary.profile_count, summary.with_email_count, summary.without_identifier_count) == (4, 3, 0)
    assert rows["raw_email"].to_list() == [" Ann@Shop.test", "ann@shop.test", "bob@shop.test", None]
    assert rows["identifier_kind"].to_list() == ["identity", "objectId", "objectId", "identity"]
    assert rows["object_ids"].to_list()[2] == ["__g1", "__g2"]
    assert '"EV Status":"valid"' in rows["properties"][0]
    assert "4930000000" in rows["other_fields"][0]
