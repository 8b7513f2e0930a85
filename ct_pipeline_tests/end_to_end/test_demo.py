"""The demo, whole: all its jobs, the greylisting waited out, the truth beside the verdicts."""

import os
import subprocess
import sys
from pathlib import Path

from ct_pipeline.cli.demo_report import grade_list, read_traffic
from ct_pipeline.cli.demo_state import COMMAND_LOG
from ct_pipeline.sandbox.grading import Grade
from ct_pipeline.sandbox.population import population


def test_every_verdict_on_the_sandbox_is_right(state_folder: Path) -> None:
    folder = state_folder / "demo"
    # A machine that runs a whole test suite beside it is slow to answer: patience costs nothing when it is not needed.
    command = [sys.executable, "-m", "ct_pipeline", "demo", "--state-dir", str(folder), "--patience", "1200"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "160"})
    assert done.returncode == 0, done.stdout + done.stderr
    graded = grade_list(folder / "verified_lists" / "sandbox_contacts.csv", population())
    assert {entry.grade for entry in graded} == {Grade.RIGHT, Grade.UNDECIDABLE}
    assert read_traffic(folder / COMMAND_LOG).data_offence_count == 0
    assert f"ct-pipeline dev --state-dir {folder}" in done.stdout
