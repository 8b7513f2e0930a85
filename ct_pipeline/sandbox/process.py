"""The sandbox as a process of its own, so that it does not share a processor's time slice with what it tests."""

import json
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.clevertap.remote import RemoteClevertap
from ct_pipeline.sandbox.command_log import read_command_log
from ct_pipeline.sandbox.internet import DNS_ADDRESS, GREYLIST_SECONDS

READY_WITHIN_SECONDS = 60
ENDS_WITHIN_SECONDS = 10


class SandboxProcess:
    """Starts ``python -m ct_pipeline.sandbox`` and waits until it is ready; ends it by its pid.

    ::

        with SandboxProcess(log_path=folder / "commands.jsonl") as sandbox:
            subprocess.run(["ct-pipeline", ...], env=os.environ | sandbox.environment)

    Args: as those of the command; ``folder`` with its own CSV files (see ``write_inhabitants``), default the packaged
    ones. Ports are free ones unless they are given. With ``profile_count`` or ``profile_file`` there is a CleverTap
    account too, kept in ``account_path`` if that is given; ``settings`` are faults and switches by name, and
    ``sandbox.clevertap`` reads and changes it::

        with SandboxProcess(log_path=..., profile_count=500, settings={"server_errors": 0.1}) as sandbox:
            sandbox.clevertap.opt_out(identity="cust-1001")
            sandbox.clevertap.state(email="anna@acme.test")
    """

    def __init__(
        self,
        *,
        log_path: Path,
        smtp_port: int = 0,
        dns: str = f"{DNS_ADDRESS}:0",
        greylist_seconds: float = GREYLIST_SECONDS,
        reply_seconds: float = 0.0,
        folder: Path | None = None,
        profile_count: int = 0,
        profile_file: Path | None = None,
        seed: int = 0,
        clevertap_port: int = 0,
        clevertap_log_path: Path | None = None,
        account_path: Path | None = None,
        faults: str = "none",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.log_path = log_path
        self.environment: dict[str, str] = {}
        self._command = [sys.executable, "-m", "ct_pipeline.sandbox", "--until-stdin-ends"]
        self._command += ["--smtp-port", str(smtp_port), "--dns", dns]
        self._command += ["--log", str(log_path), "--greylist-seconds", str(greylist_seconds)]
        self._command += ["--reply-seconds", str(reply_seconds)]
        self._command += ["--folder", str(folder)] if folder else []
        self._command += ["--profiles", str(profile_count), "--clevertap-port", str(clevertap_port)]
        self._command += ["--profile-file", str(profile_file)] if profile_file else []
        self._command += ["--clevertap-log", str(clevertap_log_path)] if clevertap_log_path else []
        self._command += ["--account", str(account_path)] if account_path else []
        self._command += ["--seed", str(seed), "--faults", faults]
        for name, value in (settings or {}).items():
            self._command += ["--set", f"{name}={json.dumps(value)}"]
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def clevertap(self) -> RemoteClevertap:
        """The simulated CleverTap account; there is one when profiles were asked for."""
        return RemoteClevertap(self.environment["CT_BASE_URL"])

    @property
    def data_offences(self) -> int:
        """How often someone has tried to send a message so far."""
        return sum(command.offence for command in read_command_log(self.log_path))

    def start(self) -> Self:
        """Raises SettingsError with what the process said when it does not become ready."""
        with tempfile.TemporaryFile("w+") as complaints:
            self._process = subprocess.Popen(  # noqa: S603 our own module, arguments from the caller
                self._command,
                stdin=subprocess.PIPE,  # closes when this process dies, however it dies, and ends the sandbox
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,  # Ctrl-C in the terminal reaches the owner of this object, who ends us
            )
            if not self._read_until_ready(self._process):
                self.end()
                complaints.seek(0)
                raise SettingsError(complaints.read().strip() or "the sandbox did not become ready")
        return self

    def end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.end()

    def _read_until_ready(self, process: "subprocess.Popen[str]") -> bool:
        assert process.stdout is not None
        too_late = threading.Timer(READY_WITHIN_SECONDS, process.kill)
        too_late.start()
        try:
            for line in process.stdout:
                if line.startswith("sandbox ready"):
                    return True
                name, _, value = line.removeprefix("export ").partition("=")
                self.environment[name] = shlex.split(value)[0]
        finally:
            too_late.cancel()
        return False
