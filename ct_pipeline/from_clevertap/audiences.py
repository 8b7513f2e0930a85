"""Audiences: the named sets of profiles that are pulled from CleverTap."""

import json
import re
from dataclasses import dataclass
from datetime import date

from ct_pipeline.clevertap.query import check_query, day_query, everyone_query
from ct_pipeline.errors import AudienceError

DAILY = "daily"
EVERYONE = "everyone"
BUILT_IN = (DAILY, EVERYONE)

REACHABLE_BY = "Reachable By"
"""The event that CleverTap raises when an email is added or changed: it finds people who never opened the app."""

_NAME = re.compile(r"\w[\w .-]{0,99}")


@dataclass(frozen=True, slots=True)
class Audience:
    """A name, and the queries whose results together are the audience. The first of them has to be answered; where
    CleverTap refuses another one, the pull goes on without it."""

    name: str
    queries: tuple[dict[str, object], ...]


def day_audience(event: str, day: date) -> Audience:
    """Whoever raised ``event`` on ``day``, or had an email added or changed."""
    queries = [day_query(event, day)]
    if event.casefold() != REACHABLE_BY.casefold():
        queries.append(day_query(REACHABLE_BY, day))
    return Audience(DAILY, tuple(queries))


def everyone_audience() -> Audience:
    """Whoever has an email and raised any event within 365 days: further back CleverTap cannot be asked at once."""
    return Audience(EVERYONE, (everyone_query(),))


def query_audience(name: str, query: object) -> Audience:
    """The audience of a query in CleverTap's query language, as parsed from JSON.

    Raises:
        AudienceError: the query does not fit, or ``name`` cannot be an audience's.
    """
    if not is_audience_name(name):
        raise AudienceError(
            f"{name!r} cannot be the name of an audience: {' and '.join(BUILT_IN)} are taken; else letters, digits, "
            "spaces, '.', '_' and '-' will do. Rename the file."
        )
    return Audience(name, (check_query(query),))


def audience_of_text(name: str, text: str) -> Audience:
    """The audience of a query as it stands in a file.

    Raises:
        AudienceError: as :func:`query_audience`, or ``text`` is no JSON.
    """
    try:
        query = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AudienceError(f"The query of the audience {name!r} is no JSON: {error}.") from None
    try:
        return query_audience(name, query)
    except AudienceError as error:
        raise AudienceError(f"The audience {name!r}: {error}") from None


def is_audience_name(name: str) -> bool:
    """Whether a file of this name (without ``.json``) can be an audience."""
    return _NAME.fullmatch(name) is not None and name.casefold() not in BUILT_IN
