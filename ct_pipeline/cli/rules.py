"""``ct-pipeline rules``: what judges today, and what came out differently when the rules last changed."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.stages.rules_in_force import RulesInForce
    from ct_pipeline.storage.rules_history import Rejudgement, VerdictChange

CHANGES_SHOWN = 40


def rules() -> None:
    """Show the version of the rules, its parts, and which verdicts the last change of rules has changed.

    The samples are addresses of your list. Asks nobody but the database.
    """
    console = Console(highlight=False)
    with told_plainly():
        settings = load_settings()
        with running_database(settings, lambda text: typer.echo(text, err=True)):
            from ct_pipeline.stages.rules_in_force import rules_in_force
            from ct_pipeline.storage.ledger import open_ledger
            from ct_pipeline.storage.rules_history import last_rejudgement

            with open_ledger(settings) as conn:
                latest = last_rejudgement(conn)
            _show_rules(rules_in_force(settings), console)
            console.print()
            _show_rejudgement(latest, console)


def _show_rules(in_force: "RulesInForce", console: Console) -> None:
    console.print(Text(f"Rules {in_force.version}", style="bold"))
    parts = Table.grid(padding=(0, 2))
    for name, version in in_force.parts.items():
        parts.add_row(Text(f"  {name}"), Text(version, style="dim"))
    console.print(parts)


def _show_rejudgement(latest: "Rejudgement | None", console: Console) -> None:
    if latest is None:
        console.print("No verdict has been judged anew by other rules yet.")
        return
    ended = f"{latest.ended_at:%Y-%m-%d %H:%M} UTC" if latest.ended_at else "not finished: run `ct-pipeline verify`"
    console.print(Text(f"Last change, to rules {latest.rules_version}", style="bold"))
    console.print(f"  begun {latest.began_at:%Y-%m-%d %H:%M} UTC, ended {ended}", markup=False)
    for name, (before, now) in latest.changed_parts.items():
        console.print(f"  {name}: {before or 'none'} → {now or 'none'}", markup=False)
    console.print(f"  {latest.judged_count:,} verdicts judged anew, {latest.changed_count:,} came out differently")
    if not latest.changes:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("addresses", justify="right")
    for heading in ("before", "now", "such as"):
        table.add_column(heading, overflow="fold")
    for change in latest.changes[:CHANGES_SHOWN]:
        table.add_row(f"{change.address_count:,}", *_before_and_now(change), Text(", ".join(change.samples)))
    console.print(table)
    if len(latest.changes) > CHANGES_SHOWN:
        console.print(f"  and {len(latest.changes) - CHANGES_SHOWN} kinds of change more")


def _before_and_now(change: "VerdictChange") -> tuple[Text, Text]:
    """Status and reason; with safe to send where that is all that changed."""
    before, now = f"{change.old_status} · {change.old_reason}", f"{change.status} · {change.reason}"
    if before == now:
        before, now = f"{before} · {change.old_safe_to_send}", f"{now} · {change.safe_to_send}"
    return Text(before), Text(now)
