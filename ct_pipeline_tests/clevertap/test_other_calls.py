"""Look-ups, counts, uploads and subscriptions, over a socket."""

from collections.abc import Mapping

import pytest

from ct_pipeline.clevertap.client import PropertyRecord, SubscriptionRecord
from ct_pipeline.clevertap.records import Identifier, RecordAnswer
from ct_pipeline.errors import (
    CleverTapRefusedError,
    CleverTapUnavailableError,
)
from ct_pipeline.vocabulary import IdentifierKind
from ct_pipeline_tests.clevertap.scripted_api import Reply, ask

IDENTITY, OBJECT_ID = IdentifierKind.IDENTITY, IdentifierKind.OBJECT_ID
MIRA = Identifier(IDENTITY, "cust-1001")
DAY = {"event_name": "App Launched", "from": 20260101, "to": 20260131}
SUCCESS = {"status": "success"}
FAIL = {"status": "fail"}


# -- one profile


def test_a_profile_is_looked_up_by_what_it_was_read_with() -> None:
    record = {
        "email": "mira@example.net",
        "platformInfo": [{"objectId": "-1a06"}],
        "profileData": {"EV Status": "valid"},
    }
    found, api = ask([SUCCESS | {"record": record}], lambda client: client.profile(Identifier(IDENTITY, "a&b=c ü@x")))
    assert found is not None
    assert (found.email, found.properties) == ("mira@example.net", {"EV Status": "valid"})
    assert api.targets == ["GET /1/profile.json?identity=a%26b%3Dc+%C3%BC%40x"]
    _, api = ask([SUCCESS | {"record": record}], lambda client: client.profile(Identifier(OBJECT_ID, "-1a06")))
    assert api.targets == ["GET /1/profile.json?objectId=-1a06"]


@pytest.mark.parametrize(
    "missing",
    [
        SUCCESS | {"record": None},
        SUCCESS | {"record": {}},
        SUCCESS,
        Reply(FAIL | {"error": "Profile not found", "code": 404}, status=404),
        Reply(FAIL | {"error": "Profile not found"}, status=400),
        Reply(FAIL | {"error": "No profile found. Record Not Found"}),
        Reply(b"", status=404),
    ],
)
def test_every_way_of_saying_that_there_is_no_profile_is_understood(missing: Reply | Mapping[str, object]) -> None:
    found, api = ask([missing], lambda client: client.profile(MIRA))
    assert found is None
    assert len(api.requests) == 1


def test_a_profile_that_is_none_is_not_taken_for_missing() -> None:
    with pytest.raises(CleverTapUnavailableError, match="JSON object"):
        ask([SUCCESS | {"record": [1]}], lambda client: client.profile(MIRA))
    with pytest.raises(CleverTapUnavailableError, match="HTML page"):
        ask([Reply(b"<html><title>Not Found</title>", status=404)], lambda client: client.profile(MIRA))


# -- counts


def test_a_count_is_answered_at_once_or_polled_for() -> None:
    counted, api = ask([SUCCESS | {"count": 7138}], lambda client: client.count_profiles(DAY))
    assert counted == 7138
    assert api.requests[0].json == DAY
    later = {"status": "partial", "req_id": 384649162721759}
    counted, api = ask([later, later, later, SUCCESS | {"count": 0}], lambda client: client.count_profiles(DAY))
    assert counted == 0
    assert api.targets[1:] == ["GET /1/counts/profiles.json?req_id=384649162721759"] * 3
    assert len(api.slept) == 3


@pytest.mark.parametrize(
    ("req_id", "on_the_wire"),
    [
        (b"36028797018963969123", "36028797018963969123"),  # beyond 2^53 and 2^64
        (b'"384649162721759"', "384649162721759"),
        (b'"a/b+c=&d"', "a%2Fb%2Bc%3D%26d"),
    ],
)
def test_the_id_of_a_count_is_opaque(req_id: bytes, on_the_wire: str) -> None:
    later = Reply(b'{ "status" : "partial" , "req_id" : ' + req_id + b" }")
    counted, api = ask([later, SUCCESS | {"count": 5}], lambda client: client.count_profiles(DAY))
    assert counted == 5
    assert api.targets[1] == f"GET /1/counts/profiles.json?req_id={on_the_wire}"


def test_a_count_that_never_comes_is_given_up() -> None:
    with pytest.raises(CleverTapUnavailableError, match="still computing"):
        ask([{"status": "partial", "req_id": 1}], lambda client: client.count_profiles(DAY))


@pytest.mark.parametrize("odd", [{"count": -1}, {"count": True}, {"count": "7"}, {"count": 1.5}, {"req_id": None}, {}])
def test_an_answer_without_a_count_is_asked_again(odd: dict[str, object]) -> None:
    counted, _ = ask([SUCCESS | odd, SUCCESS | {"count": 5}], lambda client: client.count_profiles(DAY))
    assert counted == 5


def test_a_count_that_fails_is_refused() -> None:
    failed = Reply(FAIL | {"error": "Event name is not valid", "code": 400}, status=400)
    with pytest.raises(CleverTapRefusedError, match="Event name is not valid"):
        ask([{"status": "partial", "req_id": 1}, failed], lambda client: client.count_profiles(DAY))


# -- uploads

RECORDS = [PropertyRecord(Identifier(IDENTITY, str(number)), {"EV Status": "valid"}) for number in range(1, 5)]


def test_an_upload_names_profiles_by_what_they_were_read_with() -> None:
    records = [
        PropertyRecord(Identifier(IDENTITY, "cust-1001"), {"EV Status": "invalid", "EV Safe To Send": False}),
        PropertyRecord(Identifier(OBJECT_ID, "-1a06"), {"EV Score": 3, "EV Checked On": {"$delete": True}}),
    ]
    body = b'{ "status" : "success" , "processed" : 2 , "unprocessed" : [ ]}'
    answers, api = ask([Reply(body)], lambda client: client.upload(records))
    assert answers == [RecordAnswer(True)] * 2
    assert api.targets == ["POST /1/upload"]
    assert api.requests[0].json == {
        "d": [
            {
                "type": "profile",
                "identity": "cust-1001",
                "profileData": {"EV Status": "invalid", "EV Safe To Send": False},
            },
            {
                "type": "profile",
                "objectId": "-1a06",
                "profileData": {"EV Score": 3, "EV Checked On": {"$delete": True}},
            },
        ]
    }


def test_a_refused_record_is_found_by_its_number() -> None:
    refused = {
        "status": "fail",
        "code": 515,
        "error": "Profile data is incorrect. Email is not valid.Skipped record number : 3",
    }
    payload = {"status": "partial", "processed": 3, "unprocessed": [refused | {"record": {"identity": "3"}}]}
    answers, _ = ask([payload], lambda client: client.upload(RECORDS))
    assert answers[2] == RecordAnswer(False, 515, "Profile data is incorrect. Email is not valid.")
    assert [answer.is_processed for answer in answers] == [True, True, False, True]


def test_an_upload_of_which_every_record_was_refused_is_an_answer_too() -> None:
    unprocessed = [
        {"status": "fail", "code": 523, "error": f"Identity is incorrect. Skipped record number : {number}"}
        for number in (4, 2, 1, 3)
    ]
    payload = {"status": "fail", "processed": 0, "unprocessed": unprocessed}
    answers, api = ask([payload], lambda client: client.upload(RECORDS))
    assert [answer.code for answer in answers] == [523] * 4
    assert len(api.requests) == 1, "it is not a failure of the call"


def test_malformed_request_is_repeated_since_bodies_in_order_meet_it_too() -> None:
    malformed = Reply(FAIL | {"error": "Malformed request", "code": 400}, status=400)
    answers, api = ask([malformed, malformed, SUCCESS | {"processed": 4}], lambda client: client.upload(RECORDS))
    assert all(answer.is_processed for answer in answers)
    assert len({request.body for request in api.requests}) == 1, "the very same is sent again"
    with pytest.raises(CleverTapUnavailableError, match="Malformed request"):
        ask([malformed], lambda client: client.upload(RECORDS))


def test_an_answer_that_does_not_add_up_is_no_success() -> None:
    for payload in (
        {"status": "success", "processed": 3, "unprocessed": []},
        {"status": "partial", "processed": 3, "unprocessed": [{"error": "x", "record": {"identity": "of nobody"}}]},
        {"status": "partial", "processed": 3, "unprocessed": [{"error": "nothing is said"}]},
    ):
        with pytest.raises(CleverTapUnavailableError):
            ask([payload], lambda client: client.upload(RECORDS))


def test_more_than_a_thousand_records_or_who_a_profile_is_are_never_sent() -> None:
    with pytest.raises(ValueError, match="1001 records"):
        ask([SUCCESS], lambda client: client.upload(RECORDS[:1] * 1001))
    with pytest.raises(ValueError, match="merge profiles"):
        ask([SUCCESS], lambda client: client.upload([PropertyRecord(MIRA, {"Email": "mira@example.net"})]))


def test_nothing_to_write_is_no_call() -> None:
    for answers, api in (
        ask([SUCCESS], lambda client: client.upload([])),
        ask([SUCCESS], lambda client: client.subscribe([])),
    ):
        assert answers == []
        assert api.requests == []


# -- subscriptions


def test_addresses_are_unsubscribed_and_resubscribed_in_their_stored_spelling() -> None:
    changes = [SubscriptionRecord("Gone@Example.org", False), SubscriptionRecord("back@example.org", True)]
    answers, api = ask([SUCCESS | {"processed": 2, "unprocessed": []}], lambda client: client.subscribe(changes))
    assert answers == [RecordAnswer(True)] * 2
    assert api.targets == ["POST /1/subscribe"]
    assert api.requests[0].json == {
        "d": [
            {"type": "email", "value": "Gone@Example.org", "status": "Unsubscribe"},
            {"type": "email", "value": "back@example.org", "status": "Resubscribe"},
        ]
    }


def test_a_bare_success_means_every_record() -> None:
    answers, _ = ask([SUCCESS], lambda client: client.subscribe([SubscriptionRecord("gone@example.org", False)]))
    assert answers == [RecordAnswer(True)]


def test_a_refused_address_is_found_by_its_echo_and_not_told_in_the_text() -> None:
    changes = [SubscriptionRecord(f"{name}@example.org", False) for name in "abc"]
    echo = {"type": "email", "value": "B@example.org", "status": "unsubscribe"}
    refused = {"status": "fail", "code": 555, "error": "b@example.org could not be stored", "record": echo}
    payload = {"status": "partial", "processed": 2, "unprocessed": [refused]}
    answers, _ = ask([payload], lambda client: client.subscribe(changes))
    assert answers == [RecordAnswer(True), RecordAnswer(False, 555, "•••@••• could not be stored"), RecordAnswer(True)]
