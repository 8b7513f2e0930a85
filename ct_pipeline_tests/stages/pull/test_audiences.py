"""Audiences: everyone, and those of which there is a file."""

from pathlib import Path

import pytest

from ct_pipeline.errors import AudienceError
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings
from ct_pipeline.stages.pull import audience_names, pull_audience
from ct_pipeline_tests.stages.pull.connected import GOLD, connected, people, write_query


def test_audiences_are_everyone_and_the_files(settings: Settings, tmp_path: Path) -> None:
    assert audience_names(settings) == ["everyone"]
    for name in ("vip.json", "gold customers.json", "daily.json", ".hidden.json", "notes.txt"):
        write_query(settings, name, GOLD)
    (tmp_path / "mine.json").write_text(GOLD)
    more = settings.model_copy(update={"audience": tmp_path / "mine.json"})
    assert sorted(audience_names(more)) == ["everyone", "gold customers", "mine", "vip"]


def test_an_audience_of_a_file_holds_those_whom_its_query_names(settings_for_tests: Settings) -> None:
    profiles = [*people(5, properties={"Plan": "Gold"}), AccountProfile("other", "x@shop.test")]
    with CleverTapSimulator(profiles).run_in_thread() as clevertap:
        settings = connected(settings_for_tests, clevertap)
        write_query(settings, "vip.json", GOLD)
        summary = pull_audience(settings, "vip")
    assert (summary.audience, summary.source_name, summary.profile_count) == ("vip", "vip", 5)


@pytest.mark.parametrize(
    ("name", "said"),
    [("nobody", "There is no audience 'nobody', only everyone"), ("daily", "say which day")],
)
def test_an_unknown_audience_is_refused_with_the_known_ones(settings: Settings, name: str, said: str) -> None:
    with pytest.raises(AudienceError, match=said):
        pull_audience(settings, name)


def test_a_file_must_not_take_the_name_of_everyone(settings: Settings) -> None:
    write_query(settings, "everyone.json", GOLD)
    with pytest.raises(AudienceError, match="are taken"):
        pull_audience(settings, "everyone")


def test_a_file_that_is_gone_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(AudienceError, match=r"cannot be read: .*gone\.json: No such file or directory\.$"):
        pull_audience(settings.model_copy(update={"audience": tmp_path / "gone.json"}), "gone")
