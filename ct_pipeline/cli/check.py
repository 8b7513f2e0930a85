"""``ct-pipeline check ADDRESS…``: the verdict on a few addresses, with the evidence, in words."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.cli.verify_report import COLOURS, how_long
from ct_pipeline.settings import load_settings

if TYPE_CHECKING:
    from ct_pipeline.domains.facts import DomainFacts
    from ct_pipeline.stages.check import CheckedAddress
    from ct_pipeline.verdicts.verdict import Verdict

MOST_ADDRESSES = 100
HOSTS_SHOWN = 4
LABEL_WIDTH = 12
NOT_ASKED = "not asked:"  # how the dialogue records an address that a host cannot be asked about
EXAMPLES = """Examples:

  ct-pipeline check someone@example.org

  ct-pipeline check "Ann <ann@example.org>" info@example.net
"""


def check(
    addresses: Annotated[
        list[str], typer.Argument(help=f"One or more addresses; at most {MOST_ADDRESSES}.", metavar="ADDRESS")
    ],
) -> None:
    """Verify a few addresses now and show why the verdict is what it is.

    An answer that is still fresh is shown again without asking anyone.
    """
    if len(addresses) > MOST_ADDRESSES:
        raise typer.BadParameter(
            f"{len(addresses):,} are more than {MOST_ADDRESSES}: write them to a CSV file with a column 'email' and "
            "use `ct-pipeline verify`",
            param_hint="ADDRESS",
        )
    console = Console(highlight=False)
    with told_plainly(), stopped_by_signals(lambda: console.print("Stopped.")):
        settings = load_settings()
        with running_database(settings):
            from ct_pipeline.stages.check import check_addresses

            with Console(stderr=True).status("Asking the mail hosts …"):
                results = check_addresses(settings, addresses)
            for checked in results:
                _show(checked, console)


def _show(checked: "CheckedAddress", console: Console) -> None:
    verdict = checked.verdict
    title = Text(verdict.address or repr(checked.given), style="bold")
    title.append(f"  {verdict.status.value}", style=f"bold {COLOURS[verdict.status]}")
    if verdict.reason.value != verdict.status.value:
        title.append(f" · {verdict.reason.value}", style="not bold")
    title.append(f" · safe to send: {verdict.safe_to_send.value}", style="not bold")
    console.print(title, soft_wrap=True)
    console.print(f"  {verdict.verdict_text}", markup=False, soft_wrap=True)
    evidence = Table.grid(padding=(0, 1))
    evidence.add_column(width=LABEL_WIDTH + 2)
    evidence.add_column(overflow="fold")
    for label, value in _evidence(checked):
        evidence.add_row(Text(f"  {label}", style="dim"), Text(value, style="dim"))
    console.print(evidence)
    console.print()


def _evidence(checked: "CheckedAddress") -> Iterator[tuple[str, str]]:
    verdict = checked.verdict
    if checked.given.strip() != verdict.address:
        yield "given as", repr(checked.given)
    if (written := _in_letters(verdict.address)) != verdict.address:
        yield "in letters", written
    if checked.facts is not None:
        yield from _what_dns_says(checked.facts)
    yield from _what_the_host_said(verdict)
    flags = [name for name in ("is_disposable", "is_free", "is_role") if getattr(verdict, name)]
    if flags:
        yield "flags", ", ".join(name.removeprefix("is_") for name in flags)
    if verdict.suggested_email:
        yield "meant?", verdict.suggested_email
    if checked.left_because:
        yield "not asked", checked.left_because
    elif verdict.next_check_at:
        wait = how_long(verdict.next_check_at - datetime.now(UTC))
        yield "ask again", f"in {wait}, at {verdict.next_check_at:%Y-%m-%d %H:%M:%S} UTC, by the same command"
    yield "rule", verdict.rule


def _what_dns_says(facts: "DomainFacts") -> Iterator[tuple[str, str]]:
    if facts.detail:
        yield "DNS", facts.detail
    if not facts.mx_hosts:
        return
    hosts = [mx.host for mx in facts.mx_hosts]
    more = f" and {len(hosts) - HOSTS_SHOWN} more" if len(hosts) > HOSTS_SHOWN else ""
    yield "mail hosts", ", ".join(hosts[:HOSTS_SHOWN]) + more
    yield "provider", f"{facts.provider} (lane {facts.lane})"


def _what_the_host_said(verdict: "Verdict") -> Iterator[tuple[str, str]]:
    text = (verdict.smtp_text or "").replace("\n", " / ")
    if text.startswith(NOT_ASKED):
        yield "not asked", text.removeprefix(NOT_ASKED).strip()
        return
    if verdict.smtp_code:
        enhanced = f" {verdict.smtp_enhanced}" if verdict.smtp_enhanced else ""
        yield "reply", f"{verdict.smtp_code}{enhanced} {text}"
    elif text:
        yield "no reply", text
    if verdict.smtp_text and verdict.verified_at:
        attempts = f", attempt {verdict.attempt_count:,}" if verdict.attempt_count > 1 else ""
        yield "asked", f"{verdict.verified_at:%Y-%m-%d %H:%M:%S} UTC{attempts}"


def _in_letters(address: str) -> str:
    """``address`` with its domain as people write it: xn--bcher-kiste-thb.test is bücher-kiste.test."""
    import idna

    local_part, at, domain = address.rpartition("@")
    try:
        return f"{local_part}{at}{idna.decode(domain)}" if "xn--" in domain else address
    except idna.IDNAError:
        return address
