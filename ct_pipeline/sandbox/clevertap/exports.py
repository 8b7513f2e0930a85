"""The exports of the simulated API: what a cursor leads to, page by page (4.1–4.3, 8.1; no I/O).

Profiles are stored in 23 buckets and a page takes its share of each, so its size follows ``batch_size`` only roughly.
"""

import base64
import hashlib
import zlib
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_plus

from ct_pipeline.sandbox.clevertap.account import Account
from ct_pipeline.sandbox.clevertap.faults import Dice, Faults
from ct_pipeline.sandbox.clevertap.profiles import AccountProfile, Raised
from ct_pipeline.sandbox.clevertap.query import Query
from ct_pipeline.sandbox.clevertap.views import Options, Record, View

BUCKET_COUNT = 23
LARGEST_BATCH = 5000
MOST_OPEN = 200  # exports that are kept; an older one's cursor is stale
Entry = tuple[AccountProfile, Raised | None]


class StaleCursorError(Exception):
    """The cursor is unknown, re-encoded or too old: the export has to be opened again."""


class NotReadyError(Exception):
    """The page is still being prepared."""


@dataclass(slots=True)
class Export:
    """One opened export: what it found, cut into pages."""

    number: int
    is_of_events: bool
    options: Options
    pages: list[list[Entry]]
    opened_at: float
    used_at: float
    loses_cursor: bool = False
    fetches: dict[str, int] = field(default_factory=dict)


class Exports:
    """All open exports of an account."""

    def __init__(self, account: Account, faults: Faults, dice: Dice) -> None:
        self._account, self._faults, self._dice = account, faults, dice
        self._open: dict[int, Export] = {}
        self._opened_count = 0

    def open_profiles(self, query: Query, options: Options) -> str:
        """The cursor of the first page of the people whom ``query`` finds."""
        found: list[Entry] = [
            (profile, None)
            for profile in self._account.profiles
            if query.matches(profile, self._account.shown(profile))
        ]
        return self._opened(found, options, is_of_events=False)

    def open_events(self, query: Query, options: Options) -> str:
        """The cursor of the first page of the base event's occurrences, oldest first within a profile."""
        latest = self._account.now() - self._account.switches.event_delay_seconds
        found: list[Entry] = [
            (profile, raised)
            for profile in self._account.profiles
            if query.event is not None and query.event.name in profile.raised
            if query.matches_profile(profile, self._account.shown(profile))
            for raised in query.occurrences(profile)
            if raised.at <= latest
        ]
        return self._opened(found, options, is_of_events=True)

    def page(self, raw_cursor: str, *, is_of_events: bool) -> Record:
        """The page that ``raw_cursor``, as it stood in the URL, leads to.

        Raises:
            StaleCursorError: it leads nowhere (any more).
            NotReadyError: ask again.
        """
        export, place, is_after_pause = self._find(raw_cursor)
        if export.is_of_events != is_of_events or self._is_expired(export):
            raise StaleCursorError
        if export.loses_cursor and place > 0:
            self.forget(export)
            raise StaleCursorError
        export.used_at = self._account.now()
        export.fetches[raw_cursor] = export.fetches.get(raw_cursor, 0) + 1
        if export.fetches[raw_cursor] <= self._faults.not_ready_fetches:
            raise NotReadyError
        answer: Record = {"status": "success"}
        if place > 0:
            answer["previous_cursor"] = self._cursor(export, place - 1)
        is_last = place + 1 >= len(export.pages)
        if not is_after_pause and self._dice.hits(self._faults.empty_pages, ("pause", export.number, place)):
            return answer | {"next_cursor": self._cursor(export, place, is_after_pause=True), "records": []}
        if not is_last:
            answer["next_cursor"] = self._cursor(export, place + 1)
        return answer | {"records": self._records(export, place)}

    def forget(self, export: Export) -> None:
        self._open.pop(export.number, None)

    def forget_all(self) -> None:
        """Every cursor goes stale."""
        self._open.clear()

    def _opened(self, found: list[Entry], options: Options, *, is_of_events: bool) -> str:
        self._opened_count += 1
        if self._faults.empty_exports > 0:
            self._faults.empty_exports -= 1
            found = []
        now = self._account.now()
        pages = _pages(found, options.batch_size)
        export = Export(self._opened_count, is_of_events, options, pages, now, now)
        if self._faults.stale_cursors > 0 and len(pages) > 1:
            self._faults.stale_cursors -= 1
            export.loses_cursor = True
        self._open[export.number] = export
        self._open.pop(export.number - MOST_OPEN, None)
        return self._cursor(export, 0)

    def _records(self, export: Export, place: int) -> list[Record]:
        entries = list(export.pages[place])
        if place > 0:
            before = export.pages[place - 1]
            entries = [entry for entry in before if self._dice.hits(self._faults.duplicates, entry[0])] + entries
        view = View(self._account, export.options)
        return [
            view.profile_record(profile) if raised is None else view.event_record(profile, raised)
            for profile, raised in entries
        ]

    def _cursor(self, export: Export, place: int, *, is_after_pause: bool = False) -> str:
        plain = f"{export.number}/{place}/{int(is_after_pause)}"
        seal = hashlib.sha256(plain.encode()).digest()[:14]
        token = base64.b64encode(b"\xfb\xff" + seal + plain.encode().ljust(-(-len(plain) // 3) * 3)).decode()
        return quote(token, safe="")  # opaque, with %2B, %2F and %3D in it

    def _find(self, raw_cursor: str) -> tuple[Export, int, bool]:
        try:
            token = base64.b64decode(unquote_plus(raw_cursor), validate=True)
            number, place, is_after_pause = token[16:].decode().split("/")
            export = self._open[int(number)]
            found = export, int(place), is_after_pause.strip() == "1"
        except (ValueError, KeyError):
            raise StaleCursorError from None
        if unquote_plus(raw_cursor) != unquote_plus(self._cursor(export, found[1], is_after_pause=found[2])):
            raise StaleCursorError
        return found

    def _is_expired(self, export: Export) -> bool:
        switches, now = self._account.switches, self._account.now()
        if not export.is_of_events:
            return now - export.opened_at > switches.profile_cursor_seconds
        return (
            now - export.opened_at > switches.event_cursor_seconds
            or now - export.used_at > switches.event_cursor_idle_seconds
        )


def _pages(found: list[Entry], batch_size: int) -> list[list[Entry]]:
    """At least one page. Each takes ``batch_size / 23`` of every bucket; small ones are not divided."""
    share = batch_size // BUCKET_COUNT
    if share == 0:
        return [found[start : start + batch_size] for start in range(0, len(found), batch_size)] or [[]]
    buckets: list[list[Entry]] = [[] for _ in range(BUCKET_COUNT)]
    for entry in found:
        buckets[zlib.crc32(entry[0].object_ids[0].encode()) % BUCKET_COUNT].append(entry)
    page_count = max(1, max(-(-len(bucket) // share) for bucket in buckets))
    return [
        [entry for bucket in buckets for entry in bucket[place * share : (place + 1) * share]]
        for place in range(page_count)
    ]
