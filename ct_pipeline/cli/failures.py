"""How a command ends when something is wrong that the user can mend."""

import contextlib
import errno
from collections.abc import Iterator

import typer
from rich.console import Console

from ct_pipeline.errors import CtPipelineError

# The machine's state, not a fault of ours: full, read-only or forbidden files, no more of them.
_MENDABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE,
}  # fmt: skip


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Our own errors, and those of the disk, are printed as text without a traceback and end the command with 1."""
    try:
        yield
    except CtPipelineError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        _fail(f"{error.strerror}{f': {error.filename}' if error.filename else ''}")


def _fail(text: str) -> None:
    Console(stderr=True, highlight=False).print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1) from None
