"""Mail hosts that answer as quickly as Python can, in a process of their own: what the benchmarks converse with.

Every host of :mod:`made_up_list` is there, all on one port of loopback. Answers are worded like Postfix's. A reply
leaves ``reply_ms`` after its command came, and the replies to commands that came together leave together, as after one
round trip.
"""

import asyncio
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import cast

from ct_pipeline_tests.benchmarks.fine_timer import FineTimer
from ct_pipeline_tests.benchmarks.made_up_list import is_mailbox
from ct_pipeline_tests.benchmarks.own_process import OwnProcess

BACKLOG = 4096

_GREETING = b"220 mx.test ESMTP Postfix\r\n"
_TOO_MANY = b"421 4.7.0 mx.test Error: too many connections from 127.0.0.1\r\n"
_UNKNOWN_USER = b"550 5.1.1 <%s>: Recipient address rejected: User unknown in virtual mailbox table\r\n"
_LAST_IN_GROUP = frozenset({b"EHLO", b"HELO", b"NOOP", b"QUIT"})
_NOT_KNOWN = b"502 5.5.2 Error: command not recognized\r\n"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How all hosts behave. ``connections_per_client``: at once, from one address to one host; 0 sets no limit."""

    reply_ms: float = 0
    offers_pipelining: bool = True
    offers_enhanced_codes: bool = True
    connections_per_client: int = 0

    @property
    def ehlo_lines(self) -> list[bytes]:
        """The lines of the reply to EHLO."""
        words = [b"mx.test", b"SIZE 10240000", b"8BITMIME"]
        words += [b"PIPELINING"] * self.offers_pipelining + [b"ENHANCEDSTATUSCODES"] * self.offers_enhanced_codes
        return [b"250-" + word for word in words[:-1]] + [b"250 " + words[-1]]


@dataclass(slots=True)
class Counters:
    """What the hosts saw since they were last told how to behave."""

    connections: int = 0  # those that were let in
    refused_connections: int = 0  # with 421, for there were too many
    most_at_once: int = 0  # connections to one host
    commands: Counter[str] = field(default_factory=Counter)
    rcpts: int = 0
    wrong_states: int = 0  # commands out of order, or before the greeting
    unasked_pipelining: int = 0  # commands sent together although PIPELINING was not offered
    not_last_in_group: int = 0  # EHLO, NOOP or QUIT with more sent behind it: RFC 2920 section 3.1 forbids that
    left_without_quit: int = 0
    delayed_replies: int = 0
    delay_seconds: float = 0.0  # of these replies, in all
    cpu_seconds: float = 0.0  # that all hosts took together

    @property
    def is_proper(self) -> bool:
        """Whether the client kept to SMTP."""
        return not (self.wrong_states or self.unasked_pipelining or self.not_last_in_group)

    @property
    def mean_reply_ms(self) -> float:
        """How long replies really took: timers are late by a millisecond or so."""
        return self.delay_seconds / self.delayed_replies * 1000 if self.delayed_replies else 0.0


class SmtpResponder(OwnProcess):
    """The hosts, between ``with`` and its end; see :class:`OwnProcess`."""

    def __init__(self) -> None:
        super().__init__(serve)

    def behave(self, behaviour: Behaviour) -> None:
        """How sessions are answered from now on. Counting starts anew."""
        self.ask(behaviour)

    def counters(self) -> Counters:
        return self.ask(None)


def serve(pipe: Connection) -> None:
    """Runs in the responder's own process until it is ended."""
    asyncio.set_event_loop_policy(_quickest_loop_policy())
    asyncio.run(_serve(pipe))


def _quickest_loop_policy() -> asyncio.AbstractEventLoopPolicy | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.EventLoopPolicy()


async def _serve(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    hosts = _Hosts()
    cpu_started = 0.0

    def hear() -> None:
        nonlocal cpu_started
        try:
            behaviour = pipe.recv()
        except EOFError:
            loop.stop()
            return
        if behaviour is not None:
            hosts.behaviour, hosts.counters = behaviour, Counters()
            cpu_started = time.process_time()
        hosts.counters.cpu_seconds = time.process_time() - cpu_started
        pipe.send(hosts.counters)

    with _listening_socket() as listener:
        server = await loop.create_server(partial(_Session, hosts), sock=listener, backlog=BACKLOG)
        loop.add_reader(pipe.fileno(), hear)
        pipe.send(listener.getsockname()[1])
        await server.serve_forever()


def _listening_socket() -> socket.socket:
    """One socket for all hosts, which only this machine can reach."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listener.bind(("0.0.0.0", 0))
    listener.listen(BACKLOG)
    return listener


class _Hosts:
    """What the sessions share."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.counters = Counters()
        self.live: Counter[tuple[str, str]] = Counter()  # sessions by host and client
        self.timer = FineTimer()


class _Session(asyncio.Protocol):
    """One connection. Its behaviour is that of the moment it was opened."""

    def __init__(self, hosts: _Hosts) -> None:
        self._hosts = hosts
        self._behaviour = hosts.behaviour
        self._delay = hosts.behaviour.reply_ms / 1000
        self._rest = b""
        self._counts = False
        self._has_greeted = self._is_introduced = self._in_transaction = self._is_leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._pair = transport.get_extra_info("sockname")[0], transport.get_extra_info("peername")[0]
        hosts, most = self._hosts, self._behaviour.connections_per_client
        if most and hosts.live[self._pair] >= most:
            hosts.counters.refused_connections += 1
            self._is_leaving = True
            self._reply(_TOO_MANY)
            return
        self._counts = True
        hosts.live[self._pair] += 1
        hosts.counters.connections += 1
        hosts.counters.most_at_once = max(hosts.counters.most_at_once, hosts.live[self._pair])
        self._reply(_GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._counts:
            return
        self._hosts.counters.left_without_quit += not self._is_leaving
        self._hosts.live[self._pair] -= 1
        if not self._hosts.live[self._pair]:
            del self._hosts.live[self._pair]

    def data_received(self, data: bytes) -> None:
        if self._is_leaving:
            return
        counters = self._hosts.counters
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        counters.wrong_states += not self._has_greeted
        counters.unasked_pipelining += len(lines) > 1 and not self._behaviour.offers_pipelining
        replies = []
        for line in lines:
            if line[:8] == b"RCPT TO:" and self._in_transaction:  # nearly all of the work, so nothing else comes first
                counters.rcpts += 1
                address = line[9:-1]
                replies.append(b"250 2.1.5 Ok\r\n" if is_mailbox(address) else _UNKNOWN_USER % address)
            else:
                counters.not_last_in_group += line is not lines[-1] and line[:4].upper() in _LAST_IN_GROUP
                replies.append(self._answer(line))
        if replies:
            self._reply(b"".join(replies))

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        self._hosts.counters.commands[verb.decode("latin-1")] += 1
        match verb:
            case b"EHLO" | b"HELO":
                self._is_introduced, self._in_transaction = True, False
                lines = self._behaviour.ehlo_lines if verb == b"EHLO" else [b"250 mx.test"]
                return b"\r\n".join(lines) + b"\r\n"
            case b"MAIL":
                if not self._is_introduced or self._in_transaction:
                    return self._out_of_order(b"503 5.5.1 Error: nested MAIL command, or no EHLO before it\r\n")
                self._in_transaction = True
                return b"250 2.1.0 Ok\r\n"
            case b"RCPT":
                self._hosts.counters.rcpts += 1
                if not self._in_transaction:
                    return self._out_of_order(b"503 5.5.1 Error: need MAIL command\r\n")
                address = line[line.find(b"<") + 1 : line.rfind(b">")]
                return b"250 2.1.5 Ok\r\n" if is_mailbox(address) else _UNKNOWN_USER % address
            case b"RSET":
                self._in_transaction = False
                return b"250 2.0.0 Ok\r\n"
            case b"NOOP":
                return b"250 2.0.0 Ok\r\n"
            case b"QUIT":
                self._is_leaving = True
                return b"221 2.0.0 Bye\r\n"
        return _NOT_KNOWN

    def _out_of_order(self, reply: bytes) -> bytes:
        self._hosts.counters.wrong_states += 1
        return reply

    def _reply(self, reply: bytes) -> None:
        if self._delay:
            self._hosts.timer.call_later(self._delay, self._write_late, time.perf_counter(), reply, self._is_leaving)
        else:
            self._write(reply, self._is_leaving)

    def _write_late(self, asked_at: float, reply: bytes, is_last: bool) -> None:
        self._hosts.counters.delayed_replies += 1
        self._hosts.counters.delay_seconds += time.perf_counter() - asked_at
        self._write(reply, is_last)

    def _write(self, reply: bytes, is_last: bool) -> None:
        self._has_greeted = True
        self._transport.write(reply)
        if is_last:
            self._transport.close()
