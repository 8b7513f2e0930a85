"""The plugin that CI runs with: a skipped test is a failed run."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_skip_fails_the_run(tmp_path: Path) -> None:
    run = run_suite(tmp_path, "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no server')\n")
    assert run.returncode == 1
    assert "skipped, which fails a run in CI: test_sample.py::test_b" in run.stdout


def test_a_module_that_skips_itself_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_a(): pass\n")
    run = run_suite(tmp_path, "import pytest\npytest.importorskip('no_such_module_anywhere')\ndef test_b(): pass\n")
    assert run.returncode == 1


def test_a_run_without_skips_passes(tmp_path: Path) -> None:
    expected_failure = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_b(): assert False\n"
    assert run_suite(tmp_path, f"{expected_failure}def test_a(): pass\n").returncode == 0


def run_suite(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "ct_pipeline_tests.ci_no_skips", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(folder), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
