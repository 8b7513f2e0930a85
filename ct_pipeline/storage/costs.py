"""What verifying has cost the other side: in all, the sites that bore most of it, and DNS.

Everything per site is in the view ``ledger.site_costs``; see ``docs/reference/ledger_views.md``.
"""

from typing import NamedTuple

import psycopg


class TotalCost(NamedTuple):
    """Of all sites together, since the ledger began. Addresses are those of the lists that have an answer."""

    address_count: int
    site_count: int
    session_count: int
    rcpt_count: int
    random_probe_count: int
    control_probe_count: int
    dns_query_count: int


class SiteCost(NamedTuple):
    """Of one site, as seen from one egress. ``breaker_state`` is worded as in the view."""

    site: str
    egress: str
    session_count: int
    rcpt_count: int
    address_count: int
    connection_share: float | None  # None: nothing is remembered of it
    breaker_state: str


class LaneDnsCost(NamedTuple):
    """DNS messages ever sent for the domains of a lane, and the addresses at these domains."""

    query_count: int
    address_count: int


def what_verifying_cost(conn: psycopg.Connection) -> TotalCost:
    """The total."""
    row = conn.execute(
        """
        select (select count(*) from ledger.due where attempt_count > 0 or answered_at is not null),
               (select count(*) from (select distinct lane, site from ledger.sessions) as met),
               sessions.*, probes.*, (select coalesce(sum(dns_query_count), 0)::bigint from ledger.domains)
        from (select count(*), coalesce(sum(rcpt_count), 0) from ledger.sessions) as sessions,
             (select count(*) filter (where kind = 'random'), count(*) filter (where kind in ('control', 'witness'))
              from ledger.probes) as probes
        """
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return TotalCost(*row)


def busiest_sites(conn: psycopg.Connection, limit: int) -> list[SiteCost]:
    """The sites that most sessions were held with. Of the view, only columns that need no look at the probes."""
    rows = conn.execute(
        """
        select site, egress, session_count, rcpt_count, address_count, connection_share, breaker_state
        from ledger.site_costs where session_count > 0 order by session_count desc, lane, site, egress limit %s
        """,
        (limit,),
    ).fetchall()
    return [SiteCost(*row) for row in rows]


def dns_cost(conn: psycopg.Connection, lane: str) -> LaneDnsCost:
    """What the domains of ``lane`` have cost DNS."""
    row = conn.execute(
        """
        select coalesce(sum(dns_query_count), 0)::bigint, coalesce(sum(address_count), 0)::bigint
        from ledger.domains cross join lateral (
            select count(*) as address_count from ledger.addresses where addresses.domain_id = domains.domain_id
        ) as known
        where lane = %s
        """,
        (lane,),
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return LaneDnsCost(*row)
