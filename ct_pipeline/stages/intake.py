"""Take a contact file into the lake; take up what is in the lake, from a file or from CleverTap, into the ledger."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg

from ct_pipeline.addresses.normalize import normalize
from ct_pipeline.addresses.role import role_mask
from ct_pipeline.addresses.suggestion import KnownDomains, suggest_address, suggest_domains
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.from_clevertap.contact_files import describe_contact_file, read_contact_file
from ct_pipeline.from_clevertap.contact_rows import SetAsideRow
from ct_pipeline.settings import Settings
from ct_pipeline.storage.addresses import renew, take_up
from ct_pipeline.storage.lake import Lake, file_sha256
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.profiles import take_up_profiles
from ct_pipeline.storage.pulls import (
    CONTACT_FILE,
    PROFILES,
    Pull,
    find_pull,
    mark_taken_up,
    pull,
    pulls_not_taken_up,
    record_pull,
)
from ct_pipeline.storage.subscription_events import keep_subscription_events
from ct_pipeline.to_clevertap.properties import all_property_names

BATCH_ROWS = 100_000
BATCH_PROFILES = 50_000  # each of a few KB
FREQUENT_DOMAINS = 200  # of the list itself: a slip of the finger is far rarer than what it meant
FREQUENT_SHARE = 0.002


@dataclass(frozen=True, slots=True)
class ContactFilePull:
    """A contact file in the lake. ``was_known``: the same file had been taken in before, and is not stored twice."""

    pull_id: int
    source_name: str
    email_column: str
    row_count: int
    set_aside_count: int
    set_aside: list[SetAsideRow]  # the first thousand
    was_known: bool


@dataclass(slots=True)
class NormalizeSummary:
    """What taking up the waiting pulls came to. ``unusable`` counts rows with an email by syntax reason."""

    pull_count: int = 0
    row_count: int = 0
    new_address_count: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    new_profile_count: int = 0
    new_subscription_event_count: int = 0


def take_in_contact_file(settings: Settings, path: Path, audience: str | None = None) -> ContactFilePull:
    """Store the rows of ``path`` as a pull of ``audience`` (default: the file's name) in the lake and the ledger.

    Addresses of a file that was taken in before are due again where their answer is no longer fresh.

    Raises:
        ContactFileError: the file cannot be read, or has no column of email addresses.
        LedgerUnavailableError: the database does not answer.
    """
    now = datetime.now(UTC)
    audience = audience or path.name
    with open_ledger(settings) as conn:
        shape = describe_contact_file(path)
        sha256 = file_sha256(path)
        known = find_pull(conn, sha256, audience)
        if known is not None:
            renew(conn, known.pull_id, now, timedelta(days=settings.fresh_for_days))
            return _summary(known, [], was_known=True)
        stored = Lake(settings.lake_dir).write_pull(
            f"{sha256[:16]}-{now:%Y%m%dT%H%M%S}", read_contact_file(path, shape)
        )
        pull_id = record_pull(
            conn,
            audience=audience,
            kind=CONTACT_FILE,
            source_name=path.name,
            sha256=sha256,
            lake_path=str(stored.path),
            row_count=stored.row_count,
            set_aside_count=stored.set_aside_count,
            email_column=shape.email_column,
            columns=shape.to_json(),
            now=now,
        )
        recorded = pull(conn, pull_id)
        assert recorded is not None
        return _summary(recorded, stored.set_aside, was_known=False)


def normalize_new_pulls(
    settings: Settings, on_rows: Callable[[int], None] = lambda _count: None, pull_id: int | None = None
) -> NormalizeSummary:
    """Take up every pull (or one) that has not been yet: addresses without a fresh answer become due, and what a pull
    from CleverTap says of profiles and subscriptions is known."""
    summary = NormalizeSummary()
    with open_ledger(settings) as conn:
        for waiting in pulls_not_taken_up(conn):
            if pull_id is not None and waiting.pull_id != pull_id:
                continue
            _take_up(settings, conn, waiting, summary, on_rows)
            mark_taken_up(conn, waiting.pull_id, datetime.now(UTC))
            summary.pull_count += 1
    return summary


def _take_up(
    settings: Settings,
    conn: psycopg.Connection,
    waiting: Pull,
    summary: NormalizeSummary,
    on_rows: Callable[[int], None],
) -> None:
    lake = Lake(settings.lake_dir)
    known = _known_domains(settings, waiting)
    fresh_for = timedelta(days=settings.fresh_for_days)
    is_from_clevertap = waiting.kind == PROFILES
    names = all_property_names(settings)
    for rows in lake.iterate_pull(waiting.lake_path, BATCH_PROFILES if is_from_clevertap else BATCH_ROWS):
        with_email = rows.filter(pl.col("raw_email").is_not_null()) if is_from_clevertap else rows
        batch = normalized_batch(with_email, known)
        now = datetime.now(UTC)
        taken = take_up(
            conn, waiting.pull_id, waiting.audience, batch, now, fresh_for, has_holders=not is_from_clevertap
        )
        summary.new_address_count += taken.new_address_count
        if is_from_clevertap:
            people = rows.join(batch.select("row_number", "address"), on="row_number", how="left")
            merged = take_up_profiles(conn, waiting.pull_id, waiting.project, people, names, now)
            summary.new_profile_count += merged.new_count
        summary.unusable.update(batch["syntax_reason"].drop_nulls().to_list())
        summary.row_count += rows.height
        on_rows(rows.height)
    if is_from_clevertap:
        for events in lake.iterate_subscription_events(waiting.lake_path):
            kept = keep_subscription_events(conn, waiting.project, waiting.pull_id, events)
            summary.new_subscription_event_count += kept


def normalized_batch(rows: pl.DataFrame, known: KnownDomains) -> pl.DataFrame:
    """``rows`` (row_number i64, raw_email str) with address, local_part, domain, syntax_reason, is_role and
    suggested_email."""
    batch = pl.concat([rows.select("row_number"), normalize(rows["raw_email"])], how="horizontal")
    better = batch["local_part"] + "@" + suggest_domains(batch["domain"], known)
    unusable = batch.filter(pl.col("syntax_reason").is_not_null() & pl.col("address").str.contains("@"))["address"]
    mended = {text: meant for text in unusable.unique() if (meant := suggest_address(text, known)) is not None}
    return batch.with_columns(
        role_mask(batch["local_part"]).alias("is_role"),
        better.fill_null(batch["address"].replace_strict(mended, default=None, return_dtype=pl.String)).alias(
            "suggested_email"
        ),
    )


def _known_domains(settings: Settings, waiting: Pull) -> KnownDomains:
    """Free-mail domains, and those that make up a fair share of the pull itself."""
    domain = pl.col("raw_email").str.to_lowercase().str.extract(r"@([a-z0-9.-]+\.[a-z]{2,})\W*$")
    counts = (
        Lake(settings.lake_dir)
        .scan_pull(waiting.lake_path)
        .select(domain.alias("domain"))
        .drop_nulls()
        .group_by("domain")
        .len()
        .sort("len", descending=True)
        .limit(FREQUENT_DOMAINS)
        .collect()
    )
    least = max(5, waiting.row_count * FREQUENT_SHARE)
    frequent = counts.filter(pl.col("len") >= least)["domain"].to_list()
    return KnownDomains.build([*load_providers().free_domains(), *frequent])


def _summary(known: Pull, set_aside: list[SetAsideRow], *, was_known: bool) -> ContactFilePull:
    return ContactFilePull(
        pull_id=known.pull_id,
        source_name=known.source_name,
        email_column=known.email_column,
        row_count=known.row_count,
        set_aside_count=known.set_aside_count,
        set_aside=set_aside,
        was_known=was_known,
    )
