"""The check of a connection: what it asks, what it says to mend, and that it writes nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.errors import CleverTapRefusedError, CleverTapUnavailableError, CredentialsError, NotAllowedError
from ct_pipeline_tests.clevertap.scripted_api import Reply, ask

SUCCESS = {"status": "success"}
FAIL = {"status": "fail"}
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
