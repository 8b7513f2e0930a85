"""What the ledger hands out of one lane at a time: due addresses, planned."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from ct_pipeline.addresses.operator_lists import OperatorLists
from ct_pipeline.domains.providers import Providers
from ct_pipeline.storage.domain_facts import domain_facts
from ct_pipeline.storage.due import due_addresses
from ct_pipeline.storage.probes import catch_all_facts
from ct_pipeline.storage.site_memory import site_memories
from ct_pipeline.verification.planner import LanePlan, Limits, plan_lane
from ct_pipeline.verification.site_memory import SiteMemory


@dataclass(frozen=True, slots=True)
class Portion:
    """Due addresses as the ledger handed them out, planned. ``last_site`` may have more when ``is_cut_off``."""

    plan: LanePlan
    address_ids: dict[str, list[int]]  # by site
    memories: dict[str, SiteMemory]
    last_site: str
    is_cut_off: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """At most ``limit`` addresses: of one site, or of the sites after another one, without some of them."""

    limit: int
    only_site: str = ""
    after_site: str = ""
    skipped_sites: Collection[str] = ()
    in_flight: Collection[int] = ()  # addresses that are out already


@dataclass(frozen=True, slots=True)
class LanePortions:
    """One lane, worked from one egress; with ``pull_id`` only addresses of that pull."""

    lane: str
    egress: str
    providers: Providers
    limits: Limits
    lists: OperatorLists
    pull_id: int | None

    def take(self, wish: Wish, conn: psycopg.Connection) -> Portion:
        """The addresses that are due now, with what is known of their domains and sites."""
        now = datetime.now(UTC)
        due = due_addresses(
            conn,
            self.lane,
            now,
            wish.limit,
            wish.in_flight,
            self.pull_id,
            after_site=wish.after_site,
            only_site=wish.only_site,
            skipped_sites=wish.skipped_sites,
        )
        domains = list(dict.fromkeys(address.domain for address in due))
        facts = domain_facts(conn, domains)
        known = catch_all_facts(conn, domains, now)
        plan = plan_lane(self.lane, due, facts, known, self.providers, self.limits, now, self.lists)
        memories = site_memories(conn, self.egress, [site.site for site in plan.sites])
        by_site: dict[str, list[int]] = {}
        for address in due:
            by_site.setdefault(facts[address.domain].site, []).append(address.address_id)
        last_site = facts[due[-1].domain].site if due else wish.after_site
        return Portion(plan, by_site, memories, last_site, is_cut_off=len(due) == wish.limit)
