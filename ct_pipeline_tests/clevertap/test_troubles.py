"""What goes wrong on the way: crowds, strangers' pages, endless answers, lost connections, a cancelled reader."""

import asyncio
import gzip

import pytest
from pydantic import SecretStr

from ct_pipeline.clevertap import calls
from ct_pipeline.clevertap.client import CleverTap, Connection, PropertyRecord, SubscriptionRecord
from ct_pipeline.clevertap.query import everyone_query
from ct_pipeline.clevertap.records import Identifier
from ct_pipeline.clevertap.retry import Backoff, Patience
from ct_pipeline.errors import CleverTapRefusedError, CleverTapUnavailableError, TransientError
from ct_pipeline.vocabulary import IdentifierKind
from ct_pipeline_tests.clevertap.scripted_api import PASSCODE, PROJECT, Reply, Request, Script, ScriptedApi

QUERY = everyone_query()
COUNT = {"status": "success", "count": 7}
CROWDED = Reply({"status": "fail", "error": "Too many concurrent requests", "code": 429}, status=429)


def count(script: Script, **options: float) -> tuple[int, ScriptedApi]:
    api = ScriptedApi(script)

    async def counting() -> int:
        async with api, api.client(timeout_seconds=options.get("timeout_seconds", 30.0)) as client:
            return await client.count_profiles(QUERY)

    return asyncio.run(counting()), api


@pytest.mark.parametrize(
    "trouble",
    [
        Reply({"status": "fail", "error": "Internal error", "code": 500}, status=500),
        Reply(b"", status=500),
        Reply(b"", status=503),
        Reply(b"upstream connect error", status=503),
        Reply(b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>", status=502),
        Reply(b"<html><body>maintenance</body></html>"),
        Reply(b"\xef\xbb\xbf  <HTML>"),
        Reply(b""),
        Reply(b"", status=204),
        Reply(b"null"),
        Reply(b"[]"),
        Reply(b'"success"'),
        Reply(b'{"status":"success","count":7'),
        Reply(b'{"status":"success","count":NaN}'),
        Reply(b'{"status":"success","count":Infinity}'),
        Reply(b'{"status":"success","count":7,"x":1e999}'),
        Reply(b'{"status":"success","count":' + b"9" * 5000 + b"}"),
        Reply(b"[" * 200_000),
        Reply(b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
        Reply('{"status":"success","count":7}'.encode("utf-16")),
        Reply({"status": "fail", "error": "something", "code": 555}),
        Reply(b"", status=301, headers={"Location": "http://127.0.0.1:1/"}),
        Reply(b"", status=407),
        Reply(raw=b""),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le"),
        Reply(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"status":"success","count":7}'),
        Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"),
        Reply(raw=b"220 mail.example.net ESMTP\r\n"),
        Reply(gzip.compress(b'{"status":"success","count":7}')[:-9], headers={"Content-Encoding": "gzip"}),
        Reply(b"not packed", headers={"Content-Encoding": "gzip"}),
        Reply(b"{}", headers={"Content-Encoding": "gzip, gzip"}),
        Reply(b"{}", headers={"Content-Encoding": "br"}),
    ],
)
def test_trouble_is_asked_again_and_given_up_in_the_end(trouble: Reply) -> None:
    counted, api = count([trouble, trouble, COUNT])
    assert counted == 7
    assert len(api.slept) == 2
    with pytest.raises(CleverTapUnavailableError, match=r"no usable answer to a count of profiles, asked 8 times: "):
        count([trouble])


def test_answers_in_many_pieces_and_packed_are_read() -> None:
    body = b'{ "status" : "success" , "count" : 7 }'
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: Close\r\n\r\n"
    assert count([Reply(raw=head + pieces)])[0] == 7
    assert count([Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"})])[0] == 7
    assert count([Reply(b"\xef\xbb\xbf" + body)])[0] == 7
    assert count([Reply(b'{"status":"success","count":7,"x":"\xff\xfe"}')])[0] == 7


def test_a_crowd_is_waited_out_with_growing_waits() -> None:
    counted, api = count([CROWDED] * 8 + [COUNT])
    assert counted == 7
    for number, wait in enumerate(api.slept):
        assert min(60, 1.5 * 2**number) / 2 <= wait <= min(60, 1.5 * 2**number)
    with pytest.raises(CleverTapUnavailableError, match="Too many concurrent requests"):
        count([CROWDED])


@pytest.mark.parametrize("status", [200, 400, 429, 503])
def test_a_crowd_is_known_by_its_text_whatever_the_code(status: int) -> None:
    crowded = Reply({"status": "fail", "message": "Too many concurrent requests"}, status=status)
    assert len(count([crowded] * 15 + [COUNT])[1].slept) == 15


def test_what_the_server_asks_to_wait_is_waited_but_not_for_ever() -> None:
    asked = Reply(b"slow down", status=429, headers={"Retry-After": "17"})
    absurd = Reply(b"", status=429, headers={"Retry-After": "999999"})
    by_date = Reply(b"", status=429, headers={"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"})
    _, api = count([asked, absurd, by_date, COUNT])
    assert api.slept[0] == 17
    assert api.slept[1] == 60
    assert api.slept[2] <= 6


@pytest.mark.parametrize("status", [400, 405, 409, 413, 418])
def test_what_is_refused_is_not_asked_again(status: int) -> None:
    api = ScriptedApi(
        [Reply({"status": "fail", "error": "No, mira@example.net!\r\n\x1b[31m", "code": 4004}, status=status)]
    )

    async def counting() -> None:
        async with api, api.client() as client:
            with pytest.raises(CleverTapRefusedError) as caught:
                await client.count_profiles(QUERY)
        words = str(caught.value)
        assert "No, •••@•••" in words
        assert words.isprintable()
        assert f"HTTP {status}" in words

    asyncio.run(counting())
    assert len(api.requests) == 1


def test_a_redirect_is_not_followed_since_the_passcode_would_go_along() -> None:
    async def counting() -> None:
        async with ScriptedApi([COUNT]) as thief:
            elsewhere = Reply(b"", status=307, headers={"Location": f"http://127.0.0.1:{thief.port}/"})
            async with ScriptedApi([elsewhere]) as api, api.client() as client:
                with pytest.raises(CleverTapUnavailableError, match="redirect"):
                    await client.count_profiles(QUERY)
            assert thief.requests == []

    asyncio.run(counting())


def test_an_answer_that_never_comes_or_drips_is_cut_off() -> None:
    never = Reply(after=asyncio.Event())
    with pytest.raises(CleverTapUnavailableError, match=r"no complete answer within 0\.05 s"):
        count([never], timeout_seconds=0.05)


def test_the_whole_answer_has_to_come_in_time_and_not_each_piece() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def counting() -> None:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = Connection(f"http://127.0.0.1:{port}", PROJECT, SecretStr(PASSCODE))
        hurried = Patience(trouble=Backoff(0, 0, 1))
        async with server, CleverTap(connection, timeout_seconds=0.2, patience=hurried) as client:
            with pytest.raises(CleverTapUnavailableError, match=r"within 0\.2 s"):
                await client.count_profiles(QUERY)

    asyncio.run(counting())


def test_nobody_listening_is_told_with_the_mend() -> None:
    async def counting() -> None:
        connection = Connection("http://127.0.0.1:1", PROJECT, SecretStr(PASSCODE))
        async with CleverTap(connection, patience=Patience(trouble=Backoff(0, 0, 0))) as client:
            with pytest.raises(CleverTapUnavailableError, match=r"cannot connect: .*CT_BASE_URL"):
                await client.count_profiles(QUERY)

    asyncio.run(counting())


def test_an_answer_larger_than_its_bound_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_PAGE_BYTES", 1_000_000)
    bomb = gzip.compress(b'{"x":"' + b" " * 60_000_000)
    assert len(bomb) < 100_000
    for reply in (Reply(b" " * 1_000_001), Reply(bomb, headers={"Content-Encoding": "gzip"})):
        with pytest.raises(CleverTapRefusedError, match=r"more than 0 MiB\. Lower CT_PAGE_SIZE\."):
            asyncio.run(read_pages([reply]))


async def read_pages(script: Script) -> int:
    async with ScriptedApi(script) as api, api.client() as client:
        return sum([len(page.records) async for page in client.profile_pages(QUERY, "cursor")])


def test_each_api_has_slots_of_its_own_and_they_are_never_exceeded() -> None:
    gate = asyncio.Event()

    def waiting(request: Request) -> Reply:
        body = {"status": "success", "count": 1, "record": None}
        return Reply(body, after=gate)

    async def crowd() -> None:
        identifier = Identifier(IdentifierKind.IDENTITY, "a")
        async with ScriptedApi(waiting) as api, api.client(read_concurrency=2, upload_concurrency=4) as client:
            tasks = [
                asyncio.create_task(call())
                for _ in range(10)
                for call in (
                    lambda: client.count_profiles(QUERY),
                    lambda: client.profile(identifier),
                    lambda: client.upload([PropertyRecord(identifier, {"a": 1})]),
                    lambda: client.subscribe([SubscriptionRecord("a@example.net", False)]),
                )
            ]
            await api.until(lambda: api.in_flight == 2 + 2 + 4 + 4)
            gate.set()
            await asyncio.gather(*tasks)
            assert api.most_in_flight == 2 + 2 + 4 + 4
            assert len(api.requests) == 40

    asyncio.run(crowd())


def test_while_it_waits_a_call_holds_no_slot() -> None:
    crowded_once = {"first": True}

    def script(request: Request) -> Reply:
        if crowded_once.pop("first", False):
            return CROWDED
        return Reply(COUNT)

    async def two_calls() -> None:
        woken = asyncio.Event()

        async def sleep(_: float) -> None:
            await woken.wait()

        api = ScriptedApi(script)
        async with api, CleverTap(api.connection, read_concurrency=1, sleep=sleep) as client:
            first = asyncio.create_task(client.count_profiles(QUERY))
            await api.until(lambda: len(api.requests) == 1)
            assert await client.count_profiles(QUERY) == 7
            assert not first.done()
            woken.set()
            assert await first == 7

    asyncio.run(two_calls())


def test_a_cancelled_reader_leaves_no_connection_and_no_slot_behind() -> None:
    async def cancelling() -> None:
        stuck = asyncio.Event()
        script = iter([Reply(COUNT, after=stuck)] * 3 + [Reply(COUNT)])
        async with ScriptedApi(lambda _: next(script)) as api, api.client() as client:
            tasks = [asyncio.create_task(client.count_profiles(QUERY)) for _ in range(3)]
            await api.until(lambda: api.in_flight == 3)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)
            await api.until(lambda: api.in_flight == 0)
            assert await client.count_profiles(QUERY) == 7, "the slots are free again"

    asyncio.run(cancelling())


def test_leaving_an_export_half_read_closes_it() -> None:
    async def leaving() -> None:
        page = {"status": "success", "records": [{"identity": "a"}], "next_cursor": "two"}
        async with ScriptedApi([page]) as api:
            async with api.client() as client:
                pages = client.profile_pages(QUERY, "one")
                await anext(pages)
                await pages.aclose()
            await api.until(lambda: api.open_connections == 0)
            assert len(api.requests) == 1, "nothing is read ahead"

    asyncio.run(leaving())


def test_a_client_that_was_not_entered_says_so() -> None:
    client = CleverTap(Connection("http://127.0.0.1:1", PROJECT, SecretStr(PASSCODE)))
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(client.count_profiles(QUERY))


def test_trouble_is_an_error_that_a_later_run_may_not_meet() -> None:
    assert issubclass(CleverTapUnavailableError, TransientError)
    assert not issubclass(CleverTapRefusedError, TransientError)
