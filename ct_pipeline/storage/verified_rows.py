"""A pull's rows with their verdicts, for list files."""

from collections.abc import Iterator

import polars as pl
import psycopg


def verified_rows(conn: psycopg.Connection, pull_id: int, batch_rows: int = 50_000) -> Iterator[pl.DataFrame]:
    """Every row of a pull with its verdict, ordered by row_number, in frames of at most ``batch_rows``.

    Columns: row_number, then the fields of ``Verdict`` (address first). An address without
    a verdict is unknown / not_asked_yet. All frames come from one snapshot; the connection is in a transaction, and
    not to be used from another thread, until the iterator is exhausted or closed.
    """
    with conn.transaction():
        # a cursor's plan is made for the first rows; this one is read to its end
        conn.execute("set local cursor_tuple_fraction = 1")
        with conn.cursor(f"verified_rows_{pull_id}") as cursor:
            cursor.execute(_VERIFIED_ROWS, {"pull_id": pull_id})
            while rows := cursor.fetchmany(batch_rows):
                yield pl.DataFrame(rows, schema=VERIFIED_ROWS_SCHEMA, orient="row")


VERIFIED_ROWS_SCHEMA = pl.Schema({
    "row_number": pl.Int64, "address": pl.String, "address_id": pl.Int64, "status": pl.String, "reason": pl.String,
    "clearout_code": pl.Int64, "safe_to_send": pl.String, "bounce_type": pl.String, "score": pl.Int64,
    "score_basis": pl.String, "verdict_text": pl.String, "is_disposable": pl.Boolean, "is_free": pl.Boolean,
    "is_role": pl.Boolean, "is_gibberish": pl.Boolean, "suggested_email": pl.String, "canonical_email": pl.String,
    "provider": pl.String, "mx_record": pl.String, "is_catch_all_domain": pl.Boolean, "smtp_code": pl.Int64,
    "smtp_enhanced": pl.String, "smtp_text": pl.String, "elapsed_ms": pl.Int64, "attempt_count": pl.Int64,
    "verified_at": pl.Datetime("us", "UTC"), "next_check_at": pl.Datetime("us", "UTC"), "rule": pl.String,
    "rules_version": pl.String, "judged_at": pl.Datetime("us", "UTC"),
})  # fmt: skip

_VERIFIED_ROWS = """
select row_number, address, address_id, coalesce(status, 'unknown'), coalesce(reason, 'not_asked_yet'),
       clearout_code, coalesce(safe_to_send, 'unknown'), coalesce(bounce_type, 'none'), score,
       coalesce(score_basis, ''), coalesce(verdict_text, 'Not asked yet.'),
       coalesce(v.is_disposable, d.is_disposable, false), coalesce(v.is_free, d.is_free, false),
       coalesce(v.is_role, a.is_role), coalesce(is_gibberish, false),
       coalesce(v.suggested_email, a.suggested_email), canonical_email, coalesce(v.provider, d.provider, ''),
       coalesce(v.mx_record, d.mx_record), is_catch_all_domain, smtp_code, smtp_enhanced, smtp_text, elapsed_ms,
       coalesce(v.attempt_count, due.attempt_count, 0), verified_at, coalesce(next_check_at, next_attempt_at),
       coalesce(rule, ''), coalesce(rules_version, ''), judged_at
from ledger.holders
join ledger.addresses a using (address_id)
left join ledger.domains d using (domain_id)
left join ledger.due using (address_id)
left join ledger.verdicts v using (address_id)
where pull_id = %(pull_id)s
order by row_number
"""
