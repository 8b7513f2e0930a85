"""``ct-pipeline check ADDRESS…``: the verdict on a few addresses, with the evidence, in words."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.stages.check import CheckedAddress

COLOURS = {"valid": "green", "invalid": "red", "catch_all": "yellow", "unknown": "cyan"}


def check(
    addresses: Annotated[list[str], typer.Argument(help="One or more addresses; at most 100.", metavar="ADDRESS…")],
) -> None:
    """Verify a few addresses now and show why the verdict is what it is."""
    if len(addresses) > 100:
        raise typer.BadParameter("more than 100 addresses: write them to a CSV file and use `ct-pipeline verify`")
    console = Console(highlight=False)
    with told_plainly():
        settings = load_settings()
        with running_database(settings):
            from ct_pipeline.stages.check import check_addresses

            for checked in check_addresses(settings, addresses):
                _show(checked, console)


def _show(checked: "CheckedAddress", console: Console) -> None:
    verdict = checked.verdict
    title = Text(verdict.address or repr(checked.given), style="bold")
    title.append(f"  {verdict.status.value}", style=f"bold {COLOURS[verdict.status.value]}")
    title.append(f" · {verdict.reason.value} · safe to send: {verdict.safe_to_send.value}", style="default")
    console.print(title)
    console.print(f"  {verdict.verdict_text}", markup=False)
    for label, value in _evidence(checked):
        console.print(f"  {label:<12} {value}", style="dim", markup=False)
    console.print()


def _evidence(checked: "CheckedAddress") -> list[tuple[str, str]]:
    verdict, facts = checked.verdict, checked.facts
    lines: list[tuple[str, str]] = []
    if checked.given.strip() != verdict.address:
        lines.append(("given as", repr(checked.given)))
    if facts is not None:
        hosts = ", ".join(f"{mx.preference} {mx.host}" for mx in facts.mx_hosts[:4]) or "none to talk to"
        lines.append(("DNS", facts.detail or f"{facts.service.value}"))
        lines.append(("mail hosts", hosts))
        lines.append(("provider", f"{facts.provider or 'none'} (lane {facts.lane})"))
    if verdict.smtp_code:
        enhanced = f" {verdict.smtp_enhanced}" if verdict.smtp_enhanced else ""
        lines.append(("reply", f"{verdict.smtp_code}{enhanced} {verdict.smtp_text or ''}".replace("\n", " / ")))
    elif verdict.smtp_text:
        lines.append(("no reply", verdict.smtp_text))
    flags = [name for name in ("is_disposable", "is_free", "is_role") if getattr(verdict, name)]
    if flags:
        lines.append(("flags", ", ".join(name.removeprefix("is_") for name in flags)))
    if verdict.suggested_email:
        lines.append(("meant?", verdict.suggested_email))
    if verdict.next_check_at:
        lines.append(("asked again", f"{verdict.next_check_at:%Y-%m-%d %H:%M:%S} UTC"))
    lines.append(("rule", verdict.rule))
    return lines
