"""What a materialization tells people: counts and tables, never an address."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

_ADDRESS = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
Facts = Mapping[str, int | float | str | bool | dg.MetadataValue]


def count_table(what: str, counts: Mapping[Any, int]) -> dg.MetadataValue:
    """``counts`` as a table, the largest first; ``what`` heads its first column."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return table({what: "string", "count": "int"}, [(without_addresses(str(name)), count) for name, count in ordered])


def table(columns: Mapping[str, str], rows: Sequence[Sequence[int | float | str | bool]]) -> dg.MetadataValue:
    """``rows`` under ``columns``, which map a heading to its type: string, int, float, bool."""
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )


def lines(texts: Sequence[str]) -> str:
    """Several remarks as one value; a dash where there is nothing to remark."""
    return "; ".join(without_addresses(text.rstrip(".;")) for text in texts if text) or "-"


def without_addresses(text: str) -> str:
    """``text``, which may quote what somebody else wrote, without what could be an address: events are kept for good.

    >>> without_addresses("no profile eve@acme.test")
    'no profile •••'
    """
    return _ADDRESS.sub("•••", text)


def file_link(path: Path) -> dg.MetadataValue:
    return dg.MetadataValue.path(str(path))
