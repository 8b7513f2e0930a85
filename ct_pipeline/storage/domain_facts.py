"""Domain facts: which domains have to be looked up, and what a look-up means for the addresses that wait for it."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import LiteralString

import psycopg

from ct_pipeline.domains.facts import DomainFacts, MxHost
from ct_pipeline.storage.addresses import IS_TEMPORARY, TAKES_MAIL
from ct_pipeline.storage.copy_in import analyze, copy_rows, drop_stages, make_stage, storable
from ct_pipeline.storage.unjudged import DOMAINS_LOCK, add_to_unjudged
from ct_pipeline.vocabulary import MailService

# A domain whose look-ups keep failing is looked up again after as long as it has failed, at least at the expiry that
# the look-up says and at most after a day; after three days its addresses are judged for good (until they go stale).
LONGEST_RETRY = "1 day"
GIVE_UP_AFTER = "3 days"

CONFIRMED_AFTER = "24 hours"  # the length of the row of look-ups that has to agree before a domain is given up


def domains_to_look_up(conn: psycopg.Connection, now: datetime, limit: int, pull_id: int | None = None) -> list[str]:
    """Domains (of one pull, if given) whose facts are missing or have expired, and that someone waits for.

    That is an address whose turn has come; or a second look-up, since a domain that takes no mail is believed only when
    two look-ups at least :data:`CONFIRMED_AFTER` apart agree, and its addresses are all answered by the first.
    """
    rows = conn.execute(_TO_LOOK_UP, {"now": now, "limit": limit, "pull_id": pull_id}).fetchall()
    return [domain for (domain,) in rows]


def count_domains_to_look_up(conn: psycopg.Connection, now: datetime, pull_id: int | None = None) -> int:
    """How many there are of :func:`domains_to_look_up`."""
    row = conn.execute(_COUNT_TO_LOOK_UP, {"now": now, "pull_id": pull_id}).fetchone()
    return row[0] if row else 0


_WAITED_FOR: LiteralString = """
from ledger.domains
where (expires_at is null or expires_at <= %(now)s)
      and exists (
          select from ledger.due
          where due.domain_id = domains.domain_id and next_attempt_at <= %(now)s
                and (%(pull_id)s::bigint is null or exists (
                    select from ledger.holders h where h.address_id = due.address_id and h.pull_id = %(pull_id)s)))
"""

# The first two conditions are word for word those of the index domains_second_look_up.
_TO_CONFIRM: LiteralString = f"""
from ledger.domains
where service in ('null_mx', 'no_mail_service', 'domain_not_found', 'unroutable')
      and looked_up_at - service_since_at < interval '{CONFIRMED_AFTER}'
      and expires_at <= %(now)s and service_since_at <= %(now)s - interval '{CONFIRMED_AFTER}'
      and exists (
          select from ledger.addresses a
          where a.domain_id = domains.domain_id
                and (%(pull_id)s::bigint is null or exists (
                    select from ledger.holders h where h.address_id = a.address_id and h.pull_id = %(pull_id)s)))
"""  # noqa: S608 - the interval above

_TO_LOOK_UP: LiteralString = f"""
select domain from (
    (select domain_id, domain {_WAITED_FOR} order by domain_id limit %(limit)s)
    union
    (select domain_id, domain {_TO_CONFIRM} order by domain_id limit %(limit)s)
) as wanted
order by domain_id limit %(limit)s
"""  # noqa: S608 - the two conditions above

_COUNT_TO_LOOK_UP: LiteralString = f"""
select count(*) from (select domain_id {_WAITED_FOR} union select domain_id {_TO_CONFIRM}) as wanted
"""  # noqa: S608 - likewise


def domain_facts(conn: psycopg.Connection, domains: Collection[str]) -> dict[str, DomainFacts]:
    """The latest facts of those ``domains`` that were ever looked up, expired ones too."""
    rows = conn.execute(
        """
        select domain, service, mx_hosts, mx_record, provider, site, lane, is_disposable, is_free, looked_up_at,
               expires_at, detail
        from ledger.domains where domain = any(%s) and service is not null
        """,
        (list(domains),),
    ).fetchall()
    return {
        domain: DomainFacts(domain, MailService(service), tuple(_mx_hosts(mx_hosts)), *rest)
        for domain, service, mx_hosts, *rest in rows
    }


def keep_domain_facts(conn: psycopg.Connection, facts: Sequence[DomainFacts], now: datetime) -> None:
    """Replace the facts of these domains, and add what their look-ups sent to what was sent before.

    Where a domain takes no mail, its waiting addresses are answered; where it could not be looked up, they wait for the
    next look-up. Where a domain no longer is what its addresses were answered by, those are to be asked after all.
    Addresses whose verdict may change by it are put on the list of unjudged ones, and so are those of a domain that the
    second look-up confirms: an export waits for it.
    """
    if not facts:
        return
    latest: dict[str, DomainFacts] = {}
    for fact in facts:  # the last of a domain wins
        latest[fact.domain] = _counted_with(latest.get(fact.domain), fact)
    with conn.transaction():
        make_stage(conn, "looked_up", _STAGE)
        copy_rows(conn, "looked_up", _STAGE_COLUMNS, map(_row, latest.values()))
        analyze(conn, "looked_up")
        conn.execute("select pg_advisory_xact_lock(%s)", (DOMAINS_LOCK,))
        conn.execute(_NEW_DOMAINS)
        make_stage(conn, "renewed", _RENEWED_STAGE)
        conn.execute(_RENEWED, {"takes_mail": TAKES_MAIL, "is_temporary": IS_TEMPORARY})
        analyze(conn, "renewed")
        conn.execute(_UPDATE_DOMAINS)
        make_stage(conn, "settled", "address_id bigint, next_attempt_at timestamptz")
        conn.execute(_LOCK_AND_SETTLE, {"now": now})
        analyze(conn, "settled")
        conn.execute(_UPDATE_DUE, {"now": now})
        conn.execute(_REOPEN, {"now": now})
        conn.execute(_FORGET_FORMER_HOST)
        add_to_unjudged(conn, _AFFECTED, {}, now)
        drop_stages(conn, ["looked_up", "renewed", "settled"])


_STAGE = """
domain text collate "C", service text, mx_hosts jsonb, mx_record text, provider text, site text, lane text,
is_disposable boolean, is_free boolean, looked_up_at timestamptz, expires_at timestamptz, detail text,
query_count integer, mx_query_count integer
"""
_STAGE_COLUMNS = (
    "domain", "service", "mx_hosts", "mx_record", "provider", "site", "lane",
    "is_disposable", "is_free", "looked_up_at", "expires_at", "detail", "query_count", "mx_query_count",
)  # fmt: skip

_NEW_DOMAINS = """
insert into ledger.domains (domain)
select domain from looked_up
where not exists (select from ledger.domains known where known.domain = looked_up.domain)
order by domain
on conflict do nothing
"""

_RENEWED_STAGE = """
domain_id integer, service_since_at timestamptz, expires_at timestamptz, is_temporary boolean, is_given_up boolean,
takes_mail boolean, is_changed boolean, is_confirmed boolean, answered_since_at timestamptz, moved_at timestamptz
"""
_RENEWED = f"""
insert into renewed
select domain_id, since_at,
       case when is_temporary
            then greatest(expires_at, looked_up_at + least(looked_up_at - since_at, interval '{LONGEST_RETRY}'))
            else expires_at end,
       is_temporary, is_temporary and looked_up_at - since_at >= interval '{GIVE_UP_AFTER}', takes_mail, is_changed,
       not is_temporary and not takes_mail and since_at = service_since_at
           and former_looked_up_at - since_at < interval '{CONFIRMED_AFTER}'
           and looked_up_at - since_at >= interval '{CONFIRMED_AFTER}',
       case when former_took_no_mail and (takes_mail or (is_temporary and not former_was_temporary))
            then service_since_at end,
       case when is_moved then looked_up_at end
from (
    select d.domain_id, s.expires_at, s.looked_up_at, s.service = any(%(is_temporary)s) as is_temporary,
           s.service = any(%(takes_mail)s) as takes_mail, d.service_since_at,
           d.looked_up_at as former_looked_up_at, d.service = any(%(is_temporary)s) as former_was_temporary,
           not d.service = any(%(takes_mail)s) as former_took_no_mail,
           case when s.service = d.service or (s.service = any(%(is_temporary)s) and d.service = any(%(is_temporary)s))
                then d.service_since_at else s.looked_up_at end as since_at,
           (s.service, s.provider, s.is_disposable, s.is_free)
               is distinct from (d.service, d.provider, d.is_disposable, d.is_free) as is_changed,
           s.provider <> d.provider and '' not in (s.provider, d.provider) as is_moved
    from looked_up s join ledger.domains d using (domain)
) as compared
"""  # noqa: S608 - the intervals above

_UPDATE_DOMAINS = """
update ledger.domains d
set service = s.service, mx_hosts = s.mx_hosts, mx_record = s.mx_record, provider = s.provider, site = s.site,
    lane = s.lane, is_disposable = s.is_disposable, is_free = s.is_free, looked_up_at = s.looked_up_at,
    expires_at = r.expires_at, service_since_at = r.service_since_at, detail = s.detail,
    dns_query_count = d.dns_query_count + s.query_count, mx_query_count = d.mx_query_count + s.mx_query_count
from looked_up s, renewed r
where d.domain = s.domain and r.domain_id = d.domain_id
"""

_LOCK_AND_SETTLE = """
insert into settled
select due.address_id, case when is_temporary and not is_given_up then greatest(next_attempt_at, expires_at) end
from ledger.due join renewed using (domain_id)
where next_attempt_at is not null and not takes_mail
      and (not is_temporary or is_given_up or next_attempt_at < expires_at)
order by due.address_id
for update of due
"""

_UPDATE_DUE = """
update ledger.due
set next_attempt_at = settled.next_attempt_at,
    answered_at = case when settled.next_attempt_at is null then %(now)s else answered_at end
from settled where settled.address_id = due.address_id
"""

# What was answered by the domain alone was answered while it was so.
_REOPEN = """
update ledger.due
set next_attempt_at = case when r.is_temporary then r.expires_at else %(now)s end, attempt_count = 0
from (
    select due.address_id, renewed.is_temporary, renewed.expires_at
    from renewed join ledger.due using (domain_id)
    where due.next_attempt_at is null and due.answered_at >= renewed.answered_since_at
    order by due.address_id
    for update of due
) as r
where r.address_id = due.address_id
"""

# What a former provider's hosts accept or refuse says nothing of the new one's. Evidence counts a day past the end, so
# the end is that long before.
_FORGET_FORMER_HOST = """
update ledger.catch_all_facts c set expires_at = least(c.expires_at, moved.moved_at - interval '1 day')
from (
    select domain_id, moved_at from renewed join ledger.catch_all_facts facts using (domain_id)
    where moved_at is not null order by domain_id for update of facts
) as moved
where moved.domain_id = c.domain_id
"""

_AFFECTED = """
select address_id from settled
union
select address_id from renewed join ledger.addresses using (domain_id)
where (is_changed or is_confirmed)
      and exists (select from ledger.verdicts where verdicts.address_id = addresses.address_id)
"""


def _row(fact: DomainFacts) -> tuple[object, ...]:
    hosts = [{"preference": mx.preference, "host": mx.host, "addresses": mx.addresses} for mx in fact.mx_hosts]
    return (
        fact.domain,
        fact.service.value,
        json.dumps(hosts).replace("\\u0000", "\\ufffd"),
        storable(fact.mx_record),
        storable(fact.provider),
        storable(fact.site),
        fact.lane,
        fact.is_disposable,
        fact.is_free,
        fact.looked_up_at,
        fact.expires_at,
        storable(fact.detail),
        fact.query_count,
        fact.mx_query_count,
    )


def _counted_with(earlier: DomainFacts | None, fact: DomainFacts) -> DomainFacts:
    if earlier is None:
        return fact
    return replace(
        fact,
        query_count=earlier.query_count + fact.query_count,
        mx_query_count=earlier.mx_query_count + fact.mx_query_count,
    )


def _mx_hosts(rows: list[dict]) -> Iterator[MxHost]:
    for row in rows:
        yield MxHost(row["preference"], row["host"], tuple(row["addresses"]))
