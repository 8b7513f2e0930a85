"""Pull profiles from CleverTap into the lake: those of a day, or an audience."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg

from ct_pipeline.clevertap.client import client_of, connection_of
from ct_pipeline.clevertap.query import unsubscribe_events_query
from ct_pipeline.errors import AudienceError
from ct_pipeline.from_clevertap.audiences import (
    DAILY,
    EVERYONE,
    Audience,
    audience_of_text,
    day_audience,
    everyone_audience,
    is_audience_name,
)
from ct_pipeline.settings import Settings
from ct_pipeline.stages.pull_reading import PullProgress, PullReader
from ct_pipeline.storage.lake import Lake, PulledProfiles
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.open_pages import OpenPages, remove_left_over_pages
from ct_pipeline.storage.open_pulls import (
    OpenPull,
    Reading,
    ReadingKind,
    alone,
    begin_pull,
    forget_open_pull,
    open_pull,
    open_pull_keys,
)
from ct_pipeline.storage.pulls import PROFILES, ledger_audience, record_pull

LONGEST_INTERRUPTION = timedelta(days=4)  # what is known of the life of a cursor; after that the people have changed
EVENT_DAYS = timedelta(days=365)  # how far back the unsubscribes of an audience are read


@dataclass(frozen=True, slots=True)
class PullSummary:
    """What one pull brought.

    ``expected_count`` is the largest number that CleverTap counts for one of the queries, None where it has no answer:
    the pull should have at least about as many. ``page_count`` includes pages of events.
    """

    pull_id: int
    audience: str
    source_name: str
    project: str
    profile_count: int
    with_email_count: int
    without_identifier_count: int
    set_aside_count: int
    page_count: int
    resumed: bool
    restart_count: int
    expected_count: int | None
    subscription_event_count: int
    seconds: float  # of this run
    notes: list[str]  # what went differently than it should, in words


def pull_day(
    settings: Settings, day: date, on_page: Callable[[PullProgress], None] = lambda _progress: None
) -> PullSummary:
    """Pull whoever raised the daily event on ``day`` (in the project's time zone), or had an email added or changed.

    Every page is kept as it comes: an interrupted pull goes on from there when it is asked for again.

    Raises:
        AudienceError: the day has not begun yet, or CleverTap does not take the query.
        PullHeldError: another process makes this pull.
        SettingsError, CleverTapRefusedError, CleverTapUnavailableError: as the client.
        LedgerUnavailableError: the database does not answer.
    """
    if day > datetime.now(settings.zone).date():
        raise AudienceError(f"{day} has not begun yet in {settings.timezone}: there is nothing to pull.")
    return _pull(settings, day_audience(settings.daily_event, day), day.isoformat(), (day, day), on_page)


def pull_audience(
    settings: Settings, name: str, on_page: Callable[[PullProgress], None] = lambda _progress: None
) -> PullSummary:
    """Pull an audience of :func:`audience_names`; otherwise as :func:`pull_day`.

    Raises:
        AudienceError: there is no such audience, or its file does not hold a query.
    """
    today = datetime.now(settings.zone).date()
    return _pull(settings, _audience(settings, name), name, (today - EVENT_DAYS, today), on_page)


def audience_names(settings: Settings) -> list[str]:
    """The audiences that can be pulled: everyone, and those of which there is a file."""
    return [EVERYONE, *(name for name in _audience_files(settings) if is_audience_name(name))]


def _audience(settings: Settings, name: str) -> Audience:
    path = _audience_files(settings).get(name)
    if path is None:
        if name == EVERYONE:
            return everyone_audience()
        if name == DAILY:
            raise AudienceError(f"{DAILY!r} is pulled day by day: say which day.")
        raise AudienceError(
            f"There is no audience {name!r}, only {', '.join(audience_names(settings))}. An audience of your own is a "
            f"query in a JSON file: CT_AUDIENCE, or NAME.json in {settings.audiences_dir}."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        fault = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise AudienceError(f"The audience {name!r} cannot be read: {path}: {fault}.") from None
    return audience_of_text(name, text)


def _audience_files(settings: Settings) -> dict[str, Path]:
    files = {path.stem: path for path in sorted(settings.audiences_dir.glob("*.json"))}
    return files | ({settings.audience.stem: settings.audience} if settings.audience else {})


def _pull(
    settings: Settings,
    audience: Audience,
    source_name: str,
    event_days: tuple[date, date],
    on_page: Callable[[PullProgress], None],
) -> PullSummary:
    started = time.monotonic()
    project = connection_of(settings).project_id
    readings = [Reading(ReadingKind.PROFILES, query) for query in audience.queries]
    readings.append(Reading(ReadingKind.EVENTS, unsubscribe_events_query(*event_days)))
    with open_ledger(settings) as conn, alone(conn, project, audience.name, source_name):
        remove_left_over_pages(settings.lake_dir, open_pull_keys(conn))
        interrupted = open_pull(conn, project, audience.name, source_name)
        resumed = interrupted is not None and _is_worth_going_on(settings, interrupted, readings)
        if interrupted is None or not resumed:
            pull = _begin(settings, conn, (project, audience.name, source_name), readings, interrupted)
        else:
            pull = interrupted
        pages = OpenPages(settings.lake_dir, pull.pull_key)
        pull = asyncio.run(_read(settings, conn, pages, pull, on_page))
        stored = Lake(settings.lake_dir).write_profile_pull(pull.pull_key, pages, pull.page_count)
        pull_id = _record(conn, pull, stored)
        pages.remove()
    return _summary(pull_id, pull, stored, resumed=resumed, seconds=time.monotonic() - started)


async def _read(
    settings: Settings,
    conn: psycopg.Connection,
    pages: OpenPages,
    pull: OpenPull,
    on_page: Callable[[PullProgress], None],
) -> OpenPull:
    async with client_of(settings) as client:
        reader = PullReader(client, conn, pages, pull, on_page)
        await reader.read()
        return reader.pull


def _is_worth_going_on(settings: Settings, pull: OpenPull, readings: list[Reading]) -> bool:
    """Whether what was read before the interruption still counts. (The days of the events move on, and do not.)"""
    same_people = [each.query for each in pull.readings if each.kind is ReadingKind.PROFILES] == [
        each.query for each in readings if each.kind is ReadingKind.PROFILES
    ]
    was_over = True
    if pull.audience == DAILY:
        day = date.fromisoformat(pull.source_name)
        was_over = pull.started_at.astimezone(settings.zone).date() > day
    is_recent = datetime.now(UTC) - pull.started_at < LONGEST_INTERRUPTION
    pages = OpenPages(settings.lake_dir, pull.pull_key)
    return same_people and was_over and is_recent and pages.has(pull.page_count)


def _begin(
    settings: Settings,
    conn: psycopg.Connection,
    whose: tuple[str, str, str],
    readings: list[Reading],
    interrupted: OpenPull | None,
) -> OpenPull:
    if interrupted is not None:
        OpenPages(settings.lake_dir, interrupted.pull_key).remove()
    now = datetime.now(UTC)
    name = "-".join(dict.fromkeys(whose))[:150]
    pull_key = f"{re.sub('[^A-Za-z0-9._-]', '_', name)}-{now:%Y%m%dT%H%M%S%f}"
    return begin_pull(conn, *whose, pull_key, readings, now)


def _record(conn: psycopg.Connection, pull: OpenPull, stored: PulledProfiles) -> int:
    """In one transaction: the pull is either under way or complete."""
    with conn.transaction():
        pull_id = record_pull(
            conn,
            audience=ledger_audience(pull.project, pull.audience),
            kind=PROFILES,
            source_name=pull.source_name,
            sha256=stored.sha256,
            lake_path=str(stored.path),
            row_count=stored.profile_count,
            set_aside_count=stored.set_aside_count,
            email_column="email",
            columns=json.dumps(
                {
                    "queries": [reading.query for reading in pull.readings],
                    "expected_count": pull.expected_count,
                    "with_email_count": stored.with_email_count,
                    "subscription_event_count": stored.subscription_event_count,
                    "notes": pull.notes,
                }
            ),
            now=datetime.now(UTC),
            project=pull.project,
        )
        forget_open_pull(conn, pull)
    return pull_id


def _summary(pull_id: int, pull: OpenPull, stored: PulledProfiles, *, resumed: bool, seconds: float) -> PullSummary:
    return PullSummary(
        pull_id=pull_id,
        audience=pull.audience,
        source_name=pull.source_name,
        project=pull.project,
        profile_count=stored.profile_count,
        with_email_count=stored.with_email_count,
        without_identifier_count=stored.without_identifier_count,
        set_aside_count=stored.set_aside_count,
        page_count=pull.page_count,
        resumed=resumed,
        restart_count=pull.restart_count,
        expected_count=pull.expected_count,
        subscription_event_count=stored.subscription_event_count,
        seconds=seconds,
        notes=list(pull.notes),
    )
