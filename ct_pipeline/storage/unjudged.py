"""Addresses with evidence that no verdict rests on yet: how they are put on the list.

Every function here runs inside the transaction that brings the evidence, so that neither is kept without the other.
"""

from datetime import datetime

import psycopg

# Whoever changes a domain's facts, and whoever makes new addresses of a domain due, must see each other's work. Pulls
# take the lock together (shared), domain facts alone. Held to the end of the transaction, which is short.
DOMAINS_LOCK = 0x6374_646F_6D61  # "ctdoma"


def add_to_unjudged(conn: psycopg.Connection, address_ids: str, parameters: dict[str, object], now: datetime) -> None:
    """Put the addresses that the query ``address_ids`` yields (column ``address_id``, each once) on the list.

    The revision is drawn anew when the row exists, after its lock is held: a judge that read the address before clears
    nothing. Rows are taken in the order of their key, so that two writers never wait for each other in a circle.
    """
    conn.execute(
        f"""
        insert into ledger.unjudged (address_id, since_at)
        select address_id, %(unjudged_since)s from ({address_ids}) as found order by address_id
        on conflict (address_id) do update set revision = nextval('ledger.evidence_revision')
        """,  # pyright: ignore[reportArgumentType]  # noqa: S608 - a query of a neighbouring file
        {**parameters, "unjudged_since": now},
    )
