"""A child process in a process group of its own, that can always be ended, with everything it started."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAST_WORDS_BYTES = 2000
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Child:
    """One started program. Its output goes to ``log``."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
    ) -> "Child":
        """Start ``command`` in ``folder`` with a new log file."""
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal reaches us alone, and we end the children in order.
                start_new_session=True,
                preexec_fn=_before_exec,
            )
        return cls(name, process, log)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def interrupt(self) -> None:
        """Ask the program to end, and it alone: what it started is told by itself."""
        if self.is_running():
            self.process.terminate()

    def end(self, timeout_seconds: float) -> None:
        """Wait for the end of the program, then kill whatever is left of its group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._wait_for_group()

    def last_words(self) -> str:
        """The end of the log."""
        return self.log.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace").strip()

    def _wait_for_group(self) -> None:
        # Killed grandchildren are reaped by init; the group is gone when the last one is.
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                os.killpg(self.process.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.05)


def _before_exec() -> None:
    # An ignored signal is inherited, and Dagster's processes cannot be stopped when SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _libc is not None:
        # Should we be killed, the children end too.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
