"""Exports that look wrong are read again, and what CleverTap refuses is told."""

import pytest

from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.errors import AudienceError, CleverTapRefusedError, CredentialsError, SettingsError
from ct_pipeline.sandbox.clevertap.faults import fault_profile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings
from ct_pipeline.stages.pull import pull_audience, pull_day
from ct_pipeline.storage.database import connect
from ct_pipeline_tests.stages.pull.connected import (
    COUNT,
    connected,
    interrupted,
    opened,
    pages,
    people,
    pulled_rows,
    yesterday,
)


@pytest.mark.parametrize("is_counted", [True, False])
def test_an_export_that_is_empty_is_repeated(
    settings: Settings, clevertap: CleverTapSimulator, is_counted: bool
) -> None:
    clevertap.set_faults(empty_exports=1)
    summary = pull_day(settings, yesterday(settings)) if is_counted else pull_audience(settings, "everyone")
    assert summary.profile_count == COUNT
    (note,) = summary.notes
    counts = f"; CleverTap counts {COUNT}" if is_counted else ""
    event = " of 'App Launched'" if is_counted else ""
    assert note == f"The export{event} gave only 0 profiles{counts}: it is read a second time."


def test_an_export_that_stays_empty_is_said_to_be(settings: Settings, clevertap: CleverTapSimulator) -> None:
    clevertap.set_faults(empty_exports=2)
    summary = pull_audience(settings, "everyone")
    assert (summary.profile_count, opened(clevertap)) == (0, 2)
    assert summary.notes[-1] == "Read again, the export gave 0 profiles. Both readings are kept."


def test_an_export_with_fewer_than_half_of_those_counted_is_repeated_once(
    settings: Settings, clevertap: CleverTapSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def twice_as_many(_self: CleverTap, query: dict[str, object]) -> int:
        return 2 * COUNT + 1 if query["event_name"] == "App Launched" else 0

    monkeypatch.setattr(CleverTap, "count_profiles", twice_as_many)
    summary = pull_day(settings, yesterday(settings))
    assert (summary.profile_count, summary.expected_count) == (COUNT, 2 * COUNT + 1)
    assert [note.split(":")[0] for note in summary.notes] == [
        "The export of 'App Launched' gave only 120 profiles; CleverTap counts 241",
        "Read again, the export of 'App Launched' gave 120 profiles; CleverTap counts 241. Both readings are kept.",
    ]
    assert opened(clevertap) == 3


def test_an_interruption_does_not_repeat_the_repetition(settings: Settings, clevertap: CleverTapSimulator) -> None:
    clevertap.set_faults(empty_exports=2)
    interrupted(settings, after_pages=1)
    summary = pull_audience(settings, "everyone")
    assert (summary.resumed, summary.profile_count, opened(clevertap)) == (True, 0, 2)


def test_an_event_that_a_project_does_not_have_is_left_out(settings: Settings, clevertap: CleverTapSimulator) -> None:
    clevertap.account.event_names = {"App Launched"}
    clevertap.set_faults(unknown_event="refused")
    summary = pull_day(settings, yesterday(settings))
    assert (summary.profile_count, summary.subscription_event_count) == (COUNT, 0)
    assert [note.partition("which is left out")[0] for note in summary.notes] == [
        "CleverTap refused the export of 'Reachable By', ",
        "CleverTap refused the export of 'Channel Unsubscribed', ",
    ]


def test_a_pull_whose_first_query_is_refused_fails(settings: Settings, clevertap: CleverTapSimulator) -> None:
    clevertap.set_faults(unknown_event="refused")
    wrong = settings.model_copy(update={"daily_event": "Ap Launched"})
    with pytest.raises((AudienceError, CleverTapRefusedError)):
        pull_day(wrong, yesterday(settings))


def test_a_passcode_that_expires_in_the_middle_stops_the_pull_and_the_next_goes_on(
    settings: Settings, clevertap: CleverTapSimulator
) -> None:
    clevertap.set_faults(passcode_expires_after=4)
    with pytest.raises(CredentialsError):
        pull_audience(settings, "everyone")
    kept = pages(clevertap) - 1
    assert kept >= 2
    clevertap.set_faults(passcode_expires_after=None, is_passcode_expired=False)
    summary = pull_audience(settings, "everyone")
    assert (summary.resumed, summary.profile_count, opened(clevertap)) == (True, COUNT, 1)


def test_without_a_connection_the_settings_are_named(settings_for_tests: Settings) -> None:
    with pytest.raises(SettingsError, match="CT_PROJECT_ID"):
        pull_audience(settings_for_tests, "everyone")


@pytest.mark.parametrize("seed", range(3))
def test_on_the_worst_day_everyone_still_comes_in_once(settings_for_tests: Settings, seed: int) -> None:
    profiles = people(COUNT)
    with CleverTapSimulator(profiles, faults=fault_profile("harsh", seed)).run_in_thread() as clevertap:
        settings = connected(settings_for_tests, clevertap)
        summary = pull_audience(settings, "everyone")
        assert settings.database_url is not None
        with connect(settings.database_url.get_secret_value()) as conn:
            identifiers = pulled_rows(settings, conn, summary.pull_id)["identifier"]
    assert sorted(identifiers) == sorted(str(profile.identity) for profile in profiles)
