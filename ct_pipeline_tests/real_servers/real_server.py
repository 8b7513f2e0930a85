"""One real mail server under test: what the tests know of it, and how its process is started and ended.

The programs come from ``.ci/install_servers``. A missing one fails the test that asks for it: a suite that skips its
real servers proves nothing.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTALL = ".ci/install_servers"
UNPACKED_FOLDER = Path(os.environ.get("CT_TEST_SERVERS", "/var/lib/ct_pipeline_servers"))
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 2  # nothing that they keep is needed
GREETINGS = (b"220 ", b"450 ", b"554 ")  # what a server's first bytes may be: a welcome, or none for us
PORTS = range(20_000, 32_000)  # unprivileged, and below the ports Linux gives to outgoing connections

LIVE_USERS = ("postmaster", "anna.meyer", "b.okafor", "info", "li", "o.hara", "sales", "zoe_1990")
DEAD_USERS = ("anna.meier", "former.employee", "nobody-here", "q", "sales2", "x.y.z", "zoe_1991")


@dataclass(frozen=True)
class RealServer:
    """A mail server that has greeted. ``live_users`` and ``dead_users`` are local parts at ``domain``."""

    name: str
    address: str
    port: int
    domain: str
    live_users: tuple[str, ...]
    dead_users: tuple[str, ...]
    log_path: Path

    @property
    def host(self) -> str:
        """The name that the domain's MX record gives."""
        return f"mx.{self.domain}"

    @property
    def live_addresses(self) -> list[str]:
        return [f"{user}@{self.domain}" for user in self.live_users]

    @property
    def dead_addresses(self) -> list[str]:
        return [f"{user}@{self.domain}" for user in self.dead_users]

    def log(self) -> str:
        """What the server itself has logged so far."""
        return self.log_path.read_text(errors="replace")


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    *,
    output: Path,
    endpoint: tuple[str, int],
    greeting: tuple[bytes, ...] = GREETINGS,
    environment: Mapping[str, str] | None = None,
    pid_file: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of ``command`` from its greeting at ``endpoint`` until the block ends.

    ``greeting`` is what the server's first bytes may start with; empty when a connection is enough. ``pid_file`` names
    the process to end when it is not the one started.
    """
    with output.open("ab") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        _wait_for_greeting(process, endpoint, greeting, output)
        yield process
    finally:
        _end(process, pid_file)


def program(name: str, *folders: str | Path) -> Path:
    """The path of an installed program; fails the test when there is none."""
    found = shutil.which(name, path=os.pathsep.join(str(folder) for folder in (*folders, "/usr/sbin", "/usr/bin")))
    if found is None:
        pytest.fail(f"{name} is not installed: run {INSTALL} as root")
    return Path(found)


def require_root() -> None:
    """Mail servers start as root and drop their rights themselves."""
    if os.geteuid() != 0:
        pytest.fail("the real mail servers can only be started by root: run these tests as root, in a container say")


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """A temporary folder that the servers' own accounts may enter, which pytest's are not when root runs it."""
    with tempfile.TemporaryDirectory(prefix="ct_real_servers_") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def free_port() -> int:
    """A port that nothing listens on, at any address of this machine."""
    for port in random.sample(PORTS, 100):
        if all(_is_free(kind, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise AssertionError("no free port among a hundred")


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("0.0.0.0", port))  # every address at once
        except OSError:
            return False
        return True


def _wait_for_greeting(
    process: subprocess.Popen[bytes], endpoint: tuple[str, int], greeting: tuple[bytes, ...], output: Path
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(endpoint, timeout=5) as connection:
            if not greeting:
                return
            if connection.recv(1024).startswith(greeting):
                connection.sendall(b"QUIT\r\n")
                return
        time.sleep(0.05)
    state = "still runs" if process.poll() is None else f"ended with code {process.returncode}"
    text = output.read_text(errors="replace")[-3000:]
    pytest.fail(f"{process.args} did not greet at {endpoint} and {state}:\n{text}")


def _end(process: subprocess.Popen[bytes], pid_file: Path | None) -> None:
    leader = int(pid_file.read_text()) if pid_file is not None and pid_file.exists() else process.pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        # Postfix's master has ended its own log daemon and waits for it to take a line, for example.
        for pid in {leader, process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # both lead a group of their own: nothing else is in it
        process.wait(START_TIMEOUT_SECONDS)
