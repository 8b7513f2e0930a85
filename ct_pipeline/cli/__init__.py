"""The command line: one file per command."""

from typing import Annotated

import typer

from ct_pipeline.cli.approve import EXAMPLES as APPROVE_EXAMPLES
from ct_pipeline.cli.approve import approve
from ct_pipeline.cli.check import EXAMPLES as CHECK_EXAMPLES
from ct_pipeline.cli.check import check
from ct_pipeline.cli.db import db
from ct_pipeline.cli.demo import demo
from ct_pipeline.cli.dev import dev
from ct_pipeline.cli.doctor import doctor
from ct_pipeline.cli.plan import EXAMPLES as PLAN_EXAMPLES
from ct_pipeline.cli.plan import plan
from ct_pipeline.cli.providers import EXAMPLES as PROVIDERS_EXAMPLES
from ct_pipeline.cli.providers import providers
from ct_pipeline.cli.pull import EXAMPLES as PULL_EXAMPLES
from ct_pipeline.cli.pull import pull
from ct_pipeline.cli.push import EXAMPLES as PUSH_EXAMPLES
from ct_pipeline.cli.push import push
from ct_pipeline.cli.replies import replies
from ct_pipeline.cli.rules import rules
from ct_pipeline.cli.sandbox import EXAMPLES as SANDBOX_EXAMPLES
from ct_pipeline.cli.sandbox import sandbox
from ct_pipeline.cli.status import status
from ct_pipeline.cli.undo import EXAMPLES as UNDO_EXAMPLES
from ct_pipeline.cli.undo import undo
from ct_pipeline.cli.verify import EXAMPLES as VERIFY_EXAMPLES
from ct_pipeline.cli.verify import verify

# Each command imports what it works with when it is called, so that `--help` answers at once.
app = typer.Typer(
    name="ct-pipeline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    epilog="Settings are CT_ variables of the environment; README.md has the table. Begin with `ct-pipeline demo`.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ct-pipeline {version('ct-pipeline')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Keeps an email list clean: verifies every address with its mail server and never sends a message."""


app.command()(demo)
app.command(epilog=CHECK_EXAMPLES)(check)
app.command(epilog=PULL_EXAMPLES)(pull)
app.command(epilog=VERIFY_EXAMPLES)(verify)
app.command(epilog=PLAN_EXAMPLES)(plan)
app.command(epilog=APPROVE_EXAMPLES)(approve)
app.command(epilog=PUSH_EXAMPLES)(push)
app.command(epilog=UNDO_EXAMPLES)(undo)
app.command()(status)
app.command()(rules)
app.command()(dev)
app.command()(doctor)
app.command(epilog=PROVIDERS_EXAMPLES)(providers)
app.command(epilog=SANDBOX_EXAMPLES)(sandbox)
app.add_typer(db, name="db")
app.add_typer(replies, name="replies")
