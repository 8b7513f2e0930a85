"""Every kept input is tried again, and a few thousand new ones: the same at each run."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from ct_pipeline_tests.fuzz.fuzzing import kept_inputs

ROOT = Path(__file__).parents[2]
RUNS = {"reply_reading": 1500, "reply_meaning": 4000, "retry_hints": 4000, "dialogue": 4000}


@pytest.mark.parametrize("target", RUNS)
def test_kept_inputs(target: str) -> None:
    check = import_module(f"ct_pipeline_tests.fuzz.{target}").check
    inputs = kept_inputs(target)
    assert len(inputs) > 20
    for data in inputs:
        check(data)


@pytest.mark.atheris
@pytest.mark.parametrize("target", RUNS)
def test_new_inputs(target: str) -> None:
    command = [sys.executable, "-m", f"ct_pipeline_tests.fuzz.{target}", "--runs", str(RUNS[target])]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr[-4000:]
    done = re.search(r"^Done (\d+) runs", ended.stderr, re.MULTILINE)
    assert done is not None, ended.stderr[-4000:]
    assert int(done[1]) >= RUNS[target]  # it may take an input twice
