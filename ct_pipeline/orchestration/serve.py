"""The server: UI, daemon and code server as child processes that start and stop together.

The code server is ours rather than one each for UI and daemon (as a plain workspace file would have it): one copy in
memory, and its runs can be cancelled before it stops, so that every probe is written and every session says QUIT.
"""

import contextlib
import fcntl
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg

from ct_pipeline.atomic_files import private_folder
from ct_pipeline.errors import PermanentError, TransientError
from ct_pipeline.orchestration.instance import (
    CODE_MODULE,
    LOCATION_NAME,
    SOURCE_DIR,
    dagster_environment,
    dagster_instance,
    write_dagster_home,
)
from ct_pipeline.orchestration.processes import Child
from ct_pipeline.settings import Settings

START_TIMEOUT_SECONDS = 180  # a cold start takes 15 to 40 s on two slow cores
CANCEL_TIMEOUT_SECONDS = 60  # longest wait for runs to write what they have and hang up
STOP_TIMEOUT_SECONDS = 20
CODE_SERVER = "code_server"
LONGEST_SOCKET_PATH = 100  # Linux allows 107 bytes


@contextlib.contextmanager
def serve(settings: Settings, host: str, port: int) -> Iterator["Server"]:
    """UI and daemon, running and answering; leaving the block stops every process, also runs.

    Raises:
        PermanentError: the port is taken, or another server works on this state folder.
        TransientError: a process ended, or the UI did not answer in time.
    """
    write_dagster_home(settings)
    _refuse_taken_port(host, port)
    with only_server(settings), dagster_instance(settings) as instance:
        server = Server(settings, instance, host, port)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Nothing else serves this state folder inside the block.

    Raises:
        PermanentError: something does.
    """
    private_folder(settings.dagster_home)
    with (settings.dagster_home / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermanentError(
                f"Another server already works on {settings.state_dir}. Stop it, or choose another state folder."
            ) from None
        yield


class Server:
    """The three processes. Use :func:`serve`."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, host: str, port: int) -> None:
        self.url = f"http://{_url_host(_reachable(host))}:{port}"
        self._settings = settings
        self._instance = instance
        self._host = host
        self._port = port
        self._children: list[Child] = []
        self._socket_dir: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        home = self._settings.dagster_home
        environment = os.environ | dagster_environment(self._settings)
        code_socket = self._code_socket()
        workspace = home / "served_workspace.yaml"
        workspace.write_text(
            f"load_from:\n  - grpc_server:\n      socket: {code_socket}\n      location_name: {LOCATION_NAME}\n"
        )
        logs = home / "logs"
        logs.mkdir(exist_ok=True)

        def start(name: str, *arguments: str) -> Child:
            child = Child.start(name, [sys.executable, "-m", *arguments], environment, home, logs / f"{name}.log")
            self._children.append(child)
            return child

        start(
            CODE_SERVER,
            *("dagster", "api", "grpc", "--socket", str(code_socket), "--location-name", LOCATION_NAME),
            *("--module-name", CODE_MODULE, "--working-directory", str(SOURCE_DIR)),
            "--use-python-environment-entry-point",
        )
        # A UI that starts before the code server answers would show the location as broken.
        self._wait_until(code_socket.exists)
        start(
            "webserver",
            *("dagster_webserver", "--workspace", str(workspace), "--host", self._host, "--port", str(self._port)),
        )
        start("daemon", "dagster._daemon", "run", "--workspace", str(workspace))
        self._wait_until(self._answers)

    def wait(self, seconds: float) -> None:
        """Sleep at most ``seconds``.

        Raises:
            TransientError: one of the processes has ended.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._check_children()
            time.sleep(min(left, 0.5))

    def stop(self) -> None:
        """Stop launching and showing, then the runs, then the code server; returns when no process is left."""
        with _interrupts_ignored():
            code_server = next((child for child in self._children if child.name == CODE_SERVER), None)
            others = [child for child in self._children if child.name != CODE_SERVER]
            for child in others:
                child.interrupt()
            for child in others:
                child.end(STOP_TIMEOUT_SECONDS)
            if code_server:
                if code_server.is_running():
                    self._cancel_runs()
                code_server.interrupt()
                code_server.end(STOP_TIMEOUT_SECONDS)
            self._children.clear()
            if self._socket_dir:
                self._socket_dir.cleanup()

    def _cancel_runs(self) -> None:
        active = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
        deadline = time.monotonic() + CANCEL_TIMEOUT_SECONDS
        asked: set[str] = set()
        while time.monotonic() < deadline:
            runs = self._instance.get_runs(filters=dg.RunsFilter(statuses=active))
            if not runs:
                return
            for run in runs:
                if run.run_id not in asked:
                    asked.add(run.run_id)
                    self._instance.run_launcher.terminate(run.run_id)
            time.sleep(0.2)

    def _code_socket(self) -> Path:
        # The same path at every start: Dagster counts it to the identity of the code location.
        path = self._settings.dagster_home / "code_server.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            self._socket_dir = tempfile.TemporaryDirectory(prefix="ct_pipeline_")
            path = Path(self._socket_dir.name) / path.name
        path.unlink(missing_ok=True)
        return path

    def _wait_until(self, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not is_ready():
            self._check_children()
            if time.monotonic() > deadline:
                logs = self._settings.dagster_home / "logs"
                raise TransientError(f"The UI did not answer within {START_TIMEOUT_SECONDS} s. See the logs in {logs}.")
            time.sleep(0.2)

    def _check_children(self) -> None:
        for child in self._children:
            if not child.is_running():
                raise TransientError(f"The {child.name} has ended. Its last words:\n{child.last_words()}")

    def _answers(self) -> bool:
        address = f"http://{_url_host(_reachable(self._host))}:{self._port}/server_info"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _reachable(host: str) -> str:
    """An address that reaches a server bound to ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _refuse_taken_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise PermanentError(
            f"The UI cannot listen on {host} port {port}: {error.strerror}. Choose another --port."
        ) from error


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
