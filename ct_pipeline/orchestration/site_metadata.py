"""What a verifier run tells of sites: tables, with nothing in them that could be an address."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import TypeAlias, TypeVar

import dagster as dg

from ct_pipeline.orchestration.metadata import table, without_addresses
from ct_pipeline.storage.site_memory import OpenBreaker
from ct_pipeline.verification.lane_summary import SiteNote, WaitingCount
from ct_pipeline.verification.site_memory import BreakerNote
from ct_pipeline.verification.unwelcome import what_to_do_in_short, why

ROWS_TOLD = 100
TEXT_LENGTH = 300  # characters of a host's own words; events are kept for good

T = TypeVar("T")
_Columns: TypeAlias = Mapping[str, tuple[str, Callable[[T], str | int | float]]]  # heading: type, and what of a thing


def site_table(sites: Sequence[SiteNote]) -> dg.MetadataValue:
    """The most active sites of one run."""
    return _table(sites, _SITE_COLUMNS)


def waiting_table(waiting: Sequence[WaitingCount]) -> dg.MetadataValue:
    """What is due when, by the reason of the last answer."""
    return _table(waiting, _WAITING_COLUMNS)


def turned_away_table(breakers: Sequence[OpenBreaker]) -> dg.MetadataValue:
    """Who turned us away, why, and what can be done about it."""
    return _table(breakers, _TURNED_AWAY_COLUMNS)


def _table(things: Sequence[T], columns: _Columns[T]) -> dg.MetadataValue:
    rows = [[value(thing) for _, value in columns.values()] for thing in things[:ROWS_TOLD]]
    return table({heading: kind for heading, (kind, _) in columns.items()}, rows)


def _rcpt_rate(site: SiteNote) -> float:
    return round(site.rcpt_count / site.seconds, 2) if site.seconds else 0.0


def _temporary_rate(site: SiteNote) -> float:
    return round(site.temporary_reply_count / site.reply_count, 4) if site.reply_count else 0.0


def _share(site: SiteNote) -> str:
    return f"{site.connection_share:.0%}" if site.connection_share is not None else "-"


def _breaker(note: BreakerNote | None) -> str:
    if note is None:
        return "closed"
    return f"open until {_when(note.until_at)}" if note.until_at > datetime.now(UTC) else "trial due"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


_SITE_COLUMNS: _Columns[SiteNote] = {
    "site": ("string", lambda site: without_addresses(site.site)),
    "egress": ("string", attrgetter("egress")),
    "sessions": ("int", attrgetter("session_count")),
    "RCPTs": ("int", attrgetter("rcpt_count")),
    "RCPTs a second": ("float", _rcpt_rate),
    "4xx share": ("float", _temporary_rate),
    "share of limits in use": ("string", _share),
    "breaker": ("string", lambda site: _breaker(site.breaker)),
}
_WAITING_COLUMNS: _Columns[WaitingCount] = {
    "reason": ("string", attrgetter("reason.value")),
    "due now": ("int", attrgetter("due_now_count")),
    "within the hour": ("int", attrgetter("within_hour_count")),
    "later": ("int", attrgetter("later_count")),
    "next at": ("string", lambda waiting: _when(waiting.next_at)),
    "most attempts": ("int", attrgetter("max_attempt_count")),
    "behind a breaker": ("int", attrgetter("behind_breaker_count")),
}
# Few words each: the UI sets a cell in as many lines as it takes.
_TURNED_AWAY_COLUMNS: _Columns[OpenBreaker] = {
    "lane": ("string", attrgetter("lane")),
    "site": ("string", lambda one: without_addresses(one.site)),
    "why": ("string", lambda one: why(one.note.reason)),
    "their words": ("string", lambda one: without_addresses(one.note.text)[:TEXT_LENGTH]),
    "left alone until": ("string", lambda one: _when(one.note.until_at)),
    "still due": ("int", attrgetter("waiting_count")),
    "what to do": ("string", lambda one: what_to_do_in_short(one.note.reason)),
}
