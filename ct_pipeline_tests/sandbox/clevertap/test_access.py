"""The simulated API at its door: credentials, regions, limits, unknown paths, the clock."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from ct_pipeline.sandbox.clevertap.profiles import AccountProfile

ANNA = AccountProfile("cust-1", "anna@acme.test")


def test_a_partner_check_succeeds_with_the_right_passport(account):
    answer = account().get("/v1/connect?partner=anyone")
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})


def test_an_unknown_account_is_told_in_the_recorded_words_and_spaces(account):
    client = account()
    answer = client.http.get("/1/profile.json?identity=x", headers={"X-CleverTap-Account-Id": "XXX-000-000Z"})
    assert answer.status_code == 401
    assert answer.content == b'{ "status" : "fail" , "error" : "Account ID is not valid" , "code" : 401}'
    assert answer.headers["content-type"] == "application/json;charset=utf-8"


def test_a_wrong_passcode_an_expired_one_and_a_wrong_region_are_401(account):
    client = account()
    wrong = client.http.get("/v1/connect?partner=x", headers={"X-CleverTap-Passcode": "nonsense"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "Invalid Credentials")
    client.clevertap.set_faults(is_wrong_region=True, wrong_region_text="account blocked")
    assert client.get("/v1/connect?partner=x").json() == {"status": "fail", "error": "account blocked", "code": 401}
    client.clevertap.set_faults(is_wrong_region=False, is_passcode_expired=True)
    assert client.get("/v1/connect?partner=x").status_code == 401


def test_a_passcode_can_expire_after_some_calls(account):
    client = account(ANNA)
    client.clevertap.faults.passcode_expires_after = 2
    statuses = [client.get("/1/profile.json?identity=cust-1").status_code for _ in range(4)]
    assert statuses == [200, 200, 401, 401]


def test_an_address_that_is_not_let_in_gets_403(account):
    client = account()
    client.clevertap.faults.is_forbidden = True
    assert client.get("/v1/connect?partner=x").status_code == 403


def test_an_empty_account_id_makes_the_partner_check_503(account):
    client = account()
    answer = client.http.get("/v1/connect?partner=x", headers={"X-CleverTap-Account-Id": ""})
    assert answer.status_code == 503


def test_unknown_paths_and_methods(account):
    client = account()
    assert client.get("/1/nothing.json").status_code == 404
    assert client.get("/1/upload").status_code == 405
    assert client.http.delete("/1/upload").status_code == 405


def test_a_body_that_is_no_json_is_malformed(account):
    client = account()
    headers = {"content-type": "application/json"}
    for body in (b"", b"{", b"[1", b'{"d": {}}', b"null", b'"d"', b"[]"):
        answer = client.http.post("/1/upload", content=body, headers=headers)
        assert answer.status_code == 400, body
        assert answer.content == b'{ "status" : "fail" , "error" : "Malformed request" , "code" : 400}'
    assert client.http.post("/1/profiles.json", content=b"3", headers=headers).status_code == 400
    assert (
        client.http.post("/1/upload", content=b'{"d": []}', headers={"content-type": "text/plain"}).status_code == 400
    )


@pytest.mark.parametrize("length", [1, 40])
def test_a_fourth_read_in_flight_is_refused(account, length):
    client = account(ANNA)
    client.clevertap.faults.answer_seconds = 0.5
    with ThreadPoolExecutor(length) as threads:
        answers = list(threads.map(lambda _: client.get("/1/profile.json?identity=cust-1"), range(length)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answers) - len(refused) >= min(length, 3)
    assert bool(refused) == (length > 3)
    assert client.clevertap.log.most_in_flight["profiles"] >= min(length, 4)
    for answer in refused:
        assert answer.json() == {"status": "fail", "error": "Too many concurrent requests", "code": 429}
        assert "retry-after" not in answer.headers


def test_fifteen_uploads_are_allowed_and_subscribe_has_no_limit(account):
    client = account(ANNA)
    client.clevertap.faults.answer_seconds = 0.5
    client.clevertap.switches.too_many_requests_body = "text"
    limits = httpx.Limits(max_connections=40)
    record = {"type": "profile", "identity": "cust-1", "profileData": {"a": 1}}
    with (
        ThreadPoolExecutor(40) as threads,
        httpx.Client(base_url=client.clevertap.base_url, headers=client.http.headers, limits=limits) as http,
    ):
        fifteen = list(threads.map(lambda _: http.post("/1/upload", json={"d": [record]}), range(15)))
        many = list(threads.map(lambda _: http.post("/1/upload", json={"d": [record]}), range(40)))
        change = {"type": "email", "value": "anna@acme.test", "status": "Unsubscribe"}
        subscribes = list(threads.map(lambda _: http.post("/1/subscribe", json={"d": [change]}), range(40)))
    assert {answer.status_code for answer in fifteen} == {200}
    assert {answer.status_code for answer in subscribes} == {200}
    assert {answer.text for answer in many if answer.status_code == 429} == {"Too many concurrent requests"}


def test_the_clock_of_the_api_can_be_wrong(account):
    client = account()
    right = parsedate_to_datetime(client.get("/v1/connect?partner=x").headers["date"])
    client.clevertap.faults.clock_offset_seconds = 7200
    wrong = parsedate_to_datetime(client.get("/v1/connect?partner=x").headers["date"])
    assert timedelta(hours=1, minutes=59) < wrong - right < timedelta(hours=2, minutes=1)


def test_the_answer_is_plain_http_on_a_socket(account):
    """Independent of any client library: head, blank line, a body of the length that was said."""
    client = account(ANNA)
    access = client.clevertap.account.access
    host, port = client.clevertap.base_url.removeprefix("http://").split(":")
    request = (
        f"GET /1/profile.json?identity=cust-1 HTTP/1.1\r\nHost: {host}\r\n"
        f"X-CleverTap-Account-Id: {access.project_id}\r\n"
        f"X-CleverTap-Passcode: {access.passcode}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request.encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert json.loads(body)["record"]["email"] == "anna@acme.test"


def test_the_log_holds_neither_passcode_nor_address(account, tmp_path):
    client = account(ANNA, log_path=tmp_path / "calls.jsonl")
    client.get("/1/profile.json?email=anna@acme.test")
    client.subscription(("anna@acme.test", "Unsubscribe"))
    text = (tmp_path / "calls.jsonl").read_text()
    assert [json.loads(line)["path"] for line in text.splitlines()] == ["/1/profile.json", "/1/subscribe"]
    assert "anna@acme.test" not in text
    assert client.clevertap.account.access.passcode not in text
    assert client.clevertap.account.access.passcode not in repr(client.clevertap.account.access)
