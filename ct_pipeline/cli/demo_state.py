"""State folders whose mail hosts are the sandbox's: the demo makes one, and `dev` opens it with the sandbox."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ct_pipeline.errors import PermanentError
from ct_pipeline.sandbox.process import SandboxProcess

MARKER = "sandbox_state"
COMMAND_LOG = "mail_host_commands.jsonl"


def is_demo_state(state_dir: Path) -> bool:
    """Whether the addresses in this state folder live in the sandbox."""
    return (state_dir / MARKER).exists()


def clear_demo_state(state_dir: Path) -> None:
    """Make ``state_dir`` an empty state folder of the demo.

    Raises:
        PermanentError: it holds something that no demo has written.
    """
    if state_dir.exists() and any(state_dir.iterdir()) and not is_demo_state(state_dir):
        raise PermanentError(f"{state_dir} is not empty and no demo has made it. Choose another --state-dir.")
    if state_dir.exists():
        shutil.rmtree(state_dir)
    state_dir.mkdir(parents=True)
    (state_dir / MARKER).write_text("The mail hosts of these addresses are in the sandbox, not in the internet.\n")


@contextlib.contextmanager
def sandbox_for(state_dir: Path) -> Iterator[SandboxProcess]:
    """The sandbox as a process, and this process's environment pointing at it alone.

    Settings for the real world are left out: their name servers and their database have nothing to do with the sandbox.
    """
    with SandboxProcess(log_path=state_dir / COMMAND_LOG) as sandbox:
        before = dict(os.environ)
        for name in [name for name in os.environ if name.startswith("CT_")]:
            del os.environ[name]
        os.environ.update(sandbox.environment)
        os.environ["CT_STATE_DIR"] = str(state_dir)
        try:
            yield sandbox
        finally:
            os.environ.clear()
            os.environ.update(before)
