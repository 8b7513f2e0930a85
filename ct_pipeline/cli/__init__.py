"""The command line: one file per command."""

import typer

from ct_pipeline.cli.demo import demo
from ct_pipeline.cli.dev import dev

# Each command imports what it works with when it is called, so that `--help` answers at once.
app = typer.Typer(
    name="ct-pipeline",
    help="Keeps an email list clean: verifies every address with its mail server and never sends a message.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(demo)
app.command()(dev)
