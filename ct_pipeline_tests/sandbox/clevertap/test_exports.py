"""Cursors and pages: what a client meets that exports a whole account."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

import pytest

from ct_pipeline.sandbox.clevertap.faults import Faults
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile, Raised
from ct_pipeline_tests.sandbox.conftest import EVERYONE


def many(count: int) -> list[AccountProfile]:
    return [AccountProfile(f"cust-{number}", f"a{number}@acme.test") for number in range(count)]


def test_every_profile_comes_once_and_the_last_page_has_no_next_cursor(account):
    client = account(*many(1000))
    pages = client.pages(EVERYONE, options="batch_size=230")
    assert len(pages) > 4
    assert all(len(page) <= 230 for page in pages)
    identities = [record["identity"] for page in pages for record in page]
    assert sorted(identities) == sorted(f"cust-{number}" for number in range(1000))


def test_ten_is_the_size_of_a_page_when_none_is_asked_for(account):
    client = account(*many(25))
    cursor = client.post("/1/profiles.json", EVERYONE).json()["cursor"]
    assert len(client.get(f"/1/profiles.json?cursor={cursor}").json()["records"]) == 10


def test_a_record_holds_what_clevertap_shows_and_no_subscription(account):
    launched = datetime.now(UTC) - timedelta(days=3)
    anna = AccountProfile(
        "cust-1",
        " Anna@ACME.test",
        object_ids=("__g1", "__g2"),
        properties={"Plan": "Gold", "visits": 7, "Tags": ["a"]},
        events={"App Launched": [launched, launched - timedelta(days=1)]},
        msg_email=False,
        name="Anna",
        phone=12025550100,
    )
    client = account(anna)
    (record,) = client.everyone()
    devices = record.pop("platformInfo")
    assert [set(device) for device in devices] == [{"platform", "objectId"}] * 2
    assert record == {
        "identity": "cust-1",
        "all_identities": ["cust-1"],
        "email": " Anna@ACME.test",
        "name": "Anna",
        "phone": 12025550100,
        "profileData": {"Plan": "Gold", "visits": 7, "Tags": ["a"]},
        "events": {
            "App Launched": {
                "count": 2,
                "first_seen": int(launched.timestamp()) - 86_400,
                "last_seen": int(launched.timestamp()),
            }
        },
    }
    client.clevertap.switches.shows_subscription = True
    assert client.everyone()[0]["profileData"]["MSG-email"] is False


def test_parts_of_a_record_can_be_left_out_and_devices_added(account):
    client = account(*many(1))
    ((bare,),) = client.pages(EVERYONE, options="batch_size=23&events=false&profile=false")
    assert "events" not in bare
    ((full,),) = client.pages(EVERYONE, options="batch_size=23&app=true")
    assert "os_version" in full["platformInfo"][0]


def test_several_identities_stand_in_brackets_and_anonymous_profiles_have_none(account):
    client = account(
        AccountProfile("a", "a@acme.test", other_identities=("b",)),
        AccountProfile(email="c@acme.test"),
        AccountProfile(),
    )
    records = {record["email"]: record for record in client.everyone()}
    assert records["a@acme.test"]["identity"] == "[a b]"
    assert "identity" not in records["c@acme.test"]
    assert set(records) == {"a@acme.test", "c@acme.test"}


def test_a_cursor_works_verbatim_and_breaks_when_it_is_encoded_again(account):
    client = account(*many(30))
    cursor = client.post("/1/profiles.json", EVERYONE).json()["cursor"]
    assert "%2B" in cursor
    assert "%2F" in cursor
    for broken in (quote(cursor), unquote(cursor), cursor[:-3], cursor.lower(), "nonsense", ""):
        answer = client.get(f"/1/profiles.json?cursor={broken}")
        assert answer.status_code == 400, broken
        assert answer.json()["error"] == "Incorrect Usage"
    assert len(client.get(f"/1/profiles.json?cursor={cursor}").json()["records"]) == 10
    assert len(client.http.post(f"/1/profiles.json?cursor={cursor}").json()["records"]) == 10


def test_a_page_can_be_fetched_again_and_names_the_one_before(account):
    client = account(*many(30))
    first = client.post("/1/profiles.json", EVERYONE).json()["cursor"]
    page = client.get(f"/1/profiles.json?cursor={first}").json()
    assert "previous_cursor" not in page
    second = client.get(f"/1/profiles.json?cursor={page['next_cursor']}").json()
    assert second == client.get(f"/1/profiles.json?cursor={page['next_cursor']}").json()
    assert client.get(f"/1/profiles.json?cursor={second['previous_cursor']}").json()["records"] == page["records"]


def test_a_cursor_gets_stale_with_time_and_on_demand(account):
    now = [1_790_000_000.0]
    client = account(*many(30), clock=lambda: now[0])
    url = f"/1/profiles.json?cursor={client.post('/1/profiles.json', EVERYONE).json()['cursor']}"
    now[0] += 4 * 86_400 - 1
    assert client.get(url).status_code == 200
    now[0] += 2
    assert client.get(url).json()["error"] == "Incorrect Usage"
    client.clevertap.switches.stale_cursor_status = 200
    url = f"/1/profiles.json?cursor={client.post('/1/profiles.json', EVERYONE).json()['cursor']}"
    client.clevertap.expire_cursors()
    answer = client.get(url)
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (200, "fail", "Incorrect Usage")


def test_a_cursor_over_events_does_not_live_long_unused(account):
    now = [1_790_000_000.0]
    client = account(*many(3), clock=lambda: now[0])
    query = {"event_name": "App Launched", "from": 20260101, "to": client.today()}
    url = f"/1/events.json?cursor={client.post('/1/events.json', query).json()['cursor']}"
    statuses = []
    for seconds in (3500, 3500, 3700):
        now[0] += seconds
        statuses.append(client.get(url).status_code)
    assert statuses == [200, 200, 400]


@pytest.mark.parametrize("status", [200, 202])
def test_pages_may_not_be_ready_yet(account, status):
    client = account(*many(3), faults=Faults(not_ready_fetches=2, not_ready_status=status))
    cursor = client.post("/1/profiles.json", EVERYONE).json()["cursor"]
    answers = [client.get(f"/1/profiles.json?cursor={cursor}") for _ in range(3)]
    assert [(answer.status_code, answer.json().get("code")) for answer in answers] == [
        (status, 2),
        (status, 2),
        (200, None),
    ]


def test_empty_pages_and_duplicates_lose_nobody(account):
    client = account(*many(500), faults=Faults(empty_pages=1, duplicates=0.3))
    pages = client.pages(EVERYONE, options="batch_size=230")
    assert [] in pages[:-1]
    identities = [record["identity"] for page in pages for record in page]
    assert len(identities) > 500
    assert len(set(identities)) == 500


def test_one_export_is_entirely_empty_and_the_next_is_not(account):
    client = account(*many(5), faults=Faults(empty_exports=1))
    assert client.everyone() == []
    assert len(client.everyone()) == 5


def test_an_export_can_lose_its_cursor_after_the_first_page(account):
    client = account(*many(30), faults=Faults(stale_cursors=1))
    cursor = client.post("/1/profiles.json", EVERYONE).json()["cursor"]
    page = client.get(f"/1/profiles.json?cursor={cursor}").json()
    assert client.get(f"/1/profiles.json?cursor={page['next_cursor']}").json()["error"] == "Incorrect Usage"
    assert len(client.everyone()) == 30


def test_exports_may_be_throttled_with_code_1(account):
    client = account(*many(3), faults=Faults(throttled_exports=1))
    answer = client.post("/1/profiles.json", EVERYONE)
    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (200, "fail", 1)


def test_the_legacy_way_to_open_a_cursor(account):
    client = account(*many(3))
    answer = client.http.get(
        "/1/profiles.json",
        params={"batch_size": 23, "query": '{"event_name": "App Launched", "from": 20250101, "to": 20250102}'},
    )
    assert "cursor" in answer.json()


@pytest.mark.parametrize("size", ["0", "-1", "x", ""])
def test_a_batch_size_that_is_none_is_refused(account, size):
    assert account().post(f"/1/profiles.json?batch_size={size}", EVERYONE).status_code == 400


def test_a_batch_size_above_5000_is_capped_or_refused(account):
    client = account(*many(3))
    assert client.post("/1/profiles.json?batch_size=50000", EVERYONE).status_code == 200
    client.clevertap.switches.large_batch_size = "refused"
    assert client.post("/1/profiles.json?batch_size=50000", EVERYONE).status_code == 400


def test_events_come_with_their_profile_and_the_accounts_time(account):
    at = datetime(2026, 1, 15, 20, 30, tzinfo=UTC)  # the 16th, 02:00, in Kolkata
    raised = {"Channel Unsubscribed": [Raised(int(at.timestamp()), {"Type": "bounced", "Identity": "anna@acme.test"})]}
    client = account(AccountProfile("cust-1", "anna@acme.test", object_ids=("__g1",), events=raised))
    query = {"event_name": "Channel Unsubscribed", "from": 20260116, "to": 20260116}
    ((event,),) = client.pages(query, "/1/events.json")
    assert event["ts"] == 20260116020000
    assert event["event_props"] == {"Type": "bounced", "Identity": "anna@acme.test"}
    assert event["profile"]["objectId"] == "__g1"
    assert event["profile"]["identity"] == "cust-1"
    assert event["profile"]["email"] == "anna@acme.test"
    filtered = query | {"event_properties": [{"name": "Type", "operator": "equals", "value": "spam"}]}
    assert client.pages(filtered, "/1/events.json") == [[]]
    assert client.pages(query | {"from": 20260115, "to": 20260115}, "/1/events.json") == [[]]
    assert client.post("/1/events.json", EVERYONE).status_code == 400, "an export of events needs its event"


def test_a_cursor_of_profiles_is_none_of_events(account):
    client = account(*many(3))
    cursor = client.post("/1/profiles.json", EVERYONE).json()["cursor"]
    assert client.get(f"/1/events.json?cursor={cursor}").status_code == 400


def test_reads_lag_behind_writes_by_the_propagation_delay(account):
    now = [1_790_000_000.0]
    client = account(AccountProfile("cust-1", "a@acme.test", properties={"Plan": "Gold"}), clock=lambda: now[0])
    client.clevertap.set_faults(propagation_seconds=60, event_delay_seconds=30)
    client.set_properties("cust-1", Plan="Silver", **{"MSG-email": False})
    assert client.everyone()[0]["profileData"] == {"Plan": "Gold"}
    assert client.clevertap.state(identity="cust-1")[0]["properties"] == {"Plan": "Silver"}
    assert client.subscription_events() == []
    now[0] += 31
    assert len(client.subscription_events()) == 1
    assert client.get("/1/profile.json?identity=cust-1").json()["record"]["profileData"] == {"Plan": "Gold"}
    now[0] += 31
    assert client.get("/1/profile.json?identity=cust-1").json()["record"]["profileData"] == {"Plan": "Silver"}
