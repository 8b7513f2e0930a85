"""The whole test suite in two pytest processes at once: most tests wait, for servers, clocks and databases.

``python -m ct_pipeline_tests.side_by_side [pytest's options]``. The tests that drive whole programs and real mail
servers run in one process, all others in the other, whose output is shown as it comes; that of the first follows. The
exit status is 0 when both passed. Either may be run alone by naming its folders to pytest.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

TESTS = Path("ct_pipeline_tests")
WHOLE_PROGRAMS = [TESTS / name for name in ("end_to_end", "real_servers", "fuzz")]


def main(options: list[str]) -> int:
    ignored = [option.removeprefix("--ignore=") for option in options if option.startswith("--ignore=")]
    programs = [folder for folder in WHOLE_PROGRAMS if str(folder) not in ignored]
    rest = [TESTS, *(f"--ignore={folder}" for folder in WHOLE_PROGRAMS)]
    with tempfile.TemporaryFile() as output, started(programs, options, output) as far, started(rest, options) as near:
        codes = near.wait(), far.wait()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    return max(abs(code) for code in codes)


@contextlib.contextmanager
def started(
    tests: Sequence[Path | str], options: Sequence[str], output: BinaryIO | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """One pytest process, ended with the block."""
    command = [sys.executable, "-m", "pytest", *options, *map(str, tests)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
