"""What a verifier run tells of sites: tables, with nothing in them that could be an address."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from ct_pipeline.orchestration.metadata import table, without_addresses
from ct_pipeline.storage.site_memory import OpenBreaker
from ct_pipeline.verification.lane_summary import SiteNote, WaitingCount
from ct_pipeline.verification.site_memory import BreakerNote
from ct_pipeline.verification.unwelcome import what_to_do, why

ROWS_TOLD = 100
TEXT_LENGTH = 300  # characters of a host's own words; events are kept for good


def site_table(sites: Sequence[SiteNote]) -> dg.MetadataValue:
    """The most active sites of one run."""
    columns = {
        "site": "string",
        "egress": "string",
        "sessions": "int",
        "RCPTs": "int",
        "RCPTs a second": "float",
        "4xx share": "float",
        "share of limits in use": "string",
        "breaker": "string",
    }
    return table(columns, [_site_row(site) for site in sites])


def waiting_table(waiting: Sequence[WaitingCount]) -> dg.MetadataValue:
    """What is due when, by the reason of the last answer."""
    columns = {
        "reason": "string",
        "due now": "int",
        "within the hour": "int",
        "later": "int",
        "next at": "string",
        "most attempts": "int",
        "behind a breaker": "int",
    }
    rows = [
        (
            one.reason.value,
            one.due_now_count,
            one.within_hour_count,
            one.later_count,
            _when(one.next_at),
            one.max_attempt_count,
            one.behind_breaker_count,
        )
        for one in waiting[:ROWS_TOLD]
    ]
    return table(columns, rows)


def turned_away_table(breakers: Sequence[OpenBreaker]) -> dg.MetadataValue:
    """Who turned us away, why, and what can be done about it."""
    columns = {
        "lane": "string",
        "site": "string",
        "why": "string",
        "their words": "string",
        "left alone until": "string",
        "still due": "int",
        "what to do": "string",
    }
    rows = [
        (
            one.lane,
            without_addresses(one.site),
            why(one.note.reason),
            without_addresses(one.note.text)[:TEXT_LENGTH],
            _when(one.note.until_at),
            one.waiting_count,
            what_to_do(one.note.reason),
        )
        for one in breakers[:ROWS_TOLD]
    ]
    return table(columns, rows)


def _site_row(site: SiteNote) -> tuple[str | int | float, ...]:
    rate = round(site.rcpt_count / site.seconds, 2) if site.seconds else 0.0
    temporary = round(site.temporary_reply_count / site.reply_count, 4) if site.reply_count else 0.0
    share = f"{site.connection_share:.0%}" if site.connection_share is not None else "-"
    name = without_addresses(site.site)
    return name, site.egress, site.session_count, site.rcpt_count, rate, temporary, share, _breaker(site.breaker)


def _breaker(note: BreakerNote | None) -> str:
    if note is None:
        return "closed"
    return f"open until {_when(note.until_at)}" if note.until_at > datetime.now(UTC) else "trial due"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
