"""The records that profiles come in as, and the two tables of a profile pull in the lake."""

import polars as pl

UTC_DATETIME = pl.Datetime("us", "UTC")

PROFILE_SCHEMA = pl.Schema({
    "row_number": pl.Int64(),
    "raw_email": pl.String(),  # null: the profile has no email
    "identifier_kind": pl.String(),  # of IdentifierKind; what writes have to use
    "identifier": pl.String(),
    "object_ids": pl.List(pl.String()),
    "unsubscribe_event_count": pl.Int32(),  # of Channel Unsubscribed in the profile's event summary
    "unsubscribe_event_at": UTC_DATETIME,  # its last_seen
    "fetched_at": UTC_DATETIME,
    "properties": pl.String(),  # profileData, one JSON object: property types differ between pages
    "other_fields": pl.String(),  # every other field, one JSON object
})  # fmt: skip
"""Of ``rows.parquet`` of a profile pull. Each profile once; ``row_number`` counts from 1 without gaps."""

SUBSCRIPTION_EVENT_SCHEMA = pl.Schema({
    "email": pl.String(),  # the address that the event names, lower case, trimmed
    "happened_at": UTC_DATETIME,
    "identifier_kind": pl.String(),
    "identifier": pl.String(),
    "is_resubscribe": pl.Boolean(),
    "level": pl.String(),  # account, profile, group (one kind of mail; only opt-outs) or empty
    "type": pl.String(),  # bounced, dropped, spam, … or empty; lower case
    "reason": pl.String(),
})  # fmt: skip
"""Of ``subscription_events.parquet`` beside it: Channel Unsubscribed events of the e-mail channel."""
