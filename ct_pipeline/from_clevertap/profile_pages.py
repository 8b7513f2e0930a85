"""Profiles of one page become rows of the lake (pure)."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

import polars as pl

from ct_pipeline.clevertap.query import UNSUBSCRIBE_EVENT
from ct_pipeline.clevertap.records import EventSummary, Profile
from ct_pipeline.from_clevertap.profile_rows import PROFILE_SCHEMA


def profile_rows(profiles: Iterable[Profile], fetched_at: datetime) -> pl.DataFrame:
    """A row of :data:`PROFILE_SCHEMA` for each profile, in order; ``row_number`` is null until the pull is complete.

    A profile with neither an identifier nor an email is left out: there is nothing to verify and nothing to write to.
    """
    rows = [_row(profile, fetched_at) for profile in profiles if profile.identifier or profile.email]
    return pl.DataFrame(rows, schema=PROFILE_SCHEMA, orient="row")


def _row(profile: Profile, fetched_at: datetime) -> tuple[object, ...]:
    kind, identifier = profile.identifier or (None, None)
    unsubscribed = _summary_of(profile.events, UNSUBSCRIBE_EVENT)
    return (
        None,
        profile.email,
        kind and kind.value,
        identifier,
        profile.object_ids,
        unsubscribed.count if unsubscribed else 0,
        unsubscribed.last_seen_at if unsubscribed else None,
        fetched_at,
        _json(profile.properties),
        _json(_other_fields(profile)),
    )


def _summary_of(events: Mapping[str, EventSummary], wanted: str) -> EventSummary | None:
    """CleverTap does not tell capitals apart in the names of events."""
    return next((summary for name, summary in events.items() if name.casefold() == wanted.casefold()), None)


def _other_fields(profile: Profile) -> dict[str, object]:
    events = {
        name: {"count": each.count, "first_seen_at": _iso(each.first_seen_at), "last_seen_at": _iso(each.last_seen_at)}
        for name, each in profile.events.items()
    }
    return {**profile.rest, "all_identities": profile.all_identities, "events": events}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
