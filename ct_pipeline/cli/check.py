"""``ct-pipeline check ADDRESS…``: the verdict on a few addresses, and why it is what it is."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ct_pipeline.cli.failures import told_plainly
from ct_pipeline.cli.interruption import stopped_by_signals
from ct_pipeline.cli.running_database import running_database
from ct_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from ct_pipeline.stages.explanation import Explanation

MOST_ADDRESSES = 100
EXIT_NOT_IN_LEDGER = 3
EXAMPLES = """Examples:

  ct-pipeline check someone@example.org

  ct-pipeline check "Ann <ann@example.org>" info@example.net

  ct-pipeline check --again someone@example.org        # although the answer is fresh, or it was put off

  ct-pipeline check --no-ask --json someone@example.org | jq .deciding
"""


def check(
    addresses: Annotated[
        list[str], typer.Argument(help=f"One or more addresses; at most {MOST_ADDRESSES}.", metavar="ADDRESS")
    ],
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Ask once now, also what was put off or has a fresh answer. Breakers and providers come first.",
        ),
    ] = False,
    no_ask: Annotated[
        bool, typer.Option("--no-ask", "--offline", help="Explain what is on record; ask neither DNS nor mail hosts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each address, in order.")] = False,
) -> None:
    """Verify a few addresses now and show why the verdict is what it is.

    An answer that is still fresh is shown again without asking anyone. Exit code 3: with --no-ask, an address is not in
    the ledger.
    """
    if len(addresses) > MOST_ADDRESSES:
        raise typer.BadParameter(
            f"{len(addresses):,} are more than {MOST_ADDRESSES}: write them to a CSV file with a column 'email' and "
            "use `ct-pipeline verify`",
            param_hint="ADDRESS",
        )
    if again and no_ask:
        raise typer.BadParameter("excludes --no-ask: one asks, the other does not", param_hint="--again")
    console = Console(highlight=False)
    with told_plainly(), stopped_by_signals(lambda: typer.echo("Stopped.", err=as_json)):
        settings = load_settings()
        with running_database(settings):
            explanations = _explanations(settings, addresses, again=again, no_ask=no_ask)
    _show(explanations, console, as_json=as_json)
    if any(one.verdict is None for one in explanations):
        raise typer.Exit(EXIT_NOT_IN_LEDGER)


def _explanations(settings: Settings, addresses: list[str], *, again: bool, no_ask: bool) -> "list[Explanation]":
    from ct_pipeline.stages.check import check_addresses, explain_recorded

    if no_ask:
        return explain_recorded(settings, addresses)
    with Console(stderr=True).status("Asking the mail hosts …"):
        return check_addresses(settings, addresses, again=again)


def _show(explanations: "list[Explanation]", console: Console, *, as_json: bool) -> None:
    from ct_pipeline.cli.explanation import show_explanation
    from ct_pipeline.cli.explanation_json import as_object

    for one in explanations:
        if as_json:
            typer.echo(json.dumps(as_object(one), ensure_ascii=False))
        else:
            show_explanation(one, console)
