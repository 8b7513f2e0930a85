"""Exports over a socket: the request lines are looked at byte by byte, the answers are those met in the wild."""

import asyncio
import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_pipeline.clevertap.client import CleverTap, Page
from ct_pipeline.clevertap.paging import MAX_EMPTY_PAGES
from ct_pipeline.clevertap.query import day_query, everyone_query, unsubscribe_events_query
from ct_pipeline.clevertap.records import Event, Identifier, Profile
from ct_pipeline.errors import AudienceError, CleverTapUnavailableError, CursorExpiredError
from ct_pipeline.vocabulary import IdentifierKind
from ct_pipeline_tests.clevertap.scripted_api import Reply, Request, Script, ScriptedApi

CURSOR = "QUJDRCUyRmVm%2Fe2%2Bgh%3D%3D"
STALE = Reply({"status": "fail", "error": "Incorrect Usage. See docs.", "code": 400}, status=400)
QUERY = everyone_query()


def page(*identities: str, following: str | None = None) -> dict[str, object]:
    records: list[object] = [{"identity": identity, "email": f"{identity}@example.net"} for identity in identities]
    last: dict[str, object] = {"status": "success", "records": records}
    return last | {"next_cursor": following} if following else last


def opened(cursor: str = CURSOR) -> dict[str, object]:
    return {"status": "success", "cursor": cursor}


def read(script: Script, cursor: str | None = None) -> tuple[list[Page[Profile]], ScriptedApi]:
    api = ScriptedApi(script)

    async def reading() -> list[Page[Profile]]:
        async with api, api.client() as client:
            return [page async for page in client.profile_pages(QUERY, cursor)]

    return asyncio.run(reading()), api


def identities(pages: list[Page[Profile]]) -> list[list[str]]:
    return [[profile.all_identities[0] for profile in page.records] for page in pages]


def test_an_export_is_opened_by_its_query_and_read_until_no_cursor_follows() -> None:
    pages, api = read([opened("one"), page("a", "b", following="two"), page("c")])
    assert identities(pages) == [["a", "b"], ["c"]]
    assert [(page.number, page.next_cursor) for page in pages] == [(1, "two"), (2, None)]
    assert api.targets == [
        "POST /1/profiles.json?batch_size=4991&app=false&events=true&profile=true",
        "GET /1/profiles.json?cursor=one",
        "GET /1/profiles.json?cursor=two",
    ]
    assert api.requests[0].json == QUERY
    assert api.requests[0].headers["content-type"] == "application/json"
    assert "content-type" not in api.requests[1].headers, "newer documentation wants none with GET"


def test_credentials_go_with_every_request_in_their_headers() -> None:
    _, api = read([opened(), page("a")])
    for request in api.requests:
        assert request.headers["x-clevertap-account-id"] == "TEST-ABC-123Z"
        assert request.headers["x-clevertap-passcode"] == "QSE-SSE-passcode-47"
        assert b"passcode" not in request.line


def test_a_cursor_goes_back_as_it_came() -> None:
    _, api = read([opened(CURSOR), page("a", following="a%2fb%2B%3d+/=~_-.!*'()"), page("b")])
    assert api.requests[1].line == f"GET /1/profiles.json?cursor={CURSOR} HTTP/1.1".encode()
    assert api.requests[2].line == b"GET /1/profiles.json?cursor=a%2fb%2B%3d+/=~_-.!*'() HTTP/1.1"


ENCODED = st.lists(st.from_regex(r"[A-Za-z0-9._~+/=:@!$'()*,;?-]|%[0-9A-Fa-f]{2}", fullmatch=True), min_size=1)


@settings(max_examples=25, deadline=None)
@given(ENCODED.map("".join))
def test_any_well_formed_cursor_goes_back_byte_for_byte(cursor: str) -> None:
    _, api = read([page("a")], cursor)
    assert api.requests[0].line == b"GET /1/profiles.json?cursor=" + cursor.encode() + b" HTTP/1.1"


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40))
def test_no_cursor_can_smuggle_a_parameter_or_a_header(cursor: str) -> None:
    _, api = read([page("a")], cursor)
    assert re.fullmatch(rb"GET /1/profiles\.json\?cursor=[^&#\s]+ HTTP/1\.1", api.requests[0].line)
    assert len(api.requests) == 1


def test_an_empty_page_in_mid_stream_is_not_the_end() -> None:
    no_key = {"status": "success", "next_cursor": "three"}
    pages, _ = read([opened("one"), page(following="two"), no_key, page("a", following="four"), page()])
    assert identities(pages) == [[], [], ["a"], []]


def test_a_success_that_names_neither_records_nor_a_cursor_has_to_say_so_twice() -> None:
    bare = {"status": "success"}
    pages, _ = read([opened("one"), page("a", following="two"), bare, page("b")])
    assert identities(pages) == [["a"], ["b"]]
    pages, api = read([opened("one"), bare, bare, page("never asked for")])
    assert identities(pages) == [[]]
    assert len(api.requests) == 3


def test_a_cursor_given_back_later_resumes_without_opening_anew() -> None:
    pages, api = read([page("c", following="last"), page("d")], cursor="kept%2Fcursor")
    assert identities(pages) == [["c"], ["d"]]
    assert api.targets == ["GET /1/profiles.json?cursor=kept%2Fcursor", "GET /1/profiles.json?cursor=last"]


@pytest.mark.parametrize(
    "not_yet",
    [
        Reply({"status": "fail", "error": "Cursor not ready", "code": 2}),
        Reply({"status": "fail", "error": "Cursor not ready", "code": "2"}, status=202),
        Reply({"status": "success"}, status=202),
        Reply(b"", status=202),
        Reply(b"accepted", status=202),
    ],
)
def test_an_export_that_is_not_ready_is_asked_again_with_the_same_cursor(not_yet: Reply) -> None:
    pages, api = read([opened(), not_yet, not_yet, not_yet, page("a")])
    assert identities(pages) == [["a"]]
    assert api.targets[1:] == [f"GET /1/profiles.json?cursor={CURSOR}"] * 4
    assert [1 <= wait <= 2 * 2**number for number, wait in enumerate(api.slept)] == [True] * 3


def test_an_opening_that_is_not_ready_is_asked_again() -> None:
    pages, api = read([Reply(b"", status=202), {"status": "fail", "error": "x", "code": 2}, opened(), page("a")])
    assert identities(pages) == [["a"]]
    assert [request.method for request in api.requests] == ["POST", "POST", "POST", "GET"]


def test_a_throttled_export_waits() -> None:
    throttled = Reply({"status": "fail", "error": "Request Throttled", "code": 1})
    pages, api = read([throttled, opened(), throttled, page("a")])
    assert identities(pages) == [["a"]]
    assert len(api.slept) == 2


def test_a_stale_cursor_is_told_and_pages_before_it_are_good() -> None:
    async def reading() -> None:
        async with ScriptedApi([opened("one"), page("a", following="two"), STALE]) as api, api.client() as client:
            pages = client.profile_pages(QUERY)
            assert identities([await anext(pages)]) == [["a"]]
            with pytest.raises(CursorExpiredError, match=r"Incorrect Usage.*start again"):
                await anext(pages)

    asyncio.run(reading())


def test_a_kept_cursor_that_is_stale_is_told_at_once() -> None:
    with pytest.raises(CursorExpiredError):
        read([STALE], cursor="kept")


def test_a_new_cursor_that_is_stale_before_its_first_page_is_opened_again() -> None:
    pages, api = read([opened("one"), STALE, opened("two"), page("a")])
    assert identities(pages) == [["a"]]
    assert [target[:4] for target in api.targets] == ["POST", "GET ", "POST", "GET "]
    with pytest.raises(CursorExpiredError):
        read(lambda request: STALE if request.method == "GET" else Reply(opened()))


def test_a_cursor_that_comes_again_ends_in_an_error_and_not_in_a_circle() -> None:
    with pytest.raises(CleverTapUnavailableError, match="circle"):
        read([opened("one"), page("a", following="two"), page("b", following="one")])


def test_pages_without_records_do_not_go_on_for_ever() -> None:
    numbers = iter(range(10 * MAX_EMPTY_PAGES))

    def empty(request: Request) -> dict[str, object]:
        return opened() if request.method == "POST" else page(following=f"cursor-{next(numbers)}")

    with pytest.raises(CleverTapUnavailableError, match="pages without records"):
        read(empty)


def test_odd_records_are_set_aside_and_the_others_kept() -> None:
    records = [None, 7, "x", [], {"identity": "a"}, {"email": "x" * 5000 + "@example.net"}, {}]
    pages, _ = read([opened(), {"status": "success", "records": records}])
    assert identities([Page(pages[0].records[:1], [], None, 1)]) == [["a"]]
    assert len(pages[0].records) == 2
    assert [note.partition(":")[0] for note in pages[0].set_aside] == [
        f"record {number} of page 1" for number in (1, 2, 3, 4, 6)
    ]
    assert "@" not in "".join(pages[0].set_aside)


@pytest.mark.parametrize(
    "odd",
    [
        {"status": "success", "records": {"a": 1}},
        {"status": "success", "records": "many"},
        {"status": "success", "records": [], "next_cursor": 7},
        {"status": "success", "records": [], "next_cursor": "two\r\nX-Evil: 1"},
        {"status": "success", "records": [], "next_cursor": "x" * 9000},
        {},
    ],
)
def test_an_answer_that_is_no_page_is_asked_again(odd: dict[str, object]) -> None:
    pages, api = read([opened(), odd, page("a")])
    assert identities(pages) == [["a"]]
    assert len(api.slept) == 1


@pytest.mark.parametrize(
    "odd", [{"status": "success"}, opened(""), {"status": "success", "cursor": 7}, {"cursor": None}]
)
def test_an_opening_without_a_cursor_is_asked_again_and_then_an_error(odd: dict[str, object]) -> None:
    pages, _ = read([odd, opened(), page("a")])
    assert identities(pages) == [["a"]]
    with pytest.raises(CleverTapUnavailableError, match=r"opening of an export of profiles, asked 8 times: .*cursor"):
        read([odd])


def test_a_query_into_the_future_is_refused_with_the_mend() -> None:
    refusal = Reply({"status": "fail", "error": "to date cannot be in the future", "code": 4002}, status=400)
    with pytest.raises(AudienceError, match="CT_TIMEZONE") as caught:
        read([refusal])
    assert "future" in str(caught.value)


def test_events_are_read_in_the_zone_of_the_project() -> None:
    record = {
        "profile": {"objectId": "__g9e75e2", "identity": "[one two]", "email": "mira@example.net", "phone": 4930000000},
        "ts": 20260115140416,
        "event_props": {"Resubscribed": "false", "Identity": "mira@example.net"},
    }

    api = ScriptedApi([opened(), {"status": "success", "records": [record, {"ts": 1}]}])

    async def reading() -> list[Page[Event]]:
        async with api, CleverTap(api.connection, zone=ZoneInfo("Asia/Kolkata")) as client:
            query = unsubscribe_events_query(date(2026, 1, 1), date(2026, 1, 31))
            return [page async for page in client.event_pages(query)]

    (got,) = asyncio.run(reading())
    (event,) = got.records
    assert event.happened_at == datetime(2026, 1, 15, 8, 34, 16, tzinfo=UTC)
    assert (event.email, event.object_id) == ("mira@example.net", "__g9e75e2")
    assert event.identifier == Identifier(IdentifierKind.OBJECT_ID, "__g9e75e2"), "packed identities are not written by"
    assert event.properties["Identity"] == "mira@example.net"
    assert got.set_aside == ["record 2 of page 1: it has no time"]
    assert api.targets == [
        "POST /1/events.json?batch_size=4991&app=false&events=false&profile=true",
        f"GET /1/events.json?cursor={CURSOR}",
    ]


def test_many_exports_share_a_client() -> None:
    api = ScriptedApi(lambda request: opened() if request.method == "POST" else page("a"))

    async def all_of_them() -> int:
        async with api, api.client() as client:

            async def count(day: int) -> int:
                query = day_query("App Launched", date(2026, 1, day))
                return sum([len(page.records) async for page in client.profile_pages(query)])

            return sum(await asyncio.gather(*(count(day) for day in range(1, 11))))

    assert asyncio.run(all_of_them()) == 10
    assert api.most_in_flight <= 3
