"""What a materialization tells people: counts and tables, never an address."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

Facts = Mapping[str, int | float | str | bool | dg.MetadataValue]


def count_table(what: str, counts: Mapping[Any, int]) -> dg.MetadataValue:
    """``counts`` as a table, the largest first; ``what`` heads its first column."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    columns = [dg.TableColumn(what, "string"), dg.TableColumn("count", "int")]
    return dg.MetadataValue.table(
        [dg.TableRecord({what: str(name), "count": count}) for name, count in ordered],
        schema=dg.TableSchema(columns=columns),
    )


def file_link(path: Path) -> dg.MetadataValue:
    return dg.MetadataValue.path(str(path))
