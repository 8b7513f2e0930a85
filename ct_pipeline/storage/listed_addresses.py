"""Addresses that were not asked because the operator's lists decided on them, and what becomes of them after that."""

from collections.abc import Callable
from datetime import datetime

import psycopg

from ct_pipeline.vocabulary import Reason

BATCH_ADDRESSES = 50_000


def ask_delisted(conn: psycopg.Connection, listing_of: Callable[[str], object | None], now: datetime) -> int:
    """Addresses whose verdict rests on a list that names them no longer become due; how many.

    To be called before they are judged anew: afterwards nothing tells them from those that were answered. One that has
    been asked since that verdict is left alone.
    """
    asked_count = 0
    with conn.transaction(), conn.cursor("listed_addresses") as cursor:
        cursor.execute(_LISTED, {"reasons": [Reason.ALLOW_LISTED, Reason.BLOCK_LISTED]})
        while rows := cursor.fetchmany(BATCH_ADDRESSES):
            delisted = [address_id for address_id, address in rows if listing_of(address) is None]
            if delisted:
                asked_count += conn.execute(_MAKE_DUE, {"address_ids": delisted, "now": now}).rowcount
    return asked_count


_LISTED = """
select address_id, address from ledger.verdicts join ledger.addresses using (address_id)
where reason = any(%(reasons)s) and syntax_reason is null
order by address_id
"""

_MAKE_DUE = """
update ledger.due set next_attempt_at = %(now)s, attempt_count = 0
where next_attempt_at is null and address_id in (
    select address_id
    from ledger.due join ledger.verdicts v using (address_id) left join ledger.probes p using (address_id, probe_id)
    where address_id = any(%(address_ids)s) and (asked_at is null or asked_at <= v.judged_at)
    order by address_id
    for update of due)
"""
