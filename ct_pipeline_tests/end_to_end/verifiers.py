"""Verifiers as processes of their own, which can be killed. They are forked, since starting Python takes seconds.

``python -m ct_pipeline_tests.end_to_end.verifiers`` is the process they are forked from: it takes one JSON object per
line, and answers each with one.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.errors import CtPipelineError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage import outage

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kill:
    """The process lived at ``before`` and was dead at ``after``."""

    before: datetime
    after: datetime
    was_running: bool


@dataclass(frozen=True)
class Outcome:
    """What a verifier that was not killed came to; ``lanes`` are those with work."""

    lanes: list[dict[str, Any]]
    error: str  # class of the error it ended with; empty when it succeeded
    text: str

    @property
    def asked_count(self) -> int:
        return sum(lane["asked_count"] for lane in self.lanes)


class Verifiers:
    """The forking process, for the length of a block. Verifiers are told apart by name."""

    module = "ct_pipeline_tests.end_to_end.verifiers"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", self.module]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate(timeout=60)  # the end of its input ends it, with all it has forked

    def start(
        self,
        name: str,
        settings: Settings,
        *,
        until_free: bool = False,
        patience_seconds: float = outage.PATIENCE_SECONDS,
    ) -> None:
        """Start verifying every lane.

        With ``until_free``, lanes that another run still holds are tried again; a database that goes away is waited for
        as long as ``patience_seconds``.
        """
        how = {"until_free": until_free, "patience_seconds": patience_seconds}
        self._say({"do": "start", "name": name, "settings": to_json(settings), **how})

    def is_running(self, name: str) -> bool:
        return self._say({"do": "look", "name": name})["is_running"]

    def kill(self, name: str) -> Kill:
        """End it with SIGKILL."""
        said = self._say({"do": "kill", "name": name})
        before, after = (datetime.fromisoformat(said[key]) for key in ("before", "after"))
        return Kill(before, after, was_running=said["signal"] == signal.SIGKILL)

    def outcome(self, name: str) -> Outcome:
        """Wait for its end."""
        return Outcome(**self._say({"do": "wait", "name": name}))

    def _say(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the forking process has ended; its last words are on standard error"
        return json.loads(answer)


def to_json(settings: Settings) -> dict[str, Any]:
    values = settings.model_dump(mode="json")
    secrets = {"database_url": settings.database_url, "passcode": settings.passcode}
    return values | {name: secret.get_secret_value() if secret else None for name, secret in secrets.items()}


# -- the forking process ---


def serve(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Fork a child for each request to start one; ``work`` is what it does with the request."""
    children: dict[str, tuple[int, int]] = {}  # name -> pid, pipe of its outcome
    try:
        for line in sys.stdin:
            request = json.loads(line)
            match request["do"]:
                case "start":
                    children[request["name"]] = _fork(request, work)
                    answer = {}
                case "kill":
                    answer = _kill(children.pop(request["name"]))
                case "look":
                    answer = {"is_running": _is_running(children[request["name"]])}
                case _:
                    answer = _wait(children.pop(request["name"]))
            print(json.dumps(answer), flush=True)
    finally:
        for child in children.values():
            _kill(child)


def _fork(request: dict[str, Any], work: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.write(writer, json.dumps(work(request)).encode())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _verify(request: dict[str, Any]) -> dict[str, Any]:
    settings = load_settings(**request["settings"])
    outage.PATIENCE_SECONDS = request["patience_seconds"]
    try:
        while True:
            summaries = verify_lanes(settings, lane_keys(load_providers()))
            is_held = any("another run works on this lane" in summary.stopped_because for summary in summaries)
            if not (is_held and request["until_free"]):
                break
    except CtPipelineError as error:
        return {"lanes": [], "error": type(error).__name__, "text": str(error)}
    keys = ("lane", "asked_count", "due_count", "stopped_because")
    busy = [s for s in summaries if s.asked_count or s.due_count or s.stopped_because]
    return {"lanes": [{key: getattr(s, key) for key in keys} for s in busy], "error": "", "text": ""}


def _is_running(child: tuple[int, int]) -> bool:
    return os.waitid(os.P_PID, child[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _kill(child: tuple[int, int]) -> dict[str, Any]:
    pid, reader = child
    before = datetime.now(UTC)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    after = datetime.now(UTC)
    os.close(reader)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"before": before.isoformat(), "after": after.isoformat(), "signal": number}


def _wait(child: tuple[int, int]) -> dict[str, Any]:
    pid, reader = child
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(said) if said else {"lanes": [], "error": "crash", "text": "see standard error"}


if __name__ == "__main__":
    serve(_verify)
