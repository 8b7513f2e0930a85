"""Which address is asked next, and when.

A site that turned us away is left alone until its breaker's time is up: its addresses are due then, not before.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import LiteralString, NamedTuple

import psycopg
from psycopg.rows import class_row

from ct_pipeline.storage.addresses import TAKES_MAIL
from ct_pipeline.verification.probe import DueAddress
from ct_pipeline.vocabulary import DOMAIN_IS_REFUSED, NOT_A_MAILBOX, Reason


class DueAgain(NamedTuple):
    """What is still to be asked: addresses in all and those whose turn comes within the hour, and when."""

    address_count: int
    within_hour_count: int
    first_at: datetime | None  # None when nothing is
    last_at: datetime | None


# A mailbox that did not exist a quarter of a year ago may well exist today.
REFUSAL_REMEMBERED_FOR = timedelta(days=90)

# That long an accepted address is not asked again while its domain is still to be settled.
ACCEPTANCE_FRESH_FOR = timedelta(days=2)

# The few domains whose sites have a breaker, with the time before which nothing is asked there. A lane has one egress.
_HELD: LiteralString = """
with held as materialized (
    select domain_id, max(breaker_until_at) as until_at
    from ledger.site_memories join ledger.domains using (lane, site)
    where breaker_until_at is not null
    group by domain_id
)
"""


def due_addresses(
    conn: psycopg.Connection,
    lane: str,
    now: datetime,
    limit: int,
    in_flight: Collection[int] = (),
    pull_id: int | None = None,
    *,
    after_site: str = "",
    only_site: str = "",
    skipped_sites: Collection[str] = (),
) -> list[DueAddress]:
    """At most ``limit`` addresses of a lane whose turn has come, site by site, those of one domain together.

    Only domains that take mail by facts still in force (an expired domain is looked up first), and only sites whose
    breaker is not open. An address is returned again until its turn is written, so a caller that is still asking some
    passes their ids as ``in_flight``. With ``pull_id``, only addresses that this pull holds. A sweep through the lane
    goes on ``after_site``, the site of the last address that it was given; ``skipped_sites`` are left out.
    """
    with conn.cursor(row_factory=class_row(DueAddress)) as cursor:
        return cursor.execute(
            f"""
            select chosen.address_id, address, domain, attempt_count,
                   case when last.address_id = chosen.address_id and last.reason = %(accepted)s
                             and last.asked_at > %(now)s - %(fresh_for)s
                             and (answered_at is null or last.asked_at > answered_at) then last.probe_id end
                       as accepted_probe_id,
                   coalesce(settled.reason = %(refused)s and settled.code between 500 and 599
                            and settled.asked_at > %(now)s - %(remembered_for)s, false) as was_refused,
                   -- a refusal of the domain may have been said to a neighbour
                   case when last.reason = any(%(not_hosted)s) and last.code between 500 and 599 then last.asked_at
                        when settled.reason = any(%(dead)s) and settled.code between 500 and 599
                        then settled.asked_at end as refused_at,
                   coalesce(settled.reason = any(%(dead)s) and settled.code between 500 and 599
                            and (answered_at is null or settled.asked_at > answered_at), false) as is_unrepeated,
                   chosen.definitive_probe_id as settled_probe_id
            from (
                select due.address_id, site, domain, due.attempt_count, due.probe_id, due.definitive_probe_id,
                       due.answered_at
                from ledger.domains cross join lateral (
                    select due.address_id, due.attempt_count, due.probe_id, due.definitive_probe_id, due.answered_at
                    from ledger.due
                    where due.domain_id = domains.domain_id and next_attempt_at <= %(now)s
                          and due.address_id <> all(%(in_flight)s)
                          and (%(pull_id)s::bigint is null or exists (
                              select from ledger.holders h
                              where h.address_id = due.address_id and h.pull_id = %(pull_id)s))
                    order by next_attempt_at, due.address_id
                    limit %(limit)s
                ) as due
                where lane = %(lane)s and site <> all(%(skipped_sites)s)
                      and {"site = %(only_site)s" if only_site else "site > %(after_site)s"}
                      and service = any(%(takes_mail)s) and expires_at > %(now)s
                      and not exists (
                          select from ledger.site_memories m
                          where m.lane = domains.lane and m.site = domains.site and breaker_until_at > %(now)s)
                order by lane, site, domain_id
                limit %(limit)s
            ) as chosen
            join ledger.addresses using (address_id)
            left join ledger.probes as last on last.probe_id = chosen.probe_id
            left join ledger.probes as settled on settled.probe_id = chosen.definitive_probe_id
            order by site, domain, chosen.address_id
            """,  # noqa: S608 - one of the two conditions above
            {
                "lane": lane,
                "now": now,
                "limit": limit,
                "takes_mail": TAKES_MAIL,
                "in_flight": list(in_flight),
                "pull_id": pull_id,
                "accepted": Reason.ACCEPTED,
                "fresh_for": ACCEPTANCE_FRESH_FOR,
                "refused": Reason.MAILBOX_NOT_FOUND,
                "remembered_for": REFUSAL_REMEMBERED_FOR,
                "not_hosted": list(map(str, DOMAIN_IS_REFUSED)),
                "dead": list(map(str, NOT_A_MAILBOX | DOMAIN_IS_REFUSED)),
                "after_site": after_site,
                "only_site": only_site,
                "skipped_sites": list(skipped_sites),
            },
        ).fetchall()


def ask_after_all(
    conn: psycopg.Connection,
    now: datetime,
    pull_id: int | None = None,
    reason: Reason = Reason.PROVIDER_FORBIDS_PROBING,
) -> int:
    """Addresses that were not asked for ``reason``, of one pull or of all, become due; how many.

    Those with evidence that no verdict rests on yet wait for the judge: the reason may be another by now.
    """
    return conn.execute(
        """
        update ledger.due set next_attempt_at = %(now)s, attempt_count = 0
        where address_id in (
            select address_id from ledger.due join ledger.verdicts v using (address_id)
            where next_attempt_at is null and v.reason = %(reason)s
                  and not exists (select from ledger.unjudged u where u.address_id = due.address_id)
                  and (%(pull_id)s::bigint is null or exists (
                      select from ledger.holders h where h.address_id = due.address_id and h.pull_id = %(pull_id)s))
            order by address_id
            for update of due)
        """,
        {"now": now, "reason": reason, "pull_id": pull_id},
    ).rowcount


def lanes_due(conn: psycopg.Connection, now: datetime, pull_id: int | None = None) -> dict[str, int]:
    """Addresses whose turn has come, per lane; a lane without any is left out, and so are sites whose breaker is open.

    Counts addresses of domains whose facts have expired too: the verifier looks those up first. Domains without a lane,
    never looked up, are :func:`ct_pipeline.storage.domain_facts.domains_to_look_up`'s.
    """
    rows = conn.execute(
        """
        select lane, sum(due_count)::bigint
        from (
            select domain_id, count(*) as due_count from ledger.due
            where next_attempt_at <= %(now)s
                  and (%(pull_id)s::bigint is null or exists (
                      select from ledger.holders h where h.address_id = due.address_id and h.pull_id = %(pull_id)s))
            group by domain_id
        ) as waiting
        join ledger.domains using (domain_id)
        where lane <> '' and (service = any(%(takes_mail)s) or expires_at <= %(now)s)
              and not exists (
                  select from ledger.site_memories m
                  where m.lane = domains.lane and m.site = domains.site and breaker_until_at > %(now)s)
        group by lane order by lane
        """,
        {"now": now, "takes_mail": TAKES_MAIL, "pull_id": pull_id},
    ).fetchall()
    return dict(rows)


def next_due_at(conn: psycopg.Connection, pull_id: int | None = None) -> datetime | None:
    """When the next address is due, of one pull or of all; None when every one is answered."""
    if pull_id is None:
        row = conn.execute(
            f"""
            {_HELD}
            select min(greatest(next_attempt_at, until_at)) from ledger.due left join held using (domain_id)
            where next_attempt_at is not null
            """  # noqa: S608 - the words above
        ).fetchone()
    else:
        row = conn.execute(
            f"""
            {_HELD}
            select min(greatest(next_attempt_at, until_at))
            from ledger.holders join ledger.due using (address_id) left join held using (domain_id)
            where pull_id = %s and next_attempt_at is not null
            """,  # noqa: S608 - likewise
            (pull_id,),
        ).fetchone()
    return row[0] if row else None


def next_due_among(conn: psycopg.Connection, addresses: Sequence[str]) -> datetime | None:
    """When the first of ``addresses`` (normalized) is due again; None when none of them is to be asked any more."""
    row = conn.execute(
        f"""
        {_HELD}
        select min(greatest(next_attempt_at, until_at)) from ledger.due left join held using (domain_id)
        where address_id in (select address_id from ledger.addresses where address = any(%s))
              and next_attempt_at is not null
        """,  # noqa: S608 - the words above
        (list(addresses),),
    ).fetchone()
    return row[0] if row else None


def due_again(conn: psycopg.Connection, pull_id: int | None, now: datetime) -> DueAgain:
    """Addresses of one pull, or of all, that are still to be asked, now or later."""
    row = conn.execute(
        f"""
        {_HELD}
        select count(*), count(*) filter (where due_at <= %(now)s + interval '1 hour'), min(due_at), max(due_at)
        from (
            select greatest(next_attempt_at, until_at) as due_at
            from ledger.due left join held using (domain_id)
            where next_attempt_at is not null
                  and (%(pull_id)s::bigint is null
                       or address_id in (select address_id from ledger.holders where pull_id = %(pull_id)s))
        ) as waiting
        """,  # noqa: S608 - the words above
        {"pull_id": pull_id, "now": now},
    ).fetchone()
    assert row is not None, "an aggregate always returns a row"
    return DueAgain(*row)
