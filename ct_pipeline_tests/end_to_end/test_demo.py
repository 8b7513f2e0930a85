"""The demo, whole: all its jobs, the greylisting waited out, a push and its undo, the truth beside it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from ct_pipeline.cli.demo_report import read_traffic
from ct_pipeline.cli.demo_state import COMMAND_LOG


def test_the_round_trip_on_the_sandbox_is_right_and_can_be_taken_back(state_folder: Path) -> None:
    folder = state_folder / "demo"
    # A machine that runs a whole test suite beside it is slow to answer: patience costs nothing when it is not needed.
    command = [sys.executable, "-m", "ct_pipeline", "demo", "--state-dir", str(folder), "--patience", "1200"]
    command += ["--profiles", "3000"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "160"})
    assert done.returncode == 0, done.stdout + done.stderr
    said = {
        words: int(number.replace(",", ""))
        for number, words in re.findall(r"^ *([\d,]+)  (\S.*\S) *$", done.stdout, re.M)
    }
    assert said["judged wrong"] == 0
    assert re.findall(r"([\d,]+) to be asked again", done.stdout)[-1] == "0", "nobody is waited for in vain"
    assert said["judged right"] > 2000
    assert said["addresses unsubscribed"] > 100
    assert said["of them that should not have been"] == 0
    assert said["profiles made by a write that named nobody"] == 0
    assert said["profiles with new properties"] > 2000
    assert said["profiles that have their old properties again"] == 1000
    assert next(number for words, number in said.items() if words.startswith("subscribed again by undoing")) > 100
    assert "job approve_batches" in done.stdout, "the brake holds the first batch of a demo"
    assert read_traffic(folder / COMMAND_LOG).data_offence_count == 0
    assert f"ct-pipeline dev --state-dir {folder}" in done.stdout
