"""The passcode shows nowhere: not in errors, reprs, logs of any level; cursors and addresses in no log at all."""

import asyncio
import copy
import json
import logging
import pickle
import traceback

import httpx
import pytest
from pydantic import SecretStr

from ct_pipeline.clevertap import calls
from ct_pipeline.clevertap.client import CleverTap, Connection, PropertyRecord, SubscriptionRecord, client_of
from ct_pipeline.clevertap.records import Identifier, Profile
from ct_pipeline.clevertap.retry import HURRIED
from ct_pipeline.errors import CtPipelineError
from ct_pipeline.settings import load_settings
from ct_pipeline.vocabulary import IdentifierKind
from ct_pipeline_tests.clevertap.scripted_api import PASSCODE, PROJECT, Reply, ScriptedApi

ADDRESS = "mira.secret@example.net"
CURSOR = "Q1VSU09S%2F1%3D"
MIRA = Identifier(IdentifierKind.IDENTITY, ADDRESS)
QUERY: dict[str, object] = {"event_name": "x", "from": 20260101, "to": 20260101}


def saying(words: str, status: int, code: int = 0) -> Reply:
    return Reply({"status": "fail", "error": words, "code": code}, status=status)


# each repeats what it was sent, as a careless server might
TALKATIVE = [
    saying(f"Passcode {PASSCODE} of {ADDRESS} is wrong", 401),
    saying(f"Passcode {PASSCODE} is expired", 200, 401),
    saying(f"{PASSCODE} may not", 403),
    saying(f"{PASSCODE} {ADDRESS} bad", 400),
    saying(f"Incorrect Usage {PASSCODE} {CURSOR}", 400),
    saying(f"future {PASSCODE}", 400, 4002),
    saying(f"busy {PASSCODE}", 429),
    saying(f"not ready {PASSCODE}", 200, 2),
    saying(f"oops {PASSCODE}", 500),
    Reply(f"<html><title>{PASSCODE} {ADDRESS}</title>".encode(), status=502),
    Reply({"status": "partial", "processed": 0, "unprocessed": [{"error": f"{PASSCODE} {ADDRESS}"}]}),
    Reply({"status": "success", "processed": f"{PASSCODE}", "unprocessed": []}),
    Reply(b"{}", headers={"Content-Encoding": PASSCODE}),
    Reply(raw=f"HTTP/1.1 {PASSCODE}\r\n{PASSCODE}\r\n\r\n".encode()),
    Reply(raw=b""),
]


async def everything_goes_wrong(reply: Reply) -> list[BaseException]:
    errors: list[BaseException] = []
    async with ScriptedApi([reply]) as api, api.client(patience=HURRIED) as client:
        for call in (
            client.check(),
            client.profile(MIRA),
            client.count_profiles(QUERY),
            client.upload([PropertyRecord(MIRA, {"EV Status": "valid"})]),
            client.subscribe([SubscriptionRecord(ADDRESS, False)]),
            anext(client.profile_pages(QUERY, CURSOR)),
            anext(client.event_pages(QUERY)),
        ):
            try:
                await call
            except CtPipelineError as error:
                errors.append(error)
    assert errors
    return errors


@pytest.mark.parametrize("reply", TALKATIVE)
def test_no_error_and_no_log_holds_the_passcode_an_address_or_a_cursor(
    reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        errors = asyncio.run(everything_goes_wrong(reply))
    for error in errors:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        ours = [frame for frame in frames if "ct_pipeline_tests" not in frame.filename]
        assert ours
        assert PASSCODE not in repr([frame.locals for frame in ours]), "not even where a traceback shows variables"
        assert error.__cause__ is None
        assert error.__context__ is None
        assert PASSCODE not in repr(error)
        for secret in (PASSCODE, ADDRESS):
            assert secret not in str(error)
        assert pickle.loads(pickle.dumps(error)).args == error.args
    assert "httpcore.http11" in {record.name for record in caplog.records}, "the test looks at nothing"
    for record in caplog.records:
        if record.name == "httpcore.http11" and record.levelno == logging.DEBUG:
            assert "mira" not in record.getMessage()
            continue  # httpcore repeats the headers of answers; what stands there is the server's
        assert PASSCODE not in record.getMessage()
        assert ADDRESS not in record.getMessage()
        assert CURSOR not in record.getMessage()


def test_requests_that_succeed_log_neither_cursor_nor_address_nor_passcode(caplog: pytest.LogCaptureFixture) -> None:
    page = {"status": "success", "records": [{"email": ADDRESS}], "next_cursor": CURSOR}

    async def reading() -> None:
        api = ScriptedApi([page, {"status": "success", "record": {"email": ADDRESS}}])
        async with api, api.client() as client:
            await anext(client.profile_pages(QUERY, "before"))
            await client.profile(MIRA)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(reading())
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "GET http://127.0.0.1" in text, "httpx logs requests"
    assert "/1/profile.json" in text
    for secret in (PASSCODE, "mira", CURSOR, "Q1VSU09S", "cursor="):
        assert secret not in text


def test_no_repr_holds_the_passcode() -> None:
    connection = Connection("https://api.clevertap.com", PROJECT, SecretStr(PASSCODE))

    async def reprs() -> list[str]:
        client = CleverTap(connection)
        async with client:
            http = client._wire._http
            assert isinstance(http, httpx.AsyncClient)
            return [
                repr(each) for each in (client, connection, http, http.headers, http.auth, vars(http), vars(client))
            ]

    for text in [*asyncio.run(reprs()), str(connection), f"{connection}", json.dumps(str(copy.copy(connection)))]:
        assert PASSCODE not in text


def test_a_repr_of_a_call_holds_no_address() -> None:
    for call in (
        calls.look_up(MIRA),
        calls.subscribe([{"value": ADDRESS}]),
        calls.fetch_page(calls.Exported.EVENTS, "c1"),
    ):
        assert "mira" not in repr(call)
        assert "c1" not in repr(call)


def test_settings_lead_to_a_client_without_showing_the_passcode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CT_PASSCODE", PASSCODE)
    settings = load_settings(project_id=PROJECT, region="in1")
    assert PASSCODE not in repr(settings)
    assert PASSCODE not in repr(client_of(settings))
    assert "https://in1.api.clevertap.com" in repr(client_of(settings))


def test_data_is_not_changed_where_it_happens_to_hold_the_passcode() -> None:
    record = {"identity": "a", "profileData": {"note": f"x {PASSCODE} y"}}

    async def reading() -> tuple[Profile, Profile | None]:
        page = {"status": "success", "records": [record]}
        async with ScriptedApi([page, {"status": "success", "record": record}]) as api, api.client() as client:
            return (await anext(client.profile_pages(QUERY, "c"))).records[0], await client.profile(MIRA)

    for profile in asyncio.run(reading()):
        assert profile
        assert profile.properties == {"note": f"x {PASSCODE} y"}
