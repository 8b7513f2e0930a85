"""Runs a fuzz target with atheris: coverage-guided, from the kept inputs on, for some seconds or some runs.

A target is a module with ``check(data: bytes)``, which raises when something does not hold. By hand::

    python -m ct_pipeline_tests.fuzz.dialogue 60

Kept inputs are lines of ``seeds/<target>.txt``, each a bytes literal as Python prints it. An input that breaks a target
is printed in that form: fix what it found and append the line, so that every test run tries it again.
"""

import argparse
import ast
import contextlib
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).parent / "seeds"
MOST_BYTES = 20_000  # more than a reply may be long
MOST_SECONDS_PER_INPUT = 10  # a target takes some milliseconds: one that needs this long does not end

# Without a wheel for this Python, kept inputs are replayed all the same.
atheris: Any = import_module("atheris") if find_spec("atheris") is not None else None


def instrumented(name: str) -> AbstractContextManager[object]:
    """Within it, the module ``name`` imports what it tests: the fuzzer sees which way an input takes through that."""
    if atheris is None or name != "__main__":
        return contextlib.nullcontext()
    return atheris.instrument_imports(include=["ct_pipeline"])


def kept_inputs(target: str) -> list[bytes]:
    lines = (SEEDS / f"{target}.txt").read_text(encoding="ascii").splitlines()
    return [ast.literal_eval(line) for line in lines if line and not line.startswith("#")]


def fuzz(check: Callable[[bytes], None], target: str) -> None:
    """The command line of a target."""
    parser = argparse.ArgumentParser(description=f"Fuzz {target}.")
    parser.add_argument("seconds", type=int, nargs="?", default=60, help="how long; 0 is for ever")
    parser.add_argument("--runs", type=int, help="so many inputs instead, always the same ones")
    options = parser.parse_args()
    assert atheris is not None, "atheris has no wheel for this Python: pyproject.toml says for which it has"
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(kept_inputs(target)):
            (Path(corpus) / f"kept_{number}").write_bytes(data)
        limit = f"-max_total_time={options.seconds}" if options.runs is None else f"-runs={options.runs}"
        flags = [limit, f"-max_len={MOST_BYTES}", f"-timeout={MOST_SECONDS_PER_INPUT}", f"-artifact_prefix={corpus}/"]
        flags += ["-seed=1"] if options.runs is not None else []
        atheris.Setup([sys.argv[0], *flags, corpus], lambda data: _try(check, data))
        atheris.Fuzz()


def _try(check: Callable[[bytes], None], data: bytes) -> None:
    try:
        check(data)
    except Exception:
        traceback.print_exc()
        print(f"This input breaks the target:\n{data!r}", file=sys.stderr, flush=True)
        raise
