"""Who may be written to: addresses, profiles, events, and what happens by itself."""

import httpx
import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.remote import RemoteClevertap


@pytest.fixture
def client(account):
    return account(
        AccountProfile("anna", "home@acme.test"),
        AccountProfile("ben", "home@acme.test"),
        AccountProfile("carla", "Home@acme.test"),
        AccountProfile("david"),
    )


def reachable(client):
    return {profile["identity"] for profile in client.clevertap.state() if profile["is_reachable"]}


def test_an_address_is_opted_out_for_everyone_who_holds_it_and_back_in(client):
    assert client.subscription(("home@acme.test", "Unsubscribe")) == {
        "status": "success",
        "processed": 1,
        "unprocessed": [],
    }
    assert reachable(client) == {"carla"}
    client.subscription(("home@acme.test", "Resubscribe"))
    assert reachable(client) == {"anna", "ben", "carla"}
    events = [(event["profile"]["identity"], event["event_props"]) for event in client.subscription_events()]
    about = {"Identity": "home@acme.test", "Subscription Type": "account"}
    assert sorted(events, key=lambda event: (event[0], event[1]["Resubscribed"])) == [
        ("anna", about | {"Resubscribed": False}),
        ("anna", about | {"Resubscribed": True}),
        ("ben", about | {"Resubscribed": False}),
        ("ben", about | {"Resubscribed": True}),
    ]


def test_the_form_with_a_trailing_slash(client):
    record = {"type": "email", "value": "home@acme.test", "status": "Unsubscribe"}
    assert client.upload(record, url="/1/subscribe/")["processed"] == 1
    assert reachable(client) == {"carla"}


def test_whether_spellings_are_one_address_is_a_switch(client):
    client.clevertap.switches.has_case_sensitive_addresses = False
    client.subscription(("HOME@acme.test", "Unsubscribe"))
    assert reachable(client) == set()
    client.subscription(("home@acme.test", "Resubscribe"))
    assert reachable(client) == {"anna", "ben", "carla"}


def test_an_address_that_nobody_holds_is_taken(client):
    assert client.subscription(("nobody@acme.test", "Unsubscribe"))["processed"] == 1
    assert client.subscription_events() == []


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"type": "email", "value": "home", "status": "Unsubscribe"}, 515),
        ({"type": "email", "status": "Unsubscribe"}, 515),
        ({"type": "email", "value": "home@acme.test", "status": "Subscribe"}, 524),
        ({"type": "fax", "value": "home@acme.test", "status": "Unsubscribe"}, 524),
        ({"type": "phone", "value": "123", "status": "Unsubscribe"}, 516),
    ],
)
def test_records_that_are_refused(client, record, code):
    good = {"type": "email", "value": "Home@acme.test", "status": "Unsubscribe"}
    answer = client.upload(record, good, url="/1/subscribe")
    assert (answer["status"], answer["processed"]) == ("partial", 1)
    assert answer["unprocessed"][0]["code"] == code
    assert answer["unprocessed"][0]["error"].endswith("Skipped record number : 1")
    assert reachable(client) == {"anna", "ben"}


def test_the_flag_of_a_profile_is_its_own(client):
    client.set_properties("anna", **{"MSG-email": False})
    assert reachable(client) == {"ben", "carla"}
    client.subscription(("home@acme.test", "Unsubscribe"))
    client.subscription(("home@acme.test", "Resubscribe"))
    assert reachable(client) == {"ben", "carla"}, "lifting the address leaves the flag alone"
    client.set_properties("anna", **{"MSG-email": True})
    assert reachable(client) == {"anna", "ben", "carla"}
    levels = [event["event_props"]["Subscription Type"] for event in client.subscription_events()]
    assert sorted(levels) == ["account"] * 4 + ["profile"] * 2
    assert client.clevertap.state(identity="anna")[0]["properties"] == {}


def test_the_address_can_be_opted_out_by_an_upload_too(client):
    client.set_properties("anna", **{"MSG-dndEmail": True})
    assert reachable(client) == {"carla"}
    client.set_properties("ben", **{"MSG-dndEmail": "false"})
    assert reachable(client) == {"anna", "ben", "carla"}


def test_repetitions_raise_the_event_again_unless_switched(client):
    client.subscription(("Home@acme.test", "Unsubscribe"))
    client.subscription(("Home@acme.test", "Unsubscribe"))
    assert len(client.subscription_events()) == 2
    client.clevertap.set_faults(repeat_raises_event=False, event_booleans="text")
    client.subscription(("Home@acme.test", "Unsubscribe"))
    assert len(client.subscription_events()) == 2
    client.subscription(("Home@acme.test", "Resubscribe"))
    assert client.subscription_events()[-1]["event_props"]["Resubscribed"] == "true"


def test_a_user_opts_out_and_in_by_themselves(client):
    clevertap = client.clevertap
    assert clevertap.opt_out(identity="anna", properties={"Type": "spam"}) == 2
    assert reachable(client) == {"carla"}
    assert client.subscription_events()[0]["event_props"]["Type"] == "spam"
    assert clevertap.opt_in(email="home@acme.test") == 2
    assert clevertap.opt_out(identity="ben", level="profile") == 1
    assert reachable(client) == {"anna", "carla"}
    for nobody in ({"identity": "x"}, {}, {"identity": "david"}):
        with pytest.raises(SettingsError):
            clevertap.opt_out(**nobody)


def test_the_same_over_http_without_a_passcode(client):
    remote = RemoteClevertap(client.clevertap.base_url)
    assert remote.opt_out(identity="anna", level="profile") == 1
    assert remote.opt_in(identity="anna", level="profile") == 1
    assert remote.opt_out(email="Home@acme.test") == 1
    (carla,) = remote.state(identity="carla")
    assert (carla["is_dnd"], carla["msg_email"], carla["is_reachable"]) == (True, None, False)
    assert [profile["identity"] for profile in remote.state(email="home@acme.test")] == ["anna", "ben"]
    assert remote.set_faults(server_errors=1)["server_errors"] == 1
    assert client.get("/1/profile.json?identity=anna").status_code in (500, 503)
    assert remote.set_faults(server_errors=0)["not_found"] == "null"
    remote.expire_cursors()
    assert [request.fault for request in remote.requests] == ["server_errors"]
    for path, body in (("opt-out", {"identity": "x"}), ("opt-out", {"who": "x"}), ("faults", {"server_errors": 2})):
        answer = httpx.post(f"{remote.base_url}/sandbox/{path}", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]
    with pytest.raises(SettingsError, match="nobody has this"):
        remote.opt_in(identity="x")
