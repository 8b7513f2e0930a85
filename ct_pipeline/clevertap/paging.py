"""One export as a state machine (pure): which request is next, and what its answer leads to.

Rules, from reference sections 4.1 and 4.3: a cursor is opened by a query and fetched page by page; it ends where an
answer names no next cursor; empty pages in mid-stream do not end it; a cursor is already percent-encoded and goes
back as it came. A cursor of ours that is gone before it gave a page is opened again; later the caller has to decide.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote

from ct_pipeline.errors import CleverTapUnavailableError

T = TypeVar("T")

MAX_REOPENINGS = 2
MAX_EMPTY_PAGES = 1000  # in a row
LONGEST_CURSOR = 8000  # characters


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of an export. ``next_cursor`` given back later resumes behind it; None: it was the last one."""

    records: list[T]
    set_aside: list[str]  # what was odd about records that are left out; holds no addresses
    next_cursor: str | None
    number: int  # counts from 1 in this reading, also where it resumes


@dataclass(frozen=True, slots=True)
class RawPage:
    """Records as they came, and the cursor of the next page. ``is_bare``: it names neither."""

    records: list[object]
    next_cursor: str | None
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """Next request: POST the query."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Next request: GET the page of this cursor."""

    cursor: str


class Export:
    """Ask :attr:`next_request`, do it, tell what came: :meth:`opened`, :meth:`fetched` or :meth:`cursor_expired`."""

    def __init__(self, cursor: str | None = None) -> None:
        self.next_request: Open | Fetch | None = Open() if cursor is None else Fetch(cursor)
        self._may_reopen = cursor is None
        self._reopenings = 0
        self._pages = 0
        self._empty_in_a_row = 0
        self._seen = {cursor}
        self._has_asked_again = False

    def opened(self, cursor: str) -> None:
        self._seen.add(cursor)
        self.next_request = Fetch(cursor)

    def fetched(self, page: RawPage) -> int | None:
        """Take a page; returns its number, or None when it is to be asked for again.

        A success that names neither records nor a next cursor would end the export, so it has to be said twice.

        Raises:
            CleverTapUnavailableError: the export goes round in a circle, or on and on without records.
        """
        if page.is_bare and not self._has_asked_again:
            self._has_asked_again = True
            return None
        self._pages += 1
        self._empty_in_a_row = 0 if page.records else self._empty_in_a_row + 1
        if page.next_cursor is not None and page.next_cursor in self._seen:
            raise CleverTapUnavailableError("CleverTap's export goes round in a circle: a cursor came again.")
        if self._empty_in_a_row > MAX_EMPTY_PAGES:
            raise CleverTapUnavailableError(
                f"CleverTap's export goes on after {MAX_EMPTY_PAGES} pages without records."
            )
        self._seen.add(page.next_cursor)
        self.next_request = None if page.next_cursor is None else Fetch(page.next_cursor)
        return self._pages

    def cursor_expired(self) -> bool:
        """The cursor is gone. True: it is opened again. False: pages were read already, so the caller has to decide."""
        if not self._may_reopen or self._pages or self._reopenings >= MAX_REOPENINGS:
            return False
        self._reopenings += 1
        self.next_request = Open()
        return True


def cursor_in(payload: Mapping[str, object]) -> str:
    """The cursor that an opened export answers with.

    Raises:
        ValueError: there is none.
    """
    return _cursor(payload.get("cursor"))


def page_in(payload: Mapping[str, object]) -> RawPage:
    """The page that a fetch answers with. ``records`` may be missing.

    Raises:
        ValueError: it is no page.
    """
    records = payload.get("records")
    if records is not None and not isinstance(records, list):
        raise ValueError("a page whose records are no list")
    following = payload.get("next_cursor")
    next_cursor = None if following in (None, "") else _cursor(following)
    is_bare = records is None and next_cursor is None
    if is_bare and payload.get("status") != "success":
        raise ValueError("an answer that is no page")
    return RawPage(records or [], next_cursor, is_bare)


def query_string(cursor: str) -> str:
    """``cursor=…`` for the request line: the cursor as it came, but for what cannot stand in a URL.

    Real cursors are percent-encoded base64 and pass untouched; encoding them again breaks them.
    """
    verbatim = re.sub(r"%(?![0-9A-Fa-f]{2})|[^\x21-\x7e]|[\"#&<>]", lambda found: quote(found[0], safe=""), cursor)
    return f"cursor={verbatim}"


def _cursor(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_CURSOR or not value.isprintable():
        raise ValueError("an answer without a usable cursor")
    return value
