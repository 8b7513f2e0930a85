"""Channel Unsubscribed events become evidence of who opted out of e-mail, and back in (pure).

The event serves every channel, for unsubscribing and for resubscribing. Its properties (Campaign Type, Group, Identity,
Type, Subscription Type, Resubscribed, Reason) are told in
https://docs.clevertap.com/docs/events; their spelling varies between accounts, so they are compared leniently.

What is not certain counts as an opt-out, never as a consent: an opt-out that is missed may resubscribe someone who does
not want it, one too many only leaves someone as they are.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from ct_pipeline.clevertap.records import Event
from ct_pipeline.from_clevertap.profile_rows import SUBSCRIPTION_EVENT_SCHEMA

LONGEST_TYPE = 40
LONGEST_REASON = 500

_YES = frozenset({"true", "1", "yes", "y"})
_EMAIL_CAMPAIGNS = frozenset({"email", "2"})  # a dashboard note has the number


def subscription_rows(events: Iterable[Event]) -> pl.DataFrame:
    """A row of :data:`SUBSCRIPTION_EVENT_SCHEMA` for each event that is about an e-mail address."""
    rows = [row for event in events if (row := _row(event)) is not None]
    return pl.DataFrame(rows, schema=SUBSCRIPTION_EVENT_SCHEMA, orient="row")


def _row(event: Event) -> tuple[object, ...] | None:
    properties = {_plain(name): value for name, value in event.properties.items()}
    email = _address(event, properties)
    if not email:
        return None
    is_resubscribe = _text(properties, "resubscribed").lower() in _YES
    is_of_group = bool(_text(properties, "group"))
    if is_of_group and is_resubscribe:
        return None  # to one kind of mail: no word on all the others
    kind, identifier = event.identifier or (None, "")
    return (
        email,
        # of an hour that came twice, an opt-out is of the later one: no return of that hour may seem to be newer
        event.happened_at if is_resubscribe else event.or_at or event.happened_at,
        kind.value if kind else "",
        identifier,
        is_resubscribe,
        "group" if is_of_group else _level(properties),
        _text(properties, "type").lower()[:LONGEST_TYPE],
        _text(properties, "reason")[:LONGEST_REASON],
    )


def _address(event: Event, properties: Mapping[str, object]) -> str:
    """The address that the event is about, lower case and trimmed; empty: it is about another channel."""
    named = _text(properties, "identity")
    campaign = _text(properties, "campaigntype").lower()
    if "@" in named:
        return named.lower()
    is_about_email = campaign in _EMAIL_CAMPAIGNS if named or campaign else True
    return (event.email or "").strip().lower() if is_about_email else ""


def _level(properties: Mapping[str, object]) -> str:
    said = _text(properties, "subscriptiontype").lower()
    return next((level for level in ("account", "profile") if level in said), "")


def _plain(name: str) -> str:
    """``Subscription Type``, ``subscription_type`` and ``subscriptionType`` are the same."""
    return "".join(character for character in name.lower() if character.isalnum())


def _text(properties: Mapping[str, object], name: str) -> str:
    value = properties.get(name)
    return str(value).strip() if isinstance(value, str | int | float) else ""
