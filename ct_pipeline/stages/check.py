"""Verify a handful of addresses right now, without waiting for anyone else's turn."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl

from ct_pipeline.addresses.normalize import normalize_one
from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.from_clevertap.contact_rows import ROW_SCHEMA, ContactBatch
from ct_pipeline.settings import Settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.explanation import Explanation, explain
from ct_pipeline.stages.intake import normalize_new_pulls
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.addresses import renew
from ct_pipeline.storage.lake import Lake
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.pulls import find_pull, record_pull
from ct_pipeline.storage.trail import ask_again
from ct_pipeline.verification.unwelcome import why
from ct_pipeline.vocabulary import Reason

AUDIENCE = "checks"


def check_addresses(settings: Settings, given: list[str], *, again: bool = False) -> list[Explanation]:
    """Normalize, look up, ask, judge and explain ``given``; an address with a fresh answer is not asked again.

    With ``again`` it is, and so is one that was put off: once, as far as breakers and providers allow.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    normalized = [normalize_one(raw) for raw in given]
    pull_id = _take_in(settings, given)
    normalize_new_pulls(settings, pull_id=pull_id)
    forced = _force(settings, [one.address for one in normalized]) if again else set()
    look_up_domains(settings, pull_id=pull_id)
    summaries = verify_lanes(settings, lane_keys(load_providers()), pull_id=pull_id)
    stops = {summary.lane: summary.stopped_because for summary in summaries}
    now = datetime.now(UTC)
    explanations: list[Explanation] = []
    for one in explain(settings, normalized):
        next_attempt_at = one.verdict.next_check_at if one.verdict else None
        is_due = one.facts is not None and next_attempt_at is not None and next_attempt_at <= now
        left_because = _why_left(one.facts, stops.get(one.facts.lane, ())) if one.facts is not None and is_due else ""
        explanations.append(replace(one, left_because=left_because, is_forced=one.address in forced))
    return explanations


def explain_recorded(settings: Settings, given: list[str]) -> list[Explanation]:
    """Explain ``given`` by what is on record: nobody is asked, and nothing is added to the ledger but verdicts by
    today's rules.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    return explain(settings, [normalize_one(raw) for raw in given])


def _force(settings: Settings, addresses: list[str]) -> set[str]:
    with open_ledger(settings) as conn:
        return ask_again(conn, addresses, datetime.now(UTC))


def _why_left(facts: DomainFacts, stops: Sequence[str]) -> str:
    """Why a due address was not asked: its site's breaker, another run's work on its lane, another machine's egress."""
    of_its_site = f"{facts.site}: "
    for stop in stops:
        if stop.startswith(of_its_site):
            return f"its site is left alone: {why(Reason(stop.removeprefix(of_its_site)))}"
        if ": " not in stop:
            return f"{stop}: try again in a moment" if stop.startswith("another run") else stop
    return ""


def _take_in(settings: Settings, given: list[str]) -> int:
    now = datetime.now(UTC)
    digest = hashlib.sha256(json.dumps(given).encode()).hexdigest()
    with open_ledger(settings) as conn:
        known = find_pull(conn, digest, AUDIENCE)
        if known is not None:
            renew(conn, known.pull_id, now, timedelta(days=settings.fresh_for_days))
            return known.pull_id
    rows = pl.DataFrame(
        {"row_number": range(1, len(given) + 1), "raw_email": given, "other_columns": "{}"}, schema=ROW_SCHEMA
    )
    stored = Lake(settings.lake_dir).write_pull(f"check-{digest[:16]}-{now:%Y%m%dT%H%M%S}", [ContactBatch(rows, [])])
    with open_ledger(settings) as conn:
        return record_pull(
            conn,
            audience=AUDIENCE,
            kind="check",
            source_name="ct-pipeline check",
            sha256=digest,
            lake_path=str(stored.path),
            row_count=stored.row_count,
            set_aside_count=0,
            email_column="email",
            columns=["email"],
            now=now,
        )
