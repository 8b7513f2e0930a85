"""What the mail hosts were asked, one JSON object per line, so that a test or a person can count it afterwards.

A line is written and flushed before the reply leaves: an answer that the prober has seen is always in the log.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoggedCommand:
    """One command and the code it was answered with; ``CONNECT`` stands for the greeting (code 0: none was given)."""

    at: str  # UTC, ISO 8601
    host: str
    session: int
    command: str  # CONNECT, EHLO, HELO, STARTTLS, MAIL, RCPT, RSET, NOOP, VRFY, DATA, QUIT, or OTHER
    address: str  # of MAIL and RCPT, as it came
    code: int
    offence: bool = False  # an attempt to send a message


_FIELDS = tuple(field.name for field in fields(LoggedCommand))


class CommandLog:
    """Counts every command, and appends it to ``path`` when there is one."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.data_offences = 0
        self._file = path.open("a", encoding="utf-8") if path else None

    def add(self, host: str, session: int, command: str, address: str, code: int, *, offence: bool = False) -> None:
        self.counts[command] += 1
        self.data_offences += offence
        if self._file is not None:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            values = (at, host, session, command, address, code, offence)
            self._file.write(json.dumps(dict(zip(_FIELDS, values, strict=True)), ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_command_log(path: Path) -> Iterator[LoggedCommand]:
    """The commands in ``path``, in order; a last line that is still being written is left out."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.endswith("\n"):
                yield LoggedCommand(**json.loads(line))
