"""The client of CleverTap's server API: what the rest of the pipeline calls.

Every call waits for one of the few slots that CleverTap gives each API, is bounded in time and size, and is repeated
with bounded patience where that can help. What can be raised: ``CredentialsError`` and ``NotAllowedError`` (mend the
connection), ``AudienceError`` and ``CleverTapRefusedError`` (mend the call), ``CleverTapUnavailableError`` (later),
``CursorExpiredError`` (open the export again).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from random import Random
from typing import Self, TypeVar

from ct_pipeline.clevertap import calls
from ct_pipeline.clevertap.answers import (
    Answer,
    Busy,
    NotFound,
    NotReady,
    Refused,
    StaleCursor,
    Success,
    Trouble,
)
from ct_pipeline.clevertap.calls import Api, Call, Exported
from ct_pipeline.clevertap.connection import Connection, connection_of
from ct_pipeline.clevertap.paging import Export, Fetch, Page, cursor_in, page_in
from ct_pipeline.clevertap.parsing import event_of, profile_of
from ct_pipeline.clevertap.query import day_query
from ct_pipeline.clevertap.records import Event, Identifier, Profile, RecordAnswer
from ct_pipeline.clevertap.retry import Patience
from ct_pipeline.clevertap.uploads import (
    PropertyRecord,
    SubscriptionRecord,
    match_answers,
    subscription_records,
    upload_records,
)
from ct_pipeline.clevertap.wire import Wire
from ct_pipeline.errors import (
    AudienceError,
    CleverTapRefusedError,
    CleverTapUnavailableError,
    CursorExpiredError,
)
from ct_pipeline.settings import Settings

__all__ = ["CleverTap", "Connection", "Page", "PropertyRecord", "SubscriptionRecord", "client_of", "connection_of"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_FIRST_COUNTED_EVENT = "App Launched"  # every project has it, raised or not


def client_of(settings: Settings, *, patience: Patience | None = None) -> "CleverTap":
    """The client that ``settings`` describe.

    Raises:
        SettingsError: one of the settings that a connection needs is missing.
    """
    return CleverTap(
        connection_of(settings),
        read_concurrency=settings.read_concurrency,
        upload_concurrency=settings.upload_concurrency,
        timeout_seconds=settings.http_timeout_seconds,
        page_size=settings.page_size,
        zone=settings.zone,
        patience=patience or Patience(),
    )


class CleverTap:
    """One project's API. Use it as ``async with``; any number of tasks may share it."""

    def __init__(
        self,
        connection: Connection,
        *,
        read_concurrency: int = 3,
        upload_concurrency: int = 3,
        timeout_seconds: float = 60.0,
        page_size: int = 4991,
        zone: tzinfo = UTC,
        patience: Patience | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Random | None = None,
    ) -> None:
        self._connection = connection
        self._page_size = page_size
        self._zone = zone
        self._patience = patience or Patience()
        self._sleep = sleep
        self._random = random or Random()  # noqa: S311  (jitter)
        slots = {api: upload_concurrency if api.is_write else read_concurrency for api in Api}
        self._wire = Wire(connection, slots, timeout_seconds)

    def __repr__(self) -> str:
        return f"CleverTap({self._connection!r})"

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.__aexit__()

    @property
    def clock_difference(self) -> timedelta | None:
        """CleverTap's clock minus ours, to about a second; None: no answer has told the time yet."""
        return self._wire.clock_difference

    async def check(self) -> None:
        """Whether project, passcode and region fit; nothing is changed in CleverTap.

        The partners' check ``/v1/connect`` is asked first: it is made for this, but only its yes counts, because it may
        refuse a partner it does not know. Then a count of one past day decides: the same host, credentials and rights
        as the real work, and every project has the event.

        Raises:
            CredentialsError, NotAllowedError, CleverTapRefusedError, CleverTapUnavailableError: each with the mend.
        """
        answer = await self._wire.send(calls.connect())
        if isinstance(answer, Success) and answer.payload.get("status") == "success":
            return
        past_day = datetime.now(self._zone).date() - timedelta(days=2)
        try:
            await self._ask(calls.count(day_query(_FIRST_COUNTED_EVENT, past_day)), calls.count_in)
        except AudienceError:
            return  # the credentials were taken; our clock may be wrong, which is not the question here

    def profile_pages(self, query: dict[str, object], cursor: str | None = None) -> AsyncGenerator[Page[Profile]]:
        """The profiles that ``query`` names, page by page, from ``cursor`` if given.

        Raises:
            CursorExpiredError: while iterating; pages that came before it are good.
        """
        return self._pages(Exported.PROFILES, query, cursor, profile_of)

    def event_pages(self, query: dict[str, object], cursor: str | None = None) -> AsyncGenerator[Page[Event]]:
        """The events that ``query`` names, as :meth:`profile_pages`."""
        return self._pages(Exported.EVENTS, query, cursor, lambda record: event_of(record, self._zone))

    async def profile(self, identifier: Identifier) -> Profile | None:
        """The profile of this identity or object id; None: CleverTap has none."""
        try:
            return await self._ask(calls.look_up(identifier), calls.profile_in)
        except _NotFoundError:
            return None

    async def count_profiles(self, query: dict[str, object]) -> int:
        """How many profiles an event's query names. Waits while CleverTap computes it."""
        counted = await self._ask(calls.count(query), calls.count_in)
        for number in range(10_000):
            if isinstance(counted, int):
                return counted
            wait = self._patience.counting.wait_seconds(number, self._random)
            if wait is None:
                break
            await self._sleep(wait)
            counted = await self._ask(calls.poll_count(counted), calls.count_in)
        raise CleverTapUnavailableError("CleverTap is still computing a count of profiles; ask again later.")

    async def upload(self, records: Sequence[PropertyRecord]) -> list[RecordAnswer]:
        """Write properties of up to 1000 profiles; an answer for each, in their order.

        An answer "processed" does not prove that every property was stored. An unknown identifier makes a new profile.
        """
        sent = upload_records(records)
        if not sent:
            return []
        return await self._ask(calls.upload(sent), lambda payload: match_answers(sent, payload))

    async def subscribe(self, changes: Sequence[SubscriptionRecord]) -> list[RecordAnswer]:
        """Unsubscribe or resubscribe up to 1000 addresses; an answer for each, in their order."""
        sent = subscription_records(changes)
        if not sent:
            return []
        return await self._ask(calls.subscribe(sent), lambda payload: match_answers(sent, payload))

    async def _pages(
        self, exported: Exported, query: dict[str, object], cursor: str | None, parse: Callable[[object], T]
    ) -> AsyncGenerator[Page[T]]:
        export = Export(cursor)
        while (request := export.next_request) is not None:
            try:
                if not isinstance(request, Fetch):
                    opening = calls.open_export(exported, query, self._page_size)
                    export.opened(await self._ask(opening, cursor_in))
                    continue
                raw = await self._ask(calls.fetch_page(exported, request.cursor), page_in)
            except CursorExpiredError:
                if export.cursor_expired():
                    continue
                raise
            number = export.fetched(raw)
            if number is None:
                continue
            records: list[T] = []
            set_aside: list[str] = []
            for position, record in enumerate(raw.records, 1):
                try:
                    records.append(parse(record))
                except ValueError as error:
                    set_aside.append(f"record {position} of page {number}: {error}")
            yield Page(records, set_aside, raw.next_cursor, number)

    async def _ask(self, call: Call, read: Callable[[dict[str, object]], T]) -> T:
        """What ``read`` makes of the answer, repeated as patience allows; a ValueError of it is trouble."""
        repeated: Counter[type[Answer]] = Counter()
        while True:
            answer = await self._wire.send(call)
            if isinstance(answer, Success):
                try:
                    return read(answer.payload)
                except ValueError as error:
                    answer = Trouble(str(error))
            if isinstance(answer, Refused):
                raise answer.error
            if isinstance(answer, StaleCursor):
                raise _of_cursor(call, answer)
            if isinstance(answer, NotFound):
                mend = "Unless the query names what does not exist, see CT_REGION and CT_BASE_URL."
                raise _NotFoundError(f"CleverTap does not find what {call.what} needs: {answer.what}. {mend}")
            wait = self._wait_seconds(answer, repeated[type(answer)])
            if wait is None:
                count = sum(repeated.values()) + 1
                times = f"{count} times" if count > 1 else "once"
                mend = f" {answer.mend}" if isinstance(answer, Trouble) and answer.mend else ""
                raise CleverTapUnavailableError(
                    f"CleverTap gave no usable answer to {call.what}, asked {times}: {answer.what}.{mend}"
                )
            repeated[type(answer)] += 1
            _log.info("CleverTap, %s: %s; asked again in %.1f s", call.what, answer.what, wait)
            await self._sleep(wait)

    def _wait_seconds(self, answer: Busy | NotReady | Trouble, number: int) -> float | None:
        if isinstance(answer, Busy):
            return self._patience.busy.wait_seconds(number, self._random, answer.asked_seconds)
        backoff = self._patience.not_ready if isinstance(answer, NotReady) else self._patience.trouble
        return backoff.wait_seconds(number, self._random)


class _NotFoundError(CleverTapRefusedError):
    """CleverTap says that there is no such thing."""


def _of_cursor(call: Call, answer: StaleCursor) -> CleverTapRefusedError | CursorExpiredError:
    if call.has_cursor:
        return CursorExpiredError(f"The cursor of an export is gone ({answer.what}): the export has to start again.")
    return CleverTapRefusedError(f"CleverTap refused {call.what}: {answer.what}.")
