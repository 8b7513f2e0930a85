"""The least that a client can do: prepared bytes, plain sockets, nothing read but the ends of lines.

It shows the limit of the responder, and of the machine, that the engine's figures are to be read beside.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ct_pipeline_tests.benchmarks.made_up_list import address_of, domain_of, mailboxes
from ct_pipeline_tests.benchmarks.smtp_responder import Behaviour, SmtpResponder


class RawFigures(NamedTuple):
    rcpt_count: int
    seconds: float
    cpu_seconds: float  # of this process
    hosts_cpu_seconds: float  # of the responder's
    mean_reply_ms: float


class _Step(NamedTuple):
    command: bytes
    line_count: int  # of the reply


@dataclass(slots=True)
class _RawSession:
    connection: socket.socket
    steps: deque[_Step]
    lines_awaited: int


def drive(
    responder: SmtpResponder,
    behaviour: Behaviour,
    *,
    hosts: int,
    sessions: int,
    session_addresses: int,
    connections: int,
    is_pipelined: bool,
) -> RawFigures:
    """Hold ``sessions`` whole sessions with ``hosts`` in turn, ``connections`` of them at once."""
    responder.behave(behaviour)
    scripts = [_script(behaviour, host, session_addresses, is_pipelined=is_pipelined) for host in range(hosts)]
    started, cpu_started = time.perf_counter(), time.process_time()
    _hold(responder.port, scripts, sessions, connections)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    counters = responder.counters()
    if not counters.is_proper or counters.rcpts != sessions * session_addresses:
        raise RuntimeError(f"the raw client is out of step: {counters}")
    return RawFigures(counters.rcpts, seconds, cpu_seconds, counters.cpu_seconds, counters.mean_reply_ms)


def _script(behaviour: Behaviour, host: int, address_count: int, *, is_pipelined: bool) -> list[_Step]:
    rcpts = [b"RCPT TO:<%s>\r\n" % address.encode() for address in mailboxes(domain_of(host), address_count)]
    commands = [b"MAIL FROM:<>\r\n", *rcpts, b"QUIT\r\n"]
    introduction = _Step(b"EHLO client.test\r\n", len(behaviour.ehlo_lines))
    if is_pipelined:
        return [introduction, _Step(b"".join(commands), len(commands))]
    return [introduction, *(_Step(command, 1) for command in commands)]


def _hold(port: int, scripts: Sequence[Sequence[_Step]], session_count: int, connections: int) -> None:
    live: dict[int, _RawSession] = {}
    begun = 0
    with select.epoll() as poll:
        while live or begun < session_count:
            while begun < session_count and len(live) < connections:
                host = begun % len(scripts)
                session = _RawSession(_connect(host, port), deque(scripts[host]), 1)
                live[session.connection.fileno()] = session
                poll.register(session.connection.fileno(), select.EPOLLIN)
                begun += 1
            for number, _ in poll.poll():
                if not _go_on(live[number]):
                    live.pop(number).connection.close()


def _connect(host: int, port: int) -> socket.socket:
    connection = socket.create_connection((address_of(host), port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _go_on(session: _RawSession) -> bool:
    """Take what has come and send the next step; False when the session is over."""
    data = session.connection.recv(1 << 16)
    if not data:
        raise RuntimeError("the responder ended a session")
    session.lines_awaited -= data.count(b"\n")
    if session.lines_awaited:
        return True
    if not session.steps:
        return False
    step = session.steps.popleft()
    session.lines_awaited = step.line_count
    session.connection.sendall(step.command)
    return True
