"""``/1/upload``: the recorded texts verbatim, what is stored and what is silently not, and who is meant."""

import json

import pytest

from ct_pipeline.sandbox.clevertap.faults import Faults
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile


def stored(client, identity="cust-1"):
    (profile,) = client.clevertap.state(identity=identity)
    return profile["properties"]


@pytest.fixture
def client(account):
    return account(AccountProfile("cust-1", "anna@acme.test", object_ids=("__g1", "__g2"), properties={"Plan": "Gold"}))


def test_an_answer_is_spaced_as_recorded(client):
    record = {"type": "profile", "identity": "cust-1", "profileData": {"a": 1}}
    answer = client.post("/1/upload", {"d": [record]})
    assert answer.content == b'{ "status" : "success" , "processed" : 1 , "unprocessed" : [ ]}'
    assert answer.headers["content-type"] == "application/json;charset=utf-8"


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        ({"Email": "$$$$$"}, 515, "Profile data is incorrect. Email is not valid.Skipped record number : 1"),
        ({"Email": "1234"}, 515, "Profile data is incorrect. Email is not valid.Skipped record number : 1"),
        ({"Phone": "223"}, 516, "Profile data is incorrect. Phone number is not valid.Skipped record number : 1"),
        (
            {"Phone": "+44+441234"},
            516,
            "Profile data is incorrect. Phone number is not valid.Skipped record number : 1",
        ),
        ({"Employed": "x"}, 517, "Profile data is incorrect. Employed needs to be Y/N.Skipped record number : 1"),
        (
            {"Education": "223"},
            518,
            "Profile data is incorrect. Education needs to be School/College/Graduate..Skipped record number : 1",
        ),
        ({"Married": "x"}, 519, "Profile data is incorrect. Married needs to be Y/N.Skipped record number : 1"),
        ({"Age": "aa"}, 520, "Profile data is incorrect. Age is invalid.Skipped record number : 1"),
    ],
)
def test_recorded_refusals_of_profiles(client, data, code, text):
    record = {"type": "profile", "identity": "cust-1", "profileData": data}
    answer = client.upload(record)
    assert (answer["status"], answer["processed"]) == ("fail", 0)
    assert answer["unprocessed"] == [{"status": "fail", "code": code, "error": text, "record": record}]
    assert stored(client) == {"Plan": "Gold"}


def test_recorded_refusals_of_events_and_times(client):
    restricted = {"type": "event", "identity": "cust-1", "evtName": "App Launched", "evtData": {}}
    timeless = {"type": "profile", "identity": "cust-1", "ts": 0, "profileData": {}}
    first, second = (refusal["error"] for refusal in client.upload(restricted, timeless)["unprocessed"])
    assert first == (
        "Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event. Skipped record number : 1"
    )
    assert second == "Timestamp should be present in the Unix Epoch format. Skipped record number : 2"


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"type": "event", "identity": "a"}, 509),
        ({"type": "event", "identity": "a", "evtName": "x", "evtData": []}, 512),
        ({"type": "event", "identity": "a", "evtName": "x", "evtData": {str(n): n for n in range(257)}}, 522),
        ({"type": "profile", "identity": "a", "profileData": {"Gender": "x"}}, 514),
        ({"type": "profile", "profileData": {}}, 523),
        ({"type": "profile", "identity": "a", "objectId": "b", "profileData": {}}, 523),
        ({"type": "profile", "identity": "none", "profileData": {}}, 523),
        ({"type": "profile", "identity": "x" * 1024, "profileData": {}}, 523),
        ({"type": "profile", "identity": "a"}, 524),
        ({"type": "customer", "identity": "a", "profileData": {}}, 524),
        ("a string", 524),
        ({"type": "profile", "identity": "a", "ts": "soon", "profileData": {}}, 525),
        ({"type": "profile", "objectId": "no id!", "profileData": {}}, 526),
        ({"type": "token", "tokenData": {"id": "a", "type": "apns"}}, 530),
    ],
)
def test_other_refusals(client, record, code):
    assert [refusal["code"] for refusal in client.upload(record)["unprocessed"]] == [code]


def test_some_records_may_be_good(client):
    good = {"type": "profile", "identity": "cust-1", "ts": "1767225600", "profileData": {"EV": "x", "Age": "18"}}
    bad = {"type": "profile", "identity": "cust-1", "profileData": {"Email": "$$$$$"}}
    answer = client.upload(good, bad, good, bad)
    assert (answer["status"], answer["processed"]) == ("partial", 2)
    numbers = [refusal["error"].rpartition(" : ")[2] for refusal in answer["unprocessed"]]
    assert numbers == ["2", "4"]


def test_the_echo_shows_how_far_the_checks_came(client):
    """Phone is checked before Age, and by then it is a number: so recorded answers show it."""
    record = {"type": "profile", "identity": "cust-1", "profileData": {"Age": "aa", "Phone": "+35922333232"}}
    (refusal,) = client.upload(record)["unprocessed"]
    assert refusal["record"]["profileData"]["Phone"] == 35922333232


def test_a_thousand_records_at_most(client):
    record = {"type": "profile", "identity": "cust-1", "profileData": {"EV": 1}}
    assert client.upload(*[record] * 1000)["processed"] == 1000
    answer = client.post("/1/upload", {"d": [record] * 1001})
    assert (answer.status_code, answer.json()["status"]) == (400, "fail")


def test_an_empty_upload_is_a_switch(client):
    assert client.post("/1/upload", {"d": []}).status_code == 400
    client.clevertap.switches.empty_upload = "success"
    assert client.upload() == {"status": "success", "processed": 0, "unprocessed": []}


def test_a_dry_run_answers_alike_and_stores_nothing(client):
    bad = {"type": "profile", "identity": "cust-1", "profileData": {"Email": "$$$$$"}}
    good = {"type": "profile", "identity": "someone-new", "profileData": {"EV": "x"}}
    answer = client.upload(good, bad, url="/1/upload?dryRun=1")
    assert (answer["status"], answer["processed"]) == ("partial", 1)
    assert client.clevertap.state(identity="someone-new") == []
    assert client.upload(good, url="/1/upload?dryRun=0")["processed"] == 1
    assert client.clevertap.state(identity="someone-new")[0]["is_made_by_upload"]


def test_every_identifier_of_a_profile_leads_to_it(client):
    client.upload({"type": "profile", "objectId": "__g2", "profileData": {"a": 1}})
    client.upload({"type": "profile", "identity": "cust-1", "profileData": {"b": 2}})
    assert stored(client) == {"Plan": "Gold", "a": 1, "b": 2}
    assert client.get("/1/profile.json?objectId=__g1").json()["record"]["profileData"]["a"] == 1


def test_an_identifier_that_nobody_has_makes_a_profile_and_the_log_tells(client):
    client.upload({"type": "profile", "identity": "anna@acme.test", "profileData": {"EV": "x"}})
    client.upload({"type": "profile", "objectId": "__gnew", "profileData": {"EV": "x"}})
    made = [profile for profile in client.clevertap.state() if profile["is_made_by_upload"]]
    assert [(profile["identity"], profile["email"]) for profile in made] == [("anna@acme.test", None), (None, None)]
    assert [request.made_profile_count for request in client.clevertap.requests] == [1, 1]
    assert [request.named_by_email_count for request in client.clevertap.requests] == [1, 0]
    assert len(client.everyone()) == 1, "a profile without an event is in no export"


def test_system_properties_are_no_custom_ones(client):
    client.set_properties("cust-1", Name="Anna", Phone="+12025550100", Email="new@acme.test", identity="second")
    (profile,) = client.clevertap.state(identity="second")
    assert (profile["name"], profile["phone"], profile["email"]) == ("Anna", 12025550100, "new@acme.test")
    assert profile["properties"] == {"Plan": "Gold"}
    assert "Reachable By" in profile["events"]
    assert client.clevertap.state(email="anna@acme.test") == []


def test_what_breaks_the_limits_is_dropped_without_a_word(client):
    answer = client.set_properties("cust-1", **{"x" * 121: 1, "a:b": 1, "long": "ä" * 257, "fits": "ä" * 256, "  ": 1})
    assert answer["status"] == "success"
    assert stored(client) == {"Plan": "Gold", "fits": "ä" * 256}
    client.clevertap.switches.long_values = "truncated"
    client.set_properties("cust-1", long="ä" * 257)
    assert stored(client)["long"] == "ä" * 256


def test_no_more_than_256_properties(client):
    client.set_properties("cust-1", **{f"p{number}": number for number in range(300)})
    assert len(stored(client)) == 256


def test_a_schema_can_ignore_properties(account):
    client = account(AccountProfile("cust-1"), faults=Faults(ignored_properties=("EV Status",)))
    assert client.set_properties("cust-1", **{"EV Status": "valid", "EV Score": 9})["processed"] == 1
    assert stored(client) == {"EV Score": 9}


def test_operators(client):
    client.set_properties(
        "cust-1", Plan={"$delete": True}, Tags={"$add": ["a", "b"]}, visits={"$incr": 2}, x={"$set": 1}
    )
    assert stored(client) == {"Tags": ["a", "b"], "visits": 2, "x": 1}
    client.set_properties("cust-1", Tags={"$remove": ["a"]}, visits={"$decr": 1}, x={"$add": ["2"]})
    assert stored(client) == {"Tags": ["b"], "visits": 1, "x": ["1", "2"]}
    client.set_properties("cust-1", Tags={"$remove": ["b"]}, absent={"$delete": True})
    assert stored(client) == {"visits": 1, "x": ["1", "2"]}


def test_whether_operators_work_is_a_switch(client):
    client.clevertap.set_faults(delete_operator="ignored", other_operators="stored")
    client.set_properties("cust-1", Plan={"$delete": True}, Tags={"$add": ["a"]})
    assert stored(client) == {"Plan": "Gold", "Tags": {"$add": ["a"]}}


@pytest.mark.parametrize(("fate", "left"), [("ignored", "Gold"), ("stored", None), ("delete", "gone")])
def test_what_null_does_is_a_switch(client, fate, left):
    client.clevertap.switches.null_values = fate
    client.set_properties("cust-1", Plan=None)
    assert stored(client).get("Plan", "gone") == left


def test_whether_case_makes_two_properties_is_a_switch(client):
    client.set_properties("cust-1", plan="Silver")
    assert stored(client) == {"Plan": "Gold", "plan": "Silver"}
    client.clevertap.switches.has_case_sensitive_properties = False
    client.set_properties("cust-1", PLAN="Bronze")
    assert stored(client)["Plan"] == "Bronze"


def test_events_and_tokens_may_be_uploaded_too(client):
    event = {"type": "event", "identity": "cust-1", "evtName": "Charged", "evtData": {"Amount": 5}, "ts": 1767225600}
    token = {"type": "token", "objectId": "__g1", "tokenData": {"id": "t", "type": "apns"}}
    assert client.upload(event, token)["processed"] == 2
    assert client.clevertap.state(identity="cust-1")[0]["events"]["Charged"] == [
        {"at": 1767225600, "properties": {"Amount": 5}}
    ]


def test_a_good_record_can_meet_code_555_and_pass_later(account):
    client = account(AccountProfile("cust-1"), faults=Faults(record_errors=1))
    record = {"type": "profile", "identity": "cust-1", "profileData": {"EV": "x"}}
    codes = [[refusal["code"] for refusal in client.upload(record)["unprocessed"]] for _ in range(4)]
    assert codes == [[555], [555], [555], []]


@pytest.mark.parametrize("value", ["\ud800", 'a": []}', "{", "\x00", "😀", "%2F"])
def test_whatever_is_stored_comes_back(client, value):
    body = json.dumps({"d": [{"type": "profile", "identity": "cust-1", "profileData": {"odd": value}}]})
    answer = client.http.post("/1/upload", content=body, headers={"content-type": "application/json"})
    assert answer.json()["status"] == "success"
    assert client.get("/1/profile.json?identity=cust-1").json()["record"]["profileData"]["odd"] == value
    assert client.everyone()[0]["profileData"]["odd"] == value


def test_an_identity_stays_with_who_has_it(account):
    client = account(AccountProfile("a"), AccountProfile("b"))
    client.set_properties("a", identity="b", x=1)
    assert stored(client, "b") == {}


def test_deleted_profiles_are_gone(client):
    assert client.post("/1/delete/profiles.json", {"identity": ["cust-1"]}).json() == {"status": "success"}
    assert client.everyone() == []
    assert client.post("/1/delete/profiles.json", {"identity": "a", "guid": "b"}).status_code == 400
    assert client.post("/1/delete/profiles.json", {"guid": ["x"] * 101}).status_code == 400
