"""``ct-pipeline providers``: who runs a mail host, and how it is asked."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ct_pipeline.domains.providers import Provider, Providers

EXAMPLES = """Examples:

  ct-pipeline providers

  ct-pipeline providers google

  ct-pipeline providers mx00.gmx.net comcast.net
"""


def providers(
    whom: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WHOM]…", help="A provider's name, a mail host, or a free mail domain. Default: all."),
    ] = None,
) -> None:
    """Show what is known of providers: limits, probing, how far their answers are believed, and who says so."""
    from ct_pipeline.domains.providers import load_providers

    console = Console(highlight=False)
    known = load_providers()
    if not whom:
        console.print(_overview(known.rows))
        console.print(known.provenance, soft_wrap=True)
        return
    found = [(one, _find(one, known)) for one in whom]
    for one, row in found:
        if row is None:
            text = f"{one}: of nobody's row, so that its site has the settings' limits"
            console.print(text, markup=False, soft_wrap=True)
        else:
            console.print(_details(row), markup=False, soft_wrap=True)
    if not all(row for _, row in found):
        raise typer.Exit(1)


def _find(whom: str, known: "Providers") -> "Provider | None":
    whom = whom.lower()
    of_domain = next((row for row in known.rows if whom in row.free_domains), None)
    return known.named(whom) or of_domain or known.of_host(whom)


def _overview(rows: Iterable["Provider"]) -> Table:
    table = Table("provider", "", "limits", "made-up name", "probing", "250", "550", box=None, pad_edge=False)
    for row in sorted(rows, key=lambda row: row.name):
        table.add_row(
            row.name,
            row.title,
            row.limits_in_words,
            _words(row.random_probe),
            _words(row.probing),
            _words(row.accepts),
            _words(row.refuses),
        )
    return table


def _details(row: "Provider") -> str:
    lines = [
        ("mail hosts", ", ".join([f"*{suffix}" for suffix in row.mx_suffixes] + list(row.mx_hosts)), "mx"),
        ("limits", row.limits_in_words, "limits"),
        ("made-up name", _words(row.random_probe), "random_probe"),
        ("probing", _words(row.probing), "probing"),
        ("a 250", _words(row.accepts), "accepts"),
        ("a 550", _words(row.refuses), "refuses"),
        ("free domains", ", ".join(row.free_domains) or "none", "free"),
    ]
    told = [f"  {what:<13}{value}\n  {'':<13}{row.source[claim]}" for what, value, claim in lines]
    return "\n".join([f"{row.name}  {row.title}{', with a lane of its own' if row.has_lane else ''}", *told])


def _words(value: str) -> str:
    return value.replace("_", " ")
