"""Audiences: which queries a name stands for, and which files can be one."""

from datetime import date

import pytest

from ct_pipeline.errors import AudienceError
from ct_pipeline.from_clevertap.audiences import (
    audience_of_text,
    day_audience,
    everyone_audience,
    is_audience_name,
    query_audience,
)

DAY = date(2026, 11, 1)
GOLD = {"common_profile_properties": {"profile_fields": [{"name": "Plan", "operator": "equals", "value": "Gold"}]}}


def test_a_day_is_whoever_raised_the_event_or_changed_an_email() -> None:
    daily = day_audience("App Launched", DAY)
    assert daily.name == "daily"
    assert daily.queries == (
        {"event_name": "App Launched", "from": 20261101, "to": 20261101},
        {"event_name": "Reachable By", "from": 20261101, "to": 20261101},
    )


def test_an_event_is_not_asked_for_twice() -> None:
    assert len(day_audience("reachable by", DAY).queries) == 1


def test_everyone_is_whoever_has_an_email() -> None:
    (query,) = everyone_audience().queries
    assert "event_name" not in query


def test_a_query_in_a_file_is_an_audience() -> None:
    audience = audience_of_text("gold customers", '{"common_profile_properties": {"profile_fields": [{"name": "Plan", '
                                '"operator": "equals", "value": "Gold"}]}}')  # fmt: skip
    assert audience == query_audience("gold customers", GOLD)
    assert audience.queries == (GOLD,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "must be a JSON object"),
        ('{"event": "x"}', "did you mean event_name"),
    ],
)
def test_a_file_that_holds_no_query_is_refused_with_its_name_and_the_mend(text: str, said: str) -> None:
    with pytest.raises(AudienceError, match=said) as refusal:
        audience_of_text("gold", text)
    assert "'gold'" in str(refusal.value)


@pytest.mark.parametrize("name", ["daily", "Everyone", "", ".hidden", "a/b", "a\n", "x" * 200])
def test_names_that_are_taken_or_unfit_are_refused(name: str) -> None:
    assert not is_audience_name(name)
    with pytest.raises(AudienceError, match="Rename the file"):
        query_audience(name, GOLD)


@pytest.mark.parametrize("name", ["gold", "größe", "Gold 2026-11", "v1.2"])
def test_names_may_hold_letters_digits_and_a_little_more(name: str) -> None:
    assert is_audience_name(name)
