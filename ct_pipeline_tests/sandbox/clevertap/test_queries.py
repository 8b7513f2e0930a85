"""Whom a query finds, which ones are refused, one profile at a time, and counts."""

from datetime import UTC, datetime

import pytest

from ct_pipeline.sandbox.clevertap.faults import Faults
from ct_pipeline.sandbox.clevertap.profiles import DAY_SECONDS, AccountProfile, Raised
from ct_pipeline_tests.sandbox.conftest import EVERYONE

NOW = 1_790_000_000.0  # 2026-09-21 in Kolkata
YEAR = {"from": 20251001, "to": 20260921}
PLATFORMS = ["AndroidApp", "iOSApp", "Web"]
LAUNCHED = {"event_name": "App Launched", **YEAR}


@pytest.fixture
def people(account):
    long_ago = int(NOW) - 400 * DAY_SECONDS
    return account(
        AccountProfile("gold", "g@acme.test", properties={"Plan": "Gold", "visits": 7, "vip": True}),
        AccountProfile("silver", "s@acme.test", properties={"Plan": "Silver", "visits": "12", "Tags": ["a", "b"]}),
        AccountProfile("quiet", "q@acme.test", events={"Reachable By": [int(NOW) - 5]}),
        AccountProfile("eventless", "e@acme.test", events={}),
        AccountProfile("gone", "o@acme.test", events={"App Launched": [long_ago]}),
        AccountProfile("buyer", None, events={"Charged": [Raised(int(NOW) - 9, {"Amount": 50})] * 2}),
        clock=lambda: NOW,
    )


def found(people, query):
    return {record["identity"] for page in people.pages(query) for record in page}


def by_field(name, operator, value=None):
    wanted = {"name": name, "operator": operator, "value": value}
    return {"common_profile_properties": {"profile_fields": [wanted]}}


def charged(operator, value):
    return {
        "event_name": "Charged",
        **YEAR,
        "event_properties": [{"name": "Amount", "operator": operator, "value": value}],
    }


def did(**combination):
    return {"advanced_query": combination}


@pytest.mark.parametrize(
    ("query", "identities"),
    [
        (EVERYONE, {"gold", "silver", "quiet"}),
        (LAUNCHED, {"gold", "silver"}),
        ({"event_name": "app launched", "from": 20260920, "to": 20260920}, {"gold", "silver"}),
        ({"event_name": "App Launched", "from": 20250101, "to": 20251231}, {"gone"}),
        ({"event_name": "Reachable By", "from": 20260921, "to": 20260921}, {"quiet"}),
        ({"event_name": "Never Raised", **YEAR}, set()),
        (charged("greater_than", 49), {"buyer"}),
        (charged("less_than", 50), set()),
        (by_field("Plan", "equals", "gold"), {"gold"}),
        (by_field("Plan", "equals", ["Gold", "Silver"]), {"gold", "silver"}),
        (by_field("Plan", "not_equals", "Gold"), {"silver", "quiet", "buyer"}),
        (by_field("Plan", "exists"), {"gold", "silver"}),
        (by_field("Email", "does_not_exist"), {"buyer"}),
        (by_field("Email", "does_not_contain", "s@"), {"gold", "quiet", "buyer"}),
        (by_field("visits", "greater_than_equals", 7), {"gold", "silver"}),
        (by_field("visits", "less_than_equals", 7), {"gold"}),
        (by_field("vip", "equals", "True"), {"gold"}),
        (by_field("Tags", "contains", "b"), {"silver"}),
        ({"common_profile_properties": {"technographics": [{"name": "Platform", "value": "Symbian"}]}}, set()),
        (
            {"common_profile_properties": {"technographics": [{"name": "Platform", "value": PLATFORMS}]}},
            {"gold", "silver", "quiet", "buyer"},
        ),
        (did(did_all=[{"event_name": "Charged", **YEAR, "operator": "equals", "value": 2}]), {"buyer"}),
        (did(did_none=[LAUNCHED]), {"quiet", "buyer"}),
        (
            did(did_any={"any_events": [{"event_name": "Charged", **YEAR}, {"event_name": "Reachable By", **YEAR}]}),
            {"quiet", "buyer"},
        ),
    ],
)
def test_whom_a_query_finds(people, query, identities):
    assert found(people, query) == identities


def test_eventless_profiles_and_reachable_by_are_switches(people):
    people.clevertap.set_faults(reachable_by_counts=False)
    assert found(people, EVERYONE) == {"gold", "silver"}
    people.clevertap.set_faults(eventless_profiles="exported")
    assert found(people, EVERYONE) == {"gold", "silver", "quiet", "eventless", "gone"}


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ({}, 400, "Event name"),
        ({"event_name": ""}, 400, "Event name"),
        ({"event_name": "Charged", "from": 20260101, "to": 20260922}, 4002, "future"),
        ({"event_name": "Charged", "from": "yesterday", "to": 20260101}, 400, "'from'"),
        ({"event_name": "Charged", "from": 20260102, "to": 20260101}, 400, "'from'"),
        ({"event_name": "Charged"}, 400, "'from'"),
        (by_field("Plan", "resembles", "x"), 400, "resembles"),
        ({"common_profile_properties": {"profile_fields": {"name": "x"}}}, 400, "Malformed"),
        ({"common_profile_properties": {"geo_fields": [["India"]]}}, 400, "geo_fields"),
    ],
)
def test_queries_that_are_refused(people, query, code, text):
    answer = people.post("/1/profiles.json", query)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert text in answer.json()["error"]


def test_today_is_the_accounts_today(people):
    """NOW is 19:43 of the 21st in Kolkata; 4.5 hours later it is the 22nd there, and still the 21st in UTC."""
    assert people.today() == 20260921
    people.clevertap.faults.clock_offset_seconds = 4.5 * 3600
    assert people.today() == 20260922
    assert datetime.fromtimestamp(people.clevertap.account.now(), UTC).day == 21
    assert (
        people.post("/1/profiles.json", {"event_name": "Charged", "from": 20260922, "to": 20260922}).status_code == 200
    )


def test_unknown_events_may_be_refused(people):
    people.clevertap.switches.unknown_event = "refused"
    answer = people.post("/1/profiles.json", {"event_name": "Never Raised", **YEAR})
    assert (answer.status_code, answer.json()["code"]) == (400, 4004)


def test_one_profile_by_each_kind_of_identifier(account):
    client = account(AccountProfile("cust-1", "a+b@acme.test", object_ids=("__g1", "__g2"), other_identities=("x",)))
    for query in ("identity=cust-1", "identity=x", "objectId=__g2", "email=a%2Bb%40acme.test"):
        assert client.get(f"/1/profile.json?{query}").json()["record"]["email"] == "a+b@acme.test", query
    for query in ("", "identity=cust-1&email=a", "phone=1"):
        assert client.get(f"/1/profile.json?{query}").status_code == 400, query


def test_three_ways_to_say_that_nobody_is_there(account):
    client = account()
    assert client.get("/1/profile.json?identity=x").json() == {"status": "success", "record": None}
    client.clevertap.switches.not_found = "404"
    assert client.get("/1/profile.json?identity=x").status_code == 404
    client.clevertap.switches.not_found = "fail"
    answer = client.get("/1/profile.json?identity=x")
    assert (answer.status_code, answer.json()["status"]) == (200, "fail")
    assert "not found" in answer.json()["error"]


def test_which_of_those_who_share_an_address_is_a_switch(account):
    client = account(AccountProfile("first", "a@acme.test"), AccountProfile("last", "a@acme.test"))
    assert client.get("/1/profile.json?email=a@acme.test").json()["record"]["identity"] == "first"
    client.clevertap.switches.shared_email = "last"
    assert client.get("/1/profile.json?email=a@acme.test").json()["record"]["identity"] == "last"


def test_whether_spellings_are_told_apart_is_a_switch(account):
    client = account(AccountProfile("cust-1", "Anna@acme.test"))
    client.clevertap.switches.not_found = "404"
    assert client.get("/1/profile.json?email=anna@acme.test").status_code == 404
    client.clevertap.switches.has_case_sensitive_addresses = False
    assert client.get("/1/profile.json?email=anna@acme.test").status_code == 200


def test_counts_are_immediate_or_polled(people):
    query = {"event_name": "App Launched", **YEAR}
    assert people.post("/1/counts/profiles.json", query).json() == {"status": "success", "count": 2}
    people.clevertap.faults.count_polls = 2
    partial = people.post("/1/counts/profiles.json", query).json()
    assert partial["status"] == "partial"
    url = f"/1/counts/profiles.json?req_id={partial['req_id']}"
    assert people.get(url).json() == partial
    assert people.get(url).json() == {"status": "success", "count": 2}
    assert people.get("/1/counts/profiles.json?req_id=1").json()["status"] == "fail"


def test_counts_need_an_event_unless_switched(people):
    assert people.post("/1/counts/profiles.json", EVERYONE).status_code == 400
    people.clevertap.switches.eventless_counts = "answered"
    assert people.post("/1/counts/profiles.json", EVERYONE).json()["count"] == 3


def test_counts_of_events_tell_people_apart(people):
    answer = people.post("/1/counts/events.json", {"event_name": "Charged", **YEAR}).json()
    assert answer == {"status": "success", "count": 2, "unique": 1}


def test_a_harsh_day_still_ends_with_the_right_answer(account):
    client = account(
        AccountProfile("a", "a@acme.test"), faults=Faults(not_ready_fetches=3, count_polls=3, empty_pages=1)
    )
    assert [record["identity"] for record in client.everyone()] == ["a"]
