"""Batches as people name them in a call: numbers, and ranges such as 12-40."""

import re
from collections.abc import Collection

import typer

LONGEST_RANGE = 100_000


def numbers(texts: list[str]) -> list[int]:
    """``[12, 13, 14, 20]`` of ``12-14`` and ``20``.

    Raises:
        typer.BadParameter: neither a number nor a range.
    """
    found: list[int] = []
    for text in texts:
        match = re.fullmatch(r"([0-9]{1,12})(?:-([0-9]{1,12}))?", text)
        if match is None:
            raise typer.BadParameter(f"{text!r} is no batch; write a number, or a range such as 12-40")
        first = int(match[1])
        last = int(match[2] or first)
        if not first <= last < first + LONGEST_RANGE:
            raise typer.BadParameter(f"{text!r} is no range of batches; write the smaller number first")
        found += range(first, last + 1)
    return found


def named(batch_ids: Collection[int]) -> str:
    """The other way round, as a call takes it: ``12-14 20``."""
    runs: list[tuple[int, int]] = []
    for batch_id in sorted(set(batch_ids)):
        if runs and runs[-1][1] == batch_id - 1:
            runs[-1] = (runs[-1][0], batch_id)
        else:
            runs.append((batch_id, batch_id))
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
