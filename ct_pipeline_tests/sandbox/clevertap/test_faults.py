"""Seedable trouble: what clients see of it, and that patience always ends it."""

import httpx
import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.faults import Faults, Switches, change_settings, fault_profile
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile

CHANGE = {"d": [{"type": "email", "value": "anna@acme.test", "status": "Unsubscribe"}]}


@pytest.fixture
def with_faults(account):
    return lambda **faults: account(AccountProfile("anna", "anna@acme.test"), faults=Faults(**faults))


def is_out(client):
    return client.clevertap.state(identity="anna")[0]["is_dnd"]


def test_a_server_error_did_nothing(with_faults):
    client = with_faults(server_errors=1)
    assert client.post("/1/subscribe", CHANGE).status_code in (500, 503)
    assert not is_out(client)


def test_a_page_of_a_proxy_is_html(with_faults):
    answer = with_faults(html_bodies=1).post("/1/subscribe", CHANGE)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert answer.text.startswith("<html>")


def test_a_lost_answer_was_carried_out(with_faults):
    client = with_faults(lost_answers=1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/1/subscribe", CHANGE)
    assert is_out(client)
    assert (client.clevertap.requests[0].status, client.clevertap.requests[0].fault) == (0, "lost_answers")


def test_others_may_use_up_the_limit(with_faults):
    assert with_faults(busy_answers=1).get("/1/profile.json?identity=anna").status_code == 429


def test_a_good_upload_may_be_called_malformed(with_faults):
    client = with_faults(malformed_uploads=1)
    answer = client.post("/1/upload", {"d": [{"type": "profile", "identity": "anna", "profileData": {}}]})
    assert (answer.status_code, answer.json()["error"]) == (400, "Malformed request")
    assert client.get("/1/profile.json?identity=anna").status_code == 200


def test_an_answer_may_be_slow(with_faults):
    client = with_faults(slow_answers=1, slow_answer_seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        client.http.post("/1/subscribe", json=CHANGE, timeout=0.2)


def test_a_request_meets_three_faults_at_most(with_faults):
    client = with_faults(server_errors=0.5, html_bodies=0.5, busy_answers=0.5, seed=4)
    for number in range(30):
        statuses = [client.get(f"/1/profile.json?identity={number}").status_code for _ in range(20)]
        assert sum(status != 200 for status in statuses) <= 3
        assert statuses[-1] == 200


def test_the_same_seed_gives_the_same_faults(with_faults):
    def statuses(seed):
        client = with_faults(server_errors=0.3, busy_answers=0.2, seed=seed)
        return [client.get(f"/1/profile.json?identity={number}").status_code for number in range(40)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)


@pytest.mark.parametrize("name", ["none", "mild", "harsh"])
def test_profiles_of_faults_let_a_patient_client_through(account, name):
    people = [AccountProfile(f"cust-{number}", f"a{number}@acme.test") for number in range(60)]
    client = account(*people, faults=fault_profile(name, seed=3))
    for person in people:
        for _attempt in range(5):
            record = {"type": "profile", "identity": person.identity, "profileData": {"EV": "x"}}
            try:
                answer = client.post("/1/upload", {"d": [record]})
            except httpx.RemoteProtocolError:
                continue
            if answer.status_code == 200 and answer.json()["status"] == "success":
                break
    assert {profile["properties"].get("EV") for profile in client.clevertap.state()} == {"x"}
    faults = {request.fault for request in client.clevertap.requests} - {""}
    assert bool(faults) == (name == "harsh") or name == "mild"


def test_there_are_three_profiles_of_faults():
    with pytest.raises(SettingsError, match="none, mild, harsh"):
        fault_profile("banana")


def test_words_that_look_like_other_types_in_json_fit():
    faults, switches = Faults(), Switches(not_found="fail")
    change_settings(faults, switches, {"not_found": 404, "passcode_expires_after": 3})
    assert (switches.not_found, faults.passcode_expires_after) == ("404", 3)
    change_settings(faults, switches, {"not_found": None, "passcode_expires_after": None})
    assert (switches.not_found, faults.passcode_expires_after) == ("null", None)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"server_errors": 2}, "server_errors: "),
        ({"not_found": "maybe"}, "not_found: "),
        ({"banana": 1}, "banana: no fault and no switch"),
        ({"empty_pages": 0.5, "count_polls": -1}, "count_polls: "),
    ],
)
def test_settings_that_do_not_fit_change_nothing(changes, fault):
    faults, switches = Faults(), Switches()
    with pytest.raises(SettingsError, match=fault):
        change_settings(faults, switches, changes)
    assert (faults, switches) == (Faults(), Switches())
