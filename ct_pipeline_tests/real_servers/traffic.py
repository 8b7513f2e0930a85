"""What a server's own log says of its visitors: sessions, RCPTs, connections at once, limits they ran into."""

import re
import subprocess
import time
from dataclasses import dataclass

import pytest

from ct_pipeline_tests.real_servers.real_server import RealServer, program

SETTLE_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Traffic:
    """``complaints``: how often the server logged that a limit was exceeded, or that manners were bad."""

    sessions: int = 0
    rcpts: int = 0
    most_at_once: int = 0
    complaints: int = 0


@dataclass(frozen=True)
class _Lines:
    """What to look for in one kind of log; a group in ``rcpt`` holds a number of them."""

    opened: re.Pattern[str]
    closed: re.Pattern[str]
    rcpt: re.Pattern[str]
    complaint: re.Pattern[str]


_LOGS = {
    # Those whom postscreen does not let in are no sessions of smtpd; what they ask for is counted all the same.
    "postfix": _Lines(
        opened=re.compile(r"smtpd\[\d+\]: connect from"),
        closed=re.compile(r"smtpd\[\d+\]: disconnect from"),
        rcpt=re.compile(r"disconnect from .* rcpt=(?:\d+/)?(\d+)|postscreen\[\d+\]: NOQUEUE: reject: RCPT()"),
        complaint=re.compile(r"limit exceeded|COMMAND \w+ LIMIT|PREGREET|COMMAND PIPELINING|NON-SMTP|BARE NEWLINE"),
    ),
    "exim": _Lines(
        opened=re.compile(r"SMTP connection from \S+ \(TCP/IP connection count"),
        closed=re.compile(
            r"SMTP connection from .* (?:closed by|lost)|dropped: too many|refused connection|unexpected disconnection"
        ),
        rcpt=re.compile(r"(?:RCPT command|too many recipients: )()"),
        complaint=re.compile(r"refused: too many|dropped: too many|too many failed|synchronization error"),
    ),
}
_DATA = re.compile(r"\bDATA\b|\bdata=\d")


class Watch:
    """Counts what comes after its making; the connection of the server's start is over by then."""

    def __init__(self, server: RealServer) -> None:
        self._server = server
        self._lines = _LOGS[server.name]
        self._seen = len(self._settled_log())

    def traffic(self) -> Traffic:
        """All so far, once the server has logged the end of every session."""
        sessions = rcpts = at_once = most_at_once = complaints = 0
        for line in self._settled_log()[self._seen :].splitlines():
            if self._lines.opened.search(line):
                sessions += 1
                at_once += 1
                most_at_once = max(most_at_once, at_once)
            at_once -= self._lines.closed.search(line) is not None
            if named := self._lines.rcpt.search(line):
                rcpts += int(named[1] or 1)
            complaints += self._lines.complaint.search(line) is not None
        return Traffic(sessions, rcpts, most_at_once, complaints)

    def _settled_log(self) -> str:
        deadline = time.monotonic() + SETTLE_TIMEOUT_SECONDS
        mark = _leave_mark(self._server)
        while time.monotonic() < deadline:
            log = self._server.log()
            if mark in log and len(self._lines.opened.findall(log)) == len(self._lines.closed.findall(log)):
                return log
            time.sleep(0.02)
        pytest.fail(f"a session at {self._server.domain} does not end:\n{self._server.log()[-2000:]}")


def tells_of_data(log: str) -> bool:
    """Whether anybody said DATA: each kind of server logs the command, refused or out of turn as well."""
    return _DATA.search(log) is not None


def _leave_mark(server: RealServer) -> str:
    """A text that is in the log once all that came before it is; empty where nothing stands between server and file."""
    if server.name != "postfix":
        return ""
    mark = f"mark {time.monotonic_ns()}"
    subprocess.run([program("postlog"), "-c", server.log_path.parent / "etc", mark], check=True, capture_output=True)
    return mark
