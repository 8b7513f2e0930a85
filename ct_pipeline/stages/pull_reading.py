"""Read the exports of an open pull, page by page; each page is saved before the next is asked for."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg

from ct_pipeline.clevertap.client import CleverTap, Page
from ct_pipeline.errors import (
    AudienceError,
    CleverTapRefusedError,
    CleverTapUnavailableError,
    CredentialsError,
    CursorExpiredError,
    NotAllowedError,
)
from ct_pipeline.from_clevertap.profile_pages import profile_rows
from ct_pipeline.from_clevertap.subscription_rows import subscription_rows
from ct_pipeline.storage.open_pages import OpenPages
from ct_pipeline.storage.open_pulls import OpenPull, Reading, ReadingKind, save_progress

MOST_RESTARTS = 3  # of one export within one run: a cursor that expires each time will do so again
FEWEST_EXPECTED = 0.5  # of the profiles that CleverTap counts: exports are known to come back empty now and then

_REFUSED = (CleverTapRefusedError, AudienceError)  # of one query
_NO_ACCESS = (CredentialsError, NotAllowedError)  # to anything


class PullProgress(NamedTuple):
    """How far a pull is. ``record_count``: profiles and events, also those that came twice."""

    page_count: int
    record_count: int
    query_number: int  # from 1, of the one under way
    query_count: int  # the last one is of events


class PullReader:
    """Reads what is left of an open pull.

    ``pull`` says how far it is, and so does the ledger: whatever interrupts :meth:`read`, another reader goes on there.
    """

    def __init__(
        self,
        client: CleverTap,
        conn: psycopg.Connection,
        pages: OpenPages,
        pull: OpenPull,
        on_page: Callable[[PullProgress], None],
    ) -> None:
        self.pull = pull
        self._client = client
        self._conn = conn
        self._pages = pages
        self._on_page = on_page

    async def read(self) -> None:
        """Read to the end.

        Raises:
            AudienceError, CleverTapRefusedError, CleverTapUnavailableError: as the client does; what was read is kept.
        """
        while not self.pull.is_read:
            number = self.pull.query_number
            restarts_left = MOST_RESTARTS
            while self.pull.query_number == number:
                try:
                    await self._read_export(self.pull.readings[number])
                except CursorExpiredError:
                    if not restarts_left:
                        raise
                    restarts_left -= 1
                    self._save(_restarted(self.pull))
                except _NO_ACCESS:
                    raise
                except _REFUSED as error:
                    # Without its first query a pull would be empty. The others not every project may be able to answer.
                    if number == 0:
                        raise
                    self._save(_next(self.pull, f"CleverTap refused {_name(self.pull)}, which is left out: {error}"))

    async def _read_export(self, reading: Reading) -> None:
        """From the saved cursor to the last page."""
        is_profiles = reading.kind is ReadingKind.PROFILES
        exported: Any = self._client.profile_pages if is_profiles else self._client.event_pages
        asked_at = datetime.now(UTC)  # at the answer, what it says is older
        async with aclosing(exported(reading.query, self.pull.cursor)) as pages:
            async for page in pages:
                await self._keep(reading, page, asked_at)
                asked_at = datetime.now(UTC)

    async def _keep(self, reading: Reading, page: Page[Any], asked_at: datetime) -> None:
        set_aside = list(page.set_aside)
        if reading.kind is ReadingKind.PROFILES:
            rows = profile_rows(page.records, asked_at)
            set_aside += ["a profile without identity, objectId and email"] * (len(page.records) - rows.height)
        else:
            rows = subscription_rows(page.records)
        further = replace(
            self.pull,
            cursor=page.next_cursor,
            page_count=self.pull.page_count + 1,
            record_count=self.pull.record_count + len(page.records),
            query_record_count=self.pull.query_record_count + len(page.records),
            set_aside_count=self.pull.set_aside_count + len(set_aside),
        )
        if page.next_cursor is None:
            further = await self._ended(reading, further)
        self._pages.save(self.pull.page_count, reading.kind, rows, set_aside)
        self._save(further)
        number = min(further.query_number + 1, len(further.readings))
        self._on_page(PullProgress(further.page_count, further.record_count, number, len(further.readings)))

    async def _ended(self, reading: Reading, pull: OpenPull) -> OpenPull:
        """What follows the last page: the next reading, or the same again where it looks as if it had failed."""
        if reading.kind is ReadingKind.EVENTS:
            return _next(pull)
        count, expected = pull.query_record_count, await self._count(reading.query)
        if expected is not None:
            pull = replace(pull, expected_count=max(expected, pull.expected_count or 0))
        if count >= (FEWEST_EXPECTED * expected if expected is not None else 1):
            return _next(pull)
        counted = f"; CleverTap counts {expected:,}" if expected is not None else ""
        if pull.is_repeat:
            return _next(pull, f"Read again, {_name(pull)} gave {count:,} profiles{counted}. Both readings are kept.")
        note = f"{_name(pull)} gave only {count:,} profiles{counted}: it is read a second time."
        again = replace(pull, cursor=None, query_record_count=0, is_repeat=True)
        return replace(again, notes=(*pull.notes, note[0].upper() + note[1:]))

    async def _count(self, query: dict[str, object]) -> int | None:
        """None: there is no answer, as for a query that names no event."""
        try:
            return await self._client.count_profiles(query)
        except _NO_ACCESS:
            raise
        except (*_REFUSED, CleverTapUnavailableError):
            return None

    def _save(self, pull: OpenPull) -> None:
        save_progress(self._conn, pull, datetime.now(UTC))
        self.pull = pull


def _next(pull: OpenPull, *notes: str) -> OpenPull:
    return replace(
        pull,
        query_number=pull.query_number + 1,
        cursor=None,
        query_record_count=0,
        is_repeat=False,
        notes=(*pull.notes, *notes),
    )


def _restarted(pull: OpenPull) -> OpenPull:
    """The pages that it gave so far stay: each profile is taken once."""
    note = f"The cursor of {_name(pull)} expired after {pull.query_record_count:,} records: it was opened again."
    again = replace(pull, cursor=None, query_record_count=0, restart_count=pull.restart_count + 1)
    return replace(again, notes=(*pull.notes, note))


def _name(pull: OpenPull) -> str:
    """Of the reading under way."""
    event = pull.readings[pull.query_number].query.get("event_name")
    return f"the export of {event!r}" if event else "the export"
