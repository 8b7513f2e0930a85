"""Starts the peer that our figures are compared with, in a process and under a Python of its own."""

import json
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ct_pipeline_tests.benchmarks.score import Score

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
PEER_SCRIPT = Path(__file__).with_name("peer_py3_validate_email.py")
PEER_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class PeerFigures:
    name: str
    seconds: float
    score: Score


class PeerError(Exception):
    """The peer did not run; the text says why and how to mend it."""


def run_peer(python: str, domains: int, addresses: int, threads: int, smtp_port: int, dns_port: int) -> PeerFigures:
    """Have the peer verify ``addresses`` of each of ``domains``, in ``threads`` of a process under ``python``.

    Raises:
        PeerError: it did not run to its end.
    """
    numbers = {
        "domains": domains,
        "addresses": addresses,
        "threads": threads,
        "dns-port": dns_port,
        "smtp-port": smtp_port,
    }
    command = [python, str(PEER_SCRIPT), *(f"--{name}={number}" for name, number in numbers.items())]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PEER_TIMEOUT_SECONDS, check=False)
    except OSError as error:
        raise PeerError(f"{python} does not start: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"not done after {PEER_TIMEOUT_SECONDS} seconds") from error
    if "ModuleNotFoundError" in ran.stderr:
        raise PeerError(
            f"not installed: python3 -m venv .venv/peer && .venv/peer/bin/pip install {_requirement()}, then "
            "--peer-python .venv/peer/bin/python (make bench PEER_PYTHON=…)"
        )
    if ran.returncode:
        raise PeerError((ran.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    found = json.loads(ran.stdout)
    return PeerFigures(found["name"], found["seconds"], Score(found["right"], found["wrong"], found["undecided"]))


def _requirement() -> str:
    """The peer as pyproject.toml names it: no part of the locked environment, so that no user has to install it."""
    return tomllib.loads(PYPROJECT.read_text())["dependency-groups"]["bench"][0]
