"""Verify a handful of addresses right now, without waiting for anyone else's turn."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from ct_pipeline.addresses.normalize import normalize_one
from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.from_clevertap.contact_rows import ROW_SCHEMA, ContactBatch
from ct_pipeline.settings import Settings
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.egresses import load_egresses
from ct_pipeline.stages.intake import normalize_new_pulls
from ct_pipeline.stages.judge import judge_addresses
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.addresses import renew
from ct_pipeline.storage.domain_facts import domain_facts
from ct_pipeline.storage.lake import Lake
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.pulls import find_pull, record_pull
from ct_pipeline.verdicts.verdict import Verdict

AUDIENCE = "checks"


@dataclass(frozen=True, slots=True)
class CheckedAddress:
    """One address as it was given, its verdict, and what DNS said of its domain (None: it has none).

    ``left_because`` says why it was not asked although it is due, such as another run's work on the same lane, or
    another machine's egress.
    """

    given: str
    verdict: Verdict
    facts: DomainFacts | None
    left_because: str = ""


def check_addresses(settings: Settings, given: list[str]) -> list[CheckedAddress]:
    """Normalize, look up, ask and judge ``given``; an address with a fresh answer is not asked again.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    pull_id = _take_in(settings, given)
    normalize_new_pulls(settings, pull_id=pull_id)
    look_up_domains(settings, pull_id=pull_id)
    summaries = verify_lanes(settings, lane_keys(load_providers()), pull_id=pull_id)
    egresses = load_egresses(settings)
    held = {
        summary.lane: "; ".join(summary.stopped_because)
        + (": try again in a moment" if egresses.works(summary.lane) else "")
        for summary in summaries
        if summary.stopped_because and not summary.session_count
    }
    normalized = [normalize_one(raw) for raw in given]
    verdicts = {v.address: v for v in judge_addresses(settings, [n.address for n in normalized])}
    with open_ledger(settings) as conn:
        facts = domain_facts(conn, sorted({n.domain for n in normalized if n.domain and not n.syntax_reason}))
    checked: list[CheckedAddress] = []
    for raw, one in zip(given, normalized, strict=True):
        known, verdict = facts.get(one.domain or ""), verdicts[one.address]
        is_due = verdict.next_check_at is not None and verdict.next_check_at <= datetime.now(UTC)
        left_because = held.get(known.lane, "") if known is not None and is_due else ""
        checked.append(CheckedAddress(raw, verdict, known, left_because))
    return checked


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
