"""The rows of ``providers.toml`` as tables of Markdown, for ``docs/reference/providers.md``."""

from collections import defaultdict
from collections.abc import Iterable

from ct_pipeline.domains.provider import FreeList, Provider
from ct_pipeline.domains.providers import Providers


def as_markdown(providers: Providers) -> str:
    """All rows by name, then the further lists of free domains."""
    rows = sorted(providers.rows, key=lambda row: row.name)
    return "\n".join(
        [
            "| provider | mail hosts | limits | random probe | probing | a 250 | a 550 | sources |",
            "|---|---|---|---|---|---|---|---|",
            *(_line(_cells(row)) for row in rows),
            "",
            "| further free domains | source |",
            "|---|---|",
            *(_line(_free_cells(free)) for free in providers.free_lists),
            "",
        ]
    )


def _cells(row: Provider) -> list[str]:
    return [
        f"`{row.name}` {row.title}" + (", own lane" if row.has_lane else ""),
        _code([f"*{suffix}" for suffix in row.mx_suffixes] + list(row.mx_hosts)),
        row.limits_in_words,
        row.random_probe.replace("_", " "),
        row.probing,
        row.accepts.replace("_", " "),
        row.refuses.replace("_", " "),
        _sources(row),
    ]


def _free_cells(free: FreeList) -> list[str]:
    return [_code(free.domains), str(free.source)]


def _sources(row: Provider) -> str:
    """Claims of one source together; those of none last, and not by name."""
    claims = defaultdict(list)
    for claim, source in row.source.items():
        claims[source].append("others" if source.is_none else claim)
    in_order = sorted(claims.items(), key=lambda item: item[0].is_none)
    return "; ".join(f"**{', '.join(dict.fromkeys(together))}**: {source}" for source, together in in_order)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
