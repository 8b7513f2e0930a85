"""Addresses and who holds them: a pull's rows become addresses, holders and due work."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import psycopg

from ct_pipeline.storage.copy_in import analyze, copy_frame, drop_stages, make_stage
from ct_pipeline.storage.unjudged import DOMAINS_LOCK, add_to_unjudged
from ct_pipeline.vocabulary import MailService

DEFAULT_FRESH_FOR = timedelta(days=30)

TAKES_MAIL = [service.value for service in MailService if service.takes_mail]
IS_TEMPORARY = [service.value for service in MailService if service.is_temporary]

_ROWS_STAGE = """
row_number bigint, raw_email text, address text collate "C", domain text collate "C",
syntax_reason text, is_role boolean, suggested_email text
"""


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What one call brought: addresses that the ledger did not know, rows that it did not know, addresses made due."""

    new_address_count: int
    holder_count: int
    due_count: int


def take_up(
    conn: psycopg.Connection,
    pull_id: int,
    audience: str,
    frame: pl.DataFrame,
    now: datetime,
    fresh_for: timedelta = DEFAULT_FRESH_FOR,
    *,
    has_holders: bool = True,
) -> TakenUp:
    """Merge a pull's rows, any number of batches, any number of times: a repeated row changes nothing.

    ``frame``: row_number, raw_email, address, local_part, domain, syntax_reason, is_role, suggested_email. Where
    syntax_reason is set the address is never asked, only judged. An address whose answer is older than ``fresh_for``
    becomes due again, with its attempts counted anew.

    Args:
        has_holders: False where the rows are profiles, who are named with their profile afterwards.

    Raises:
        LookupError: the ledger has no such pull of that audience.
    """
    wanted = [name.split()[0] for name in _ROWS_STAGE.split(",")]
    with conn.transaction():
        _check_pull(conn, pull_id, audience)
        make_stage(conn, "pull_rows", _ROWS_STAGE)
        copy_frame(conn, "pull_rows", frame.select(wanted))
        analyze(conn, "pull_rows")
        conn.execute("select pg_advisory_xact_lock_shared(%s)", (DOMAINS_LOCK,))
        conn.execute(_NEW_DOMAINS)
        new_address_count = conn.execute(_NEW_ADDRESSES).rowcount
        _apply_newer_normalization(conn, now)
        conn.execute(_RESOLVE)
        analyze(conn, "pull_addresses")
        holder_count = conn.execute(_NEW_HOLDERS, {"pull_id": pull_id}).rowcount if has_holders else 0
        due_count = _make_due(conn, now, now - fresh_for)
        _judge_what_is_not_asked(conn, now)
        drop_stages(conn, ["pull_rows", "pull_changes", "pull_addresses", "pull_due"])
    return TakenUp(new_address_count, holder_count, due_count)


def renew(conn: psycopg.Connection, pull_id: int, now: datetime, fresh_for: timedelta = DEFAULT_FRESH_FOR) -> int:
    """Addresses of a pull that was taken up before: answers older than ``fresh_for`` become due again; how many."""
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock_shared(%s)", (DOMAINS_LOCK,))
        conn.execute(_HELD, {"pull_id": pull_id})
        analyze(conn, "pull_addresses")
        due_count = _make_due(conn, now, now - fresh_for)
        add_to_unjudged(conn, "select address_id from pull_due where is_judged_by_domain", {}, now)
        drop_stages(conn, ["pull_addresses", "pull_due"])
    return due_count


def _check_pull(conn: psycopg.Connection, pull_id: int, audience: str) -> None:
    found = conn.execute(
        "select from ledger.pulls join ledger.audiences using (audience_id) where pull_id = %s and name = %s",
        (pull_id, audience),
    ).fetchone()
    if found is None:
        raise LookupError(f"The ledger has no pull {pull_id} of the audience {audience!r}.")


# Every insert below is sorted by its key: two processes that take up pulls at once then wait for each other in one
# direction only.
_NEW_DOMAINS = """
insert into ledger.domains (domain)
select distinct domain from pull_rows
where domain is not null and syntax_reason is null
      and not exists (select from ledger.domains known where known.domain = pull_rows.domain)
order by domain
on conflict do nothing
"""

_NEW_ADDRESSES = """
insert into ledger.addresses (address, domain_id, syntax_reason, is_role, suggested_email)
select distinct on (address) address, domains.domain_id, syntax_reason, coalesce(is_role, false), suggested_email
from pull_rows left join ledger.domains on domains.domain = pull_rows.domain and syntax_reason is null
where not exists (select from ledger.addresses known where known.address = pull_rows.address)
order by address, row_number
on conflict do nothing
"""

# What an earlier version of the normalizer, or a smaller list of known domains, said of an address.
_CHANGES = """
create temporary table pull_changes on commit drop as
select a.address_id, domains.domain_id, r.syntax_reason, r.is_role, r.suggested_email
from (select distinct on (address) * from pull_rows order by address, row_number) as r
join ledger.addresses a using (address)
left join ledger.domains on domains.domain = r.domain and r.syntax_reason is null
where (a.syntax_reason, a.is_role, a.suggested_email)
      is distinct from (r.syntax_reason, coalesce(r.is_role, false), r.suggested_email)
"""

_LOCK_CHANGED = """
select from ledger.addresses where address_id in (select address_id from pull_changes) order by address_id for update
"""

_APPLY_CHANGES = """
update ledger.addresses a
set domain_id = c.domain_id, syntax_reason = c.syntax_reason, is_role = coalesce(c.is_role, false),
    suggested_email = c.suggested_email
from pull_changes c where c.address_id = a.address_id
"""

_NO_LONGER_ASKED = """
update ledger.due set next_attempt_at = null, answered_at = %(now)s
where next_attempt_at is not null
      and address_id in (select address_id from pull_changes where syntax_reason is not null)
"""

_RESOLVE = """
create temporary table pull_addresses on commit drop as
select addresses.address_id, addresses.address, addresses.domain_id
from (select distinct address from pull_rows) as named join ledger.addresses using (address)
"""

_HELD = """
create temporary table pull_addresses on commit drop as
select distinct address_id, address, domain_id
from ledger.holders join ledger.addresses using (address_id) where pull_id = %(pull_id)s
"""

_NEW_HOLDERS = """
insert into ledger.holders (pull_id, row_number, address_id, raw_email)
select %(pull_id)s, row_number, address_id, nullif(raw_email, address)
from pull_rows join pull_addresses using (address)
order by row_number
on conflict do nothing
"""

# Due at once, unless the facts of the domain are in force and say otherwise: where it takes no mail there is nothing to
# ask, and where the look-up failed it is tried again first.
_DUE = """
create temporary table pull_due on commit drop as
select address_id, domain_id,
       case when service is null or expires_at <= %(now)s or service = any(%(takes_mail)s) then %(now)s::timestamptz
            when service = any(%(is_temporary)s) then expires_at
       end as next_attempt_at,
       service is not null and expires_at > %(now)s and not service = any(%(takes_mail)s) as is_judged_by_domain
from pull_addresses join ledger.domains using (domain_id) left join ledger.due using (address_id, domain_id)
where due.address_id is null or (due.next_attempt_at is null and due.answered_at <= %(stale_at)s)
"""

_MERGE_DUE = """
insert into ledger.due (address_id, domain_id, next_attempt_at, answered_at)
select address_id, domain_id, next_attempt_at, case when next_attempt_at is null then %(now)s::timestamptz end
from pull_due
order by address_id
on conflict (address_id) do update
set next_attempt_at = excluded.next_attempt_at, attempt_count = 0,
    answered_at = coalesce(excluded.answered_at, due.answered_at)
where due.next_attempt_at is null and due.answered_at <= %(stale_at)s
"""


def _apply_newer_normalization(conn: psycopg.Connection, now: datetime) -> None:
    if conn.execute(_CHANGES).rowcount:
        conn.execute(_LOCK_CHANGED)
        conn.execute(_APPLY_CHANGES)
        conn.execute(_NO_LONGER_ASKED, {"now": now})


def _make_due(conn: psycopg.Connection, now: datetime, stale_at: datetime) -> int:
    conn.execute(_DUE, {"now": now, "stale_at": stale_at, "takes_mail": TAKES_MAIL, "is_temporary": IS_TEMPORARY})
    analyze(conn, "pull_due")
    return conn.execute(_MERGE_DUE, {"now": now, "stale_at": stale_at}).rowcount


def _judge_what_is_not_asked(conn: psycopg.Connection, now: datetime) -> None:
    add_to_unjudged(
        conn,
        """
        select address_id from pull_due where is_judged_by_domain
        union
        select address_id from pull_changes
        where exists (select from ledger.verdicts v where v.address_id = pull_changes.address_id)
        union
        select address_id from pull_addresses
        where domain_id is null
              and not exists (select from ledger.verdicts v where v.address_id = pull_addresses.address_id)
              and not exists (select from ledger.unjudged u where u.address_id = pull_addresses.address_id)
        """,
        {},
        now,
    )
