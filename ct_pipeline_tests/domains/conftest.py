"""Real and scripted DNS servers on loopback."""

import os
import pwd
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

NSD_CONFIGURATION = """
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    zonesdir: "{folder}"
    pidfile: ""
    database: ""
    username: ""
    chroot: ""
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    hide-version: yes
remote-control:
    control-enable: no
zone:
    name: "test"
    zonefile: "test.zone"
"""
ZONE_HEAD = """
$ORIGIN test.
$TTL 7200
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
ns A 127.0.0.1
"""


@pytest.fixture(scope="session")
def start_nsd() -> Iterator[Callable[[str], str]]:
    """``start_nsd(records of the zone "test.") -> "ip:port"`` of a real authoritative server."""
    with ExitStack() as stack:

        def start(records: str) -> str:
            nsd = shutil.which("nsd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
            if nsd is None:
                pytest.fail("These tests ask a real name server: install NSD (Debian: apt-get install nsd).")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ct_nsd_")))
            port = free_port()
            (folder / "nsd.conf").write_text(NSD_CONFIGURATION.format(port=port, folder=folder))
            (folder / "test.zone").write_text(ZONE_HEAD + records)
            user = _give_to_unprivileged_user(folder)
            log = stack.enter_context((folder / "nsd.log").open("wb"))
            process = subprocess.Popen([nsd, "-d", "-c", folder / "nsd.conf"], stderr=log, stdout=log, user=user)
            stack.callback(_end, process)
            _wait_for_answer(process, port, folder / "nsd.log")
            return f"127.0.0.1:{port}"

        yield start


Script = Callable[[dns.message.QueryMessage, bool], list[bytes]]


class ScriptedDns:
    """A UDP and TCP DNS server that answers each query with the datagrams that ``script(query, is_tcp)`` returns."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.port = free_port()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._tcp = socket.create_server(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=self._serve_udp), threading.Thread(target=self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knock:
            knock.sendto(b"", ("127.0.0.1", self.port))  # an empty datagram ends the loop
        with socket.create_connection(("127.0.0.1", self.port)):
            pass  # a connection without a query ends the other
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        while True:
            wire, client = self._udp.recvfrom(4096)
            if not wire:
                return
            for answer in self._script(_query(wire), False):
                self._udp.sendto(answer, client)

    def _serve_tcp(self) -> None:
        while True:
            connection, _ = self._tcp.accept()
            with connection, connection.makefile("rb") as stream:
                head = stream.read(2)
                if not head:
                    return
                for answer in self._script(_query(stream.read(*struct.unpack("!H", head))), True):
                    connection.sendall(struct.pack("!H", len(answer)) + answer)


@pytest.fixture
def scripted_dns() -> Iterator[Callable[[Script], ScriptedDns]]:
    with ExitStack() as stack:

        def start(script: Script) -> ScriptedDns:
            server = ScriptedDns(script)
            stack.callback(server.close)
            return server

        yield start


def free_port() -> int:
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _query(wire: bytes) -> dns.message.QueryMessage:
    query = dns.message.from_wire(wire)
    assert isinstance(query, dns.message.QueryMessage)
    return query


def _give_to_unprivileged_user(folder: Path) -> int | None:
    """The user to run as, when the tests run as root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return nobody.pw_uid


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    question = dns.message.make_query("test.", "SOA")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if dns.query.udp(question, "127.0.0.1", port=port, timeout=0.2).answer:
                return
        except (dns.exception.Timeout, OSError):
            time.sleep(0.05)
    pytest.fail(f"NSD does not answer: {log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=10)
