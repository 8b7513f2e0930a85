"""Which queries fit CleverTap's query language, and what is said of those that do not."""

from collections.abc import Mapping
from datetime import date

import pytest

from ct_pipeline.clevertap.query import check_query, day_query, everyone_query, unsubscribe_events_query
from ct_pipeline.errors import AudienceError

DAYS: dict[str, object] = {"from": 20260101, "to": 20260131}
EVENT: dict[str, object] = {"event_name": "Charged", **DAYS}
FITTING: list[Mapping[str, object]] = [
    EVENT,
    EVENT | {"event_properties": [{"name": "Amount", "operator": "greater_than", "value": 100}]},
    EVENT | {"session_properties": [{"name": "first_time", "value": "True"}]},
    EVENT | {"props": [{"name": "City", "operator": "contains", "value": ["Berlin", "Bonn"]}]},
    {"common_profile_properties": {"profile_fields": [{"name": "Email", "operator": "contains", "value": "@"}]}},
    EVENT
    | {
        "common_profile_properties": {
            "profile_fields": [{"name": "Customer Type", "operator": "equals", "value": "Gold"}],
            "demographics": [{"name": "Gender", "value": "Female"}],
            "technographics": [{"name": "Platform", "value": "AndroidApp"}],
            "app_fields": [{"name": "Make", "operator": "contains", "value": "Apple"}],
            "reachability": [{"name": "has_token", "value": "True"}],
            "geo_fields": [["India", "Maharashtra", "Mumbai"]],
            "geo_radius": [[19.07, 72.87, 5.0]],
        },
        "advanced_query": {
            "did_all": [{"event_name": "App Launched", **DAYS, "operator": "equals", "value": 10}],
            "did_any": {"any_events": [{"event_name": "Searched", **DAYS}], "operator": "equals", "value": 3},
            "did_none": [{"event_name": "App Uninstalled", **DAYS}],
        },
    },
    {"advanced_query": {"did_none": [{"event_name": "App Uninstalled", **DAYS}]}},
    day_query("App Launched", date(2026, 1, 31)),
    everyone_query(),
    unsubscribe_events_query(date(2025, 1, 1), date(2026, 1, 31)),
]


@pytest.mark.parametrize("query", FITTING)
def test_queries_of_the_documentation_and_our_own_pass_unchanged(query: Mapping[str, object]) -> None:
    assert check_query(query) == query


def test_our_own_queries() -> None:
    assert day_query("App Launched", date(2026, 1, 5)) == {
        "event_name": "App Launched",
        "from": 20260105,
        "to": 20260105,
    }
    everyone = {"profile_fields": [{"name": "Email", "operator": "contains", "value": "@"}]}
    assert everyone_query() == {"common_profile_properties": everyone}
    query = unsubscribe_events_query(date(2025, 12, 31), date(2026, 1, 1))
    assert query == {"event_name": "Channel Unsubscribed", "from": 20251231, "to": 20260101}


def test_days_become_numbers_and_truth_its_words() -> None:
    query = {"event_name": "Charged", "from": "20260101", "to": "20260131"}
    assert check_query(query) == EVENT
    is_gold = {"profile_fields": [{"name": "Gold", "value": True}, {"name": "X", "value": [False, 1]}]}
    fields = check_query({"common_profile_properties": is_gold})["common_profile_properties"]
    assert fields == {"profile_fields": [{"name": "Gold", "value": "True"}, {"name": "X", "value": ["False", 1]}]}


def test_a_value_that_an_operator_does_not_need_is_sent_all_the_same() -> None:
    exists = {"profile_fields": [{"name": "Phone", "operator": "exists"}]}
    fields = check_query({"common_profile_properties": exists})["common_profile_properties"]
    assert fields == {"profile_fields": [{"name": "Phone", "operator": "exists", "value": "-1"}]}


def with_filter(**entry: object) -> Mapping[str, object]:
    return EVENT | {"event_properties": [entry]}


PROBLEMS: list[tuple[object, str]] = [
    (None, "the query must be a JSON object"),
    ([EVENT], "the query must be a JSON object"),
    ({}, "names nobody"),
    (DAYS, "names nobody"),
    (EVENT | {"event_propertys": []}, "'event_propertys' is no key .* did you mean event_properties"),
    (EVENT | {"limit": 5}, "'limit' is no key of the query"),
    ({"event_name": "", **DAYS}, "event_name of the query must be the name"),
    ({"event_name": 5, **DAYS}, "event_name"),
    ({"event_name": "Charged"}, "from of the query must be a day"),
    ({"event_name": "Charged", "from": 20260101}, "to of the query must be a day"),
    ({"event_name": "Charged", "from": 20260231, "to": 20260301}, "from of the query must be a day"),
    ({"event_name": "Charged", "from": "2026-01-01", "to": 20260301}, "such as 20260131"),
    ({"event_name": "Charged", "from": 20260201, "to": 20260101}, "from of the query is after to"),
    ({"event_name": "Charged", "from": True, "to": 20260101}, "from"),
    (EVENT | {"event_properties": {}}, r"event_properties of the query must be a list"),
    (EVENT | {"event_properties": []}, "at least one entry"),
    (EVENT | {"event_properties": ["x"]}, "an entry of event_properties .* JSON object"),
    (with_filter(value=1), "has no name"),
    (with_filter(name="Amount"), "value of 'Amount' in event_properties of the query is missing"),
    (
        with_filter(name="Amount", operator="more_than", value=1),
        "operator of 'Amount' .* 'more_than'; it must be one of",
    ),
    (with_filter(name="Amount", operator=["equals"], value=1), "operator"),
    (with_filter(name="Amount", operator="less_than", value="1"), "must be a number"),
    (with_filter(name="Amount", operator="less_than"), "is missing"),
    (with_filter(name="Amount", value=None), "must be a text, a number"),
    (with_filter(name="Amount", value=[]), "must be a text, a number"),
    (with_filter(name="Amount", value=[[1]]), "must be a text, a number"),
    (with_filter(name="Amount", value={}), "must be a text, a number"),
    (with_filter(name="Amount", valeu=1), "did you mean value"),
    ({"common_profile_properties": {}}, "it would mean everyone"),
    ({"common_profile_properties": []}, "JSON object"),
    ({"common_profile_properties": {"profile_field": []}}, "did you mean profile_fields"),
    ({"common_profile_properties": {"geo_fields": ["India"]}}, "list of lists"),
    ({"common_profile_properties": {"geo_radius": [["x"]]}}, "list of lists"),
    ({"advanced_query": {}}, "advanced_query is empty"),
    ({"advanced_query": {"did_some": []}}, "did_some"),
    ({"advanced_query": {"did_all": [DAYS]}}, "event_name of did_all"),
    ({"advanced_query": {"did_any": [EVENT]}}, "did_any must be a JSON object"),
    ({"advanced_query": {"did_any": {"operator": "equals", "value": 3}}}, "any_events of did_any must be a list"),
    (
        {"event_properties": [{"name": "a", "value": 1}], "common_profile_properties": {"demographics": []}},
        "needs an event_name",
    ),
]


@pytest.mark.parametrize(("query", "words"), PROBLEMS)
def test_what_does_not_fit_is_named_with_the_mend(query: object, words: str) -> None:
    with pytest.raises(AudienceError, match=words):
        check_query(query)
