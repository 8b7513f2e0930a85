"""How a command ends when something is wrong that the user can mend."""

import contextlib
from collections.abc import Iterator

import typer
from rich.console import Console

from ct_pipeline.errors import CtPipelineError


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Our own errors are printed as text, without a traceback, and end the command with status 1."""
    try:
        yield
    except CtPipelineError as error:
        Console(stderr=True, highlight=False).print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
