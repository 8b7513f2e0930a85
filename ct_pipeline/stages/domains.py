"""Look up the domains whose facts are missing or have expired."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import psycopg

from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.storage.database import resolve_database_url
from ct_pipeline.storage.domain_facts import domains_to_look_up, keep_domain_facts
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.look_up_turn import look_up_turn
from ct_pipeline.storage.outage import Outage

BATCH_DOMAINS = 5_000
COMMIT_DOMAINS = 500

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class DomainsSummary:
    """What a round of look-ups found: domains by mail service and by provider."""

    domain_count: int = 0
    query_count: int = 0  # DNS messages, repeats included
    mx_query_count: int = 0  # of these, the ones that asked for MX
    services: Counter[str] = field(default_factory=Counter)
    providers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def look_up_domains(
    settings: Settings, on_commit: Callable[[int], None] = lambda _count: None, pull_id: int | None = None
) -> DomainsSummary:
    """Look up every domain that needs it (of one pull, if given), and commit as answers come.

    Addresses of domains that take no mail are finished here; those of domains that DNS could not tell about are put off
    until the facts expire. Nothing is asked twice: a domain with unexpired facts is left alone, what was found is kept
    when the call is interrupted, and two calls that look up everything take turns. A database that goes away meanwhile
    is waited for.

    Raises:
        LedgerUnavailableError: the database does not answer, or stays away.
    """
    started = time.monotonic()
    look_up = _LookUp(settings, on_commit, pull_id)
    with open_ledger(settings) as conn, look_up_turn(conn) if pull_id is None else contextlib.nullcontext():
        if domains := domains_to_look_up(conn, datetime.now(UTC), BATCH_DOMAINS, pull_id=pull_id):
            asyncio.run(look_up.run(domains))
    look_up.summary.seconds = time.monotonic() - started
    return look_up.summary


class _LookUp:
    """One call's work."""

    def __init__(self, settings: Settings, on_commit: Callable[[int], None], pull_id: int | None) -> None:
        self.summary = DomainsSummary()
        self._settings = settings
        self._on_commit = on_commit
        self._pull_id = pull_id
        self._outage = Outage(resolve_database_url(settings))
        self._found: list[DomainFacts] = []

    async def run(self, domains: list[str]) -> None:
        """Look up ``domains``, and whatever needs it after them."""
        async with DomainLookup(self._settings, load_providers()) as lookup:
            try:
                while domains:
                    await self._look_up(lookup, domains)
                    domains = await self._ask(
                        domains_to_look_up, datetime.now(UTC), BATCH_DOMAINS, pull_id=self._pull_id
                    )
            except BaseException:
                self._outage.hurry()
                raise
            finally:
                self.summary.query_count = lookup.query_count
                await self._commit()

    async def _look_up(self, lookup: DomainLookup, domains: list[str]) -> None:
        async for facts in lookup.look_up_many(domains, datetime.now(UTC)):
            self.summary.domain_count += 1
            self.summary.mx_query_count += facts.mx_query_count
            self.summary.services[facts.service] += 1
            self.summary.providers[facts.provider] += 1
            self._found.append(facts)
            if len(self._found) >= COMMIT_DOMAINS:
                await self._commit()
        await self._commit()

    async def _commit(self) -> None:
        facts, self._found = self._found, []
        if facts:
            await self._ask(keep_domain_facts, facts, datetime.now(UTC))
            self._on_commit(len(facts))

    async def _ask(
        self, question: Callable[Concatenate[psycopg.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Over a connection of its own: one that is kept may have been lost."""

        def ask() -> T:
            with open_ledger(self._settings) as conn:
                return question(conn, *args, **kwargs)

        return await asyncio.to_thread(partial(self._outage.wait_out, ask))
