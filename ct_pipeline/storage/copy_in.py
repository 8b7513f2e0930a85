"""Rows into a stage table by COPY, from which one statement merges them.

The only way bulk data enters the ledger: several times faster than single inserts, even pipelined ones
(``ct_pipeline_tests/benchmarks/ledger_writes.py`` measures it).
"""

import io
from collections.abc import Iterable, Sequence

import polars as pl
import psycopg
from psycopg import sql

# COPY's text format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"
_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": "\ufffd"}


def make_stage(connection: psycopg.Connection, name: str, columns: str) -> None:
    """A temporary table that lives until the transaction ends."""
    connection.execute(
        sql.SQL("create temporary table {} ({}) on commit drop").format(
            sql.Identifier(name),
            sql.SQL(columns),  # pyright: ignore[reportArgumentType]
        )
    )


def drop_stages(connection: psycopg.Connection, names: Iterable[str]) -> None:
    """At the end of the work: within a caller's transaction the same work may be done again."""
    connection.execute(sql.SQL("drop table {}").format(sql.SQL(", ").join(map(sql.Identifier, names))))


def copy_frame(connection: psycopg.Connection, table: str, frame: pl.DataFrame) -> None:
    """All rows of ``frame`` into ``table``, by column name. Postgres' text cannot hold NUL: it becomes U+FFFD."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    escaped = frame.with_columns(_escape(pl.col(name)) for name in texts)
    buffer = io.BytesIO()
    escaped.write_csv(buffer, include_header=False, separator="\t", quote_style="never", null_value=r"\N")
    with connection.cursor() as cursor, cursor.copy(_copy_statement(table, frame.columns)) as copy:
        copy.write(buffer.getbuffer())


def copy_rows(
    connection: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """All ``rows`` into ``table``, such as ``stage`` or ``ledger.changes``; texts from remote hosts have to be passed
    through :func:`storable`."""
    with connection.cursor() as cursor, cursor.copy(_copy_statement(table, columns)) as copy:
        for row in rows:
            copy.write_row(row)


def analyze(connection: psycopg.Connection, table: str, columns: Sequence[str] = ()) -> None:
    """Tell the planner how much is in a stage table: it knows nothing of temporary tables by itself.

    Of a wide table, name the ``columns`` that statements join and filter by: the others cost more than they tell.
    """
    only = sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
    connection.execute(sql.SQL("analyze {}{}").format(sql.Identifier(table), only))


def storable(text: str | None) -> str | None:
    """``text`` as Postgres can hold it: without NUL and lone surrogates, each of which would end the whole COPY."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _escape(column: pl.Expr) -> pl.Expr:
    for raw, escaped in _ESCAPES.items():
        column = column.str.replace_all(raw, escaped, literal=True)
    return column


def _copy_statement(table: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(*table.split(".")), names)
