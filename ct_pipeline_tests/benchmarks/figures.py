"""How the benchmarks print: where the figures come from, then a table, row by row as it is measured."""

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def print_origin() -> None:
    """The machine and the command, without which no figure means anything."""
    arguments = [Path(sys.argv[0]).resolve().relative_to(Path(__file__).parents[2]).as_posix(), *sys.argv[1:]]
    print(machine())
    print(f"python {shlex.join(arguments)}", flush=True)


def machine() -> str:
    """CPU, cores, memory, Python and operating system, in one line."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release()}"
    return f"{_cpu()}, {cores} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}, {system}"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


class Table:
    """``columns`` are the titles; the first one's cells are text and ``title_width`` wide, all others are figures."""

    def __init__(self, columns: Sequence[str], title_width: int = 44) -> None:
        self._widths = [title_width, *(max(len(title), 8) + 2 for title in columns[1:])]
        print("\n" + self._line(columns), flush=True)

    def row(self, title: str, *cells: str) -> None:
        print(self._line([title, *cells]), flush=True)

    def _line(self, cells: Sequence[str]) -> str:
        first, *rest = zip(cells, self._widths, strict=False)
        return f"{first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in rest)


if __name__ == "__main__":
    print(machine())
