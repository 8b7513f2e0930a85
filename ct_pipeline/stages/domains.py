"""Look up the domains whose facts are missing or have expired."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.storage.domain_facts import domains_to_look_up, keep_domain_facts
from ct_pipeline.storage.ledger import open_ledger

BATCH_DOMAINS = 5_000
COMMIT_DOMAINS = 500


@dataclass(slots=True)
class DomainsSummary:
    """What a round of look-ups found: domains by mail service and by provider."""

    domain_count: int = 0
    query_count: int = 0
    services: Counter[str] = field(default_factory=Counter)
    providers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def look_up_domains(
    settings: Settings, on_commit: Callable[[int], None] = lambda _count: None, pull_id: int | None = None
) -> DomainsSummary:
    """Look up every domain that needs it (of one pull, if given), and commit as answers come.

    Addresses of domains that take no mail are finished here; those of domains that DNS could not tell about are put off
    until the facts expire. Nothing is asked twice: a domain with unexpired facts is left alone.
    """
    started = time.monotonic()
    summary = DomainsSummary()
    with open_ledger(settings) as conn:
        while domains := domains_to_look_up(conn, datetime.now(UTC), BATCH_DOMAINS, pull_id=pull_id):
            asyncio.run(_look_up(settings, conn, domains, summary, on_commit))
    summary.seconds = time.monotonic() - started
    return summary


async def _look_up(
    settings: Settings,
    conn: psycopg.Connection,
    domains: list[str],
    summary: DomainsSummary,
    on_commit: Callable[[int], None],
) -> None:
    found: list[DomainFacts] = []

    async def commit() -> None:
        facts, found[:] = found[:], []
        await asyncio.to_thread(keep_domain_facts, conn, facts, datetime.now(UTC))
        on_commit(len(facts))

    async with DomainLookup(settings, load_providers()) as lookup:
        async for facts in lookup.look_up_many(domains, datetime.now(UTC)):
            summary.domain_count += 1
            summary.services[facts.service] += 1
            summary.providers[facts.provider] += 1
            found.append(facts)
            if len(found) >= COMMIT_DOMAINS:
                await commit()
        await commit()
        summary.query_count += lookup.query_count
