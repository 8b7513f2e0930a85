"""``ct-pipeline dev`` is stopped while it verifies: nothing is lost and no process is left."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from ct_pipeline.cli.running_database import running_database
from ct_pipeline.orchestration.instance import dagster_instance
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import Mailbox, MailDomain, MailHost
from ct_pipeline.settings import load_settings
from ct_pipeline.storage.embedded_postgres import embedded_is_running

FILE = "people.csv"
WITHIN_SECONDS = 180
HOSTS = [MailHost("mx.silent.test", behaviour="silent")]
DOMAINS = [MailDomain("silent.test", mail_hosts=("mx.silent.test",))]
PEOPLE = [Mailbox("anna@acme.test"), Mailbox("slow@silent.test")]


def test_stopping_in_the_middle_of_a_run_leaves_nothing_behind(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(population=PEOPLE, hosts=HOSTS, domains=DOMAINS, smtp_port=0, dns_port=0).run_in_thread() as sandbox:
        # One host does not greet, and we wait for it longer than this test lasts.
        environment = sandbox.environment | {
            "CT_STATE_DIR": str(state_folder),
            "CT_GREETING_TIMEOUT_SECONDS": "600",
            "CT_REPLY_TIMEOUT_SECONDS": "600",
            "CT_CONNECT_TIMEOUT_SECONDS": "300",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("CT_DATABASE_URL", raising=False)
        settings = load_settings()
        settings.inbox_dir.mkdir()
        (settings.inbox_dir / FILE).write_text("email\n" + "".join(f"{mailbox.address}\n" for mailbox in PEOPLE))
        with running_database(settings), dagster_instance(settings) as instance:
            JobRuns(instance).intake(FILE)

        port = _free_port()
        command = [sys.executable, "-m", "ct_pipeline", "dev", "--port", str(port)]
        # As a background job of a shell script: interrupts are ignored, and children would inherit that.
        server = subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        try:
            _wait_for(lambda: _answers(port))
            _wait_for(lambda: sandbox.command_count("RCPT") > 0)
            server.send_signal(signal.SIGINT)
            assert server.wait(WITHIN_SECONDS) == 0
        finally:
            server.kill()
            server.wait()
        assert _processes_of(state_folder) == []
        assert not embedded_is_running(settings)

        with running_database(settings), dagster_instance(settings) as instance:
            statuses = {run.status for run in instance.get_runs(filters=dg.RunsFilter(job_name="verify"))}
            assert statuses == {dg.DagsterRunStatus.CANCELED}


def _wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _processes_of(state_folder: Path) -> list[str]:
    """Command lines of every other process that was started for this state folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        is_ours = str(state_folder) in command or f"CT_STATE_DIR={state_folder}\0".encode() in environment
        if is_ours and int(process.name) != os.getpid():
            found.append(command)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
