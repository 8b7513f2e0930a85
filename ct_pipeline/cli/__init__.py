"""The command line: one file per command."""

import typer

from ct_pipeline.cli.check import check
from ct_pipeline.cli.db import db
from ct_pipeline.cli.demo import demo
from ct_pipeline.cli.dev import dev
from ct_pipeline.cli.doctor import doctor
from ct_pipeline.cli.sandbox import sandbox
from ct_pipeline.cli.verify import verify

# Each command imports what it works with when it is called, so that `--help` answers at once.
app = typer.Typer(
    name="ct-pipeline",
    help="Keeps an email list clean: verifies every address with its mail server and never sends a message.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(demo)
app.command()(check)
app.command()(verify)
app.command()(dev)
app.command()(doctor)
app.command()(sandbox)
app.add_typer(db, name="db")
