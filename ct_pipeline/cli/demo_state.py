"""State folders whose mail hosts are the sandbox's: the demo makes one, and `dev` opens it with the sandbox."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ct_pipeline.errors import PermanentError
from ct_pipeline.sandbox.process import SandboxProcess

MARKER = "sandbox_state.json"
ACCOUNT = "sandbox_account.json"
COMMAND_LOG = "mail_host_commands.jsonl"
SHARE_LIMIT = "0.05"  # lower than the default, so that the brake is seen at work


def is_demo_state(state_dir: Path) -> bool:
    """Whether the addresses in this state folder live in the sandbox."""
    return (state_dir / MARKER).exists()


def clear_demo_state(state_dir: Path, profile_count: int) -> None:
    """Make ``state_dir`` an empty state folder of a demo with so many profiles.

    Raises:
        PermanentError: it holds something that no demo has written.
    """
    if state_dir.exists() and any(state_dir.iterdir()) and not is_demo_state(state_dir):
        raise PermanentError(f"{state_dir} is not empty and no demo has made it. Choose another --state-dir.")
    if state_dir.exists():
        shutil.rmtree(state_dir)
    state_dir.mkdir(parents=True)
    note = "the mail hosts of these addresses and their CleverTap project are in the sandbox, not in the internet"
    (state_dir / MARKER).write_text(json.dumps({"note": note, "profile_count": profile_count}) + "\n")


@contextlib.contextmanager
def sandbox_for(state_dir: Path) -> Iterator[SandboxProcess]:
    """The sandbox as a process, and this process's environment pointing at it alone.

    Its CleverTap project is as it was left the last time: what was unsubscribed stays so.

    Settings for the real world are left out: their name servers and their database have nothing to do with the sandbox.
    """
    profile_count = json.loads((state_dir / MARKER).read_text())["profile_count"]
    with SandboxProcess(
        log_path=state_dir / COMMAND_LOG, profile_count=profile_count, account_path=state_dir / ACCOUNT
    ) as sandbox:
        before = dict(os.environ)
        for name in [name for name in os.environ if name.startswith("CT_")]:
            del os.environ[name]
        os.environ.update(sandbox.environment)
        os.environ["CT_STATE_DIR"] = str(state_dir)
        os.environ["CT_UNSUBSCRIBE_SHARE_LIMIT"] = SHARE_LIMIT
        try:
            yield sandbox
        finally:
            os.environ.clear()
            os.environ.update(before)
