"""Look-ups, counts, uploads, subscriptions and the check of a connection, over a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TypeVar

import pytest

from ct_pipeline.clevertap.client import CleverTap, PropertyRecord, SubscriptionRecord
from ct_pipeline.clevertap.records import Identifier, RecordAnswer
from ct_pipeline.errors import (
    CleverTapRefusedError,
    CleverTapUnavailableError,
    CredentialsError,
    NotAllowedError,
)
from ct_pipeline.vocabulary import IdentifierKind
from ct_pipeline_tests.clevertap.scripted_api import Reply, Script, ScriptedApi

T = TypeVar("T")
IDENTITY, OBJECT_ID = IdentifierKind.IDENTITY, IdentifierKind.OBJECT_ID
MIRA = Identifier(IDENTITY, "cust-1001")
DAY = {"event_name": "App Launched", "from": 20260101, "to": 20260131}
SUCCESS = {"status": "success"}
FAIL = {"status": "fail"}


def ask(script: Script, what: Callable[[CleverTap], Awaitable[T]]) -> tuple[T, ScriptedApi]:
    api = ScriptedApi(script)

    async def asking() -> T:
        async with api, api.client() as client:
            return await what(client)

    return asyncio.run(asking()), api


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


# -- the check of a connection

CHECK_PATHS = ("/v1/connect", "/1/counts/profiles.json")
UNKNOWN_PARTNER = Reply(FAIL | {"error": "Unknown partner"}, status=400)


def test_the_partners_check_is_enough_when_it_says_yes() -> None:
    _, api = ask([SUCCESS], lambda client: client.check())
    assert api.targets == ["GET /v1/connect?partner=ct_pipeline"]


@pytest.mark.parametrize(
    "no",
    [
        UNKNOWN_PARTNER,
        Reply(b"", status=404),
        Reply(b"<html>", status=404),
        Reply(FAIL | {"error": "x", "code": 401}, status=401),
        Reply(FAIL | {"message": "x"}, status=403),
        Reply(b"", status=503),
        Reply(b"", raw=b""),
        {"ok": True},
    ],
)
@pytest.mark.parametrize("counted", [SUCCESS | {"count": 0}, {"status": "partial", "req_id": 5}])
def test_otherwise_a_count_decides(no: Reply | Mapping[str, object], counted: Mapping[str, object]) -> None:
    _, api = ask([no, counted], lambda client: client.check())
    assert api.targets == ["GET /v1/connect?partner=ct_pipeline", "POST /1/counts/profiles.json"]
    assert api.slept == []


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            Reply(FAIL | {"error": "Account ID is not valid", "code": 401}, status=401),
            CredentialsError,
            r"Account ID is not valid\. Compare CT_PROJECT_ID .* CT_REGION",
        ),
        (Reply(FAIL | {"error": "Invalid Credentials", "code": 401}, status=401), CredentialsError, "CT_PASSCODE"),
        (
            Reply(FAIL | {"error": "Passcode expired", "code": 401}, status=401),
            CredentialsError,
            "passcode has expired",
        ),
        (Reply(FAIL | {"error": "account blocked"}, status=400), CredentialsError, "another region: CT_REGION"),
        (Reply(b"<html>401 Authorization Required", status=401), CredentialsError, "HTTP 401, an HTML page"),
        (Reply(FAIL | {"error": "IP not allowed", "code": 403}, status=403), NotAllowedError, "IP addresses"),
        (Reply(b"<html><title>Blocked</title>", status=403), NotAllowedError, r"HTML page \(Blocked\).*proxy"),
        (Reply(b"<html><title>Sign in</title>"), CleverTapUnavailableError, r"HTML page \(Sign in\).*CT_BASE_URL"),
        (Reply(FAIL | {"error": "no such call"}, status=404), CleverTapRefusedError, "CT_BASE_URL"),
        (Reply(b"", status=302, headers={"Location": "https://x"}), CleverTapUnavailableError, "redirect"),
    ],
)
def test_what_is_wrong_with_a_connection_is_told_with_its_mend(
    answer: Reply, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ask([UNKNOWN_PARTNER, answer], lambda client: client.check())


def test_a_check_writes_nothing() -> None:
    for script in ([UNKNOWN_PARTNER, SUCCESS | {"count": 1}], [SUCCESS]):
        _, api = ask(script, lambda client: client.check())
        assert {request.target.partition("?")[0] for request in api.requests} <= set(CHECK_PATHS)


def test_a_wrong_clock_of_ours_is_seen_in_any_answer_and_does_not_fail_the_check() -> None:
    ahead = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)
    future = Reply(FAIL | {"error": "future date", "code": 4002}, status=400, headers={"Date": ahead})

    async def difference(client: CleverTap) -> timedelta | None:
        assert client.clock_difference is None
        await client.check()
        return client.clock_difference

    seen, _ = ask([UNKNOWN_PARTNER, future], difference)
    assert seen is not None
    assert timedelta(hours=2.9) < seen < timedelta(hours=3.1)


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Mon, 99 Foo 2026 99:99:99 GMT", "Mon, 23 Nov 2026 12:00:00 -0000", "0"]
)
def test_an_answer_without_a_readable_time_tells_no_time(date: str) -> None:
    async def difference(client: CleverTap) -> timedelta | None:
        await client.check()
        return client.clock_difference

    seen, _ = ask([Reply(SUCCESS, headers={"Date": date})], difference)
    assert seen is None
