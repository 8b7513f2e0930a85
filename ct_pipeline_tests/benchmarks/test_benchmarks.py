"""The benchmarks still run, on lists too small to say anything of speed; and their responders tell the truth."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ct_pipeline.domains.lookup import DomainLookup
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import load_settings
from ct_pipeline.vocabulary import MailService
from ct_pipeline_tests.benchmarks.dns_responder import DnsResponder
from ct_pipeline_tests.benchmarks.made_up_list import HOST_NETWORK, address_of, is_mailbox, mailboxes
from ct_pipeline_tests.benchmarks.peer_process import PeerError, run_peer
from ct_pipeline_tests.benchmarks.smtp_responder import Behaviour, SmtpResponder
from ct_pipeline_tests.benchmarks.whole_lane import verify_list

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def hosts() -> Iterator[SmtpResponder]:
    with SmtpResponder() as responder:
        yield responder


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsResponder]:
    with DnsResponder() as responder:
        yield responder


def converse(hosts: SmtpResponder, host: int, commands: bytes) -> list[bytes]:
    """The lines that ``host`` says until it closes; ``commands`` end with QUIT."""
    with socket.create_connection((address_of(host), hosts.port), timeout=5) as connection:
        connection.recv(4096)
        connection.sendall(commands)
        with connection.makefile("rb") as replies:
            return replies.read().splitlines()


def test_hosts_know_their_mailboxes(hosts: SmtpResponder) -> None:
    hosts.behave(Behaviour())
    asked = [*mailboxes("h3.test", 50), "dead@h3.test", "kgohmplnqradifcebj@h3.test", "postmaster@h3.test"]
    rcpts = "".join(f"RCPT TO:<{address}>\r\n" for address in asked).encode()
    said = converse(hosts, 3, b"EHLO a.test\r\nMAIL FROM:<>\r\n" + rcpts + b"QUIT\r\n")
    answers = [line[:9] for line in said[len(Behaviour().ehlo_lines) + 1 : -1]]
    truth = [is_mailbox(address.encode()) for address in asked]
    assert truth[-3:] == [False, False, True]
    assert 5 <= truth.count(False) - 2 <= 15, "some one in five of the list does not exist"
    assert answers == [b"250 2.1.5" if exists else b"550 5.1.1" for exists in truth]
    counters = hosts.counters()
    assert (counters.connections, counters.rcpts, counters.wrong_states) == (1, len(asked), 0)


def test_hosts_notice_what_is_out_of_order(hosts: SmtpResponder) -> None:
    hosts.behave(Behaviour(offers_pipelining=False))
    said = converse(hosts, 0, b"NOOP\r\nRCPT TO:<user1@h0.test>\r\nQUIT\r\n")
    assert said[1].startswith(b"503 ")
    counters = hosts.counters()
    assert (counters.wrong_states, counters.unasked_pipelining, counters.not_last_in_group) == (1, 1, 1)
    assert not counters.is_proper
    assert counters.left_without_quit == 0


def test_each_host_bears_so_many_connections(hosts: SmtpResponder) -> None:
    hosts.behave(Behaviour(connections_per_client=1))
    with socket.create_connection((address_of(1), hosts.port), timeout=5) as first:
        assert first.recv(4) == b"220 "
        with socket.create_connection((address_of(1), hosts.port), timeout=5) as second:
            assert second.recv(4) == b"421 "
        assert converse(hosts, 2, b"QUIT\r\n") == [b"221 2.0.0 Bye"], "another host has connections of its own"
        first.sendall(b"QUIT\r\n")
        assert first.makefile("rb").read().endswith(b"221 2.0.0 Bye\r\n")
    assert converse(hosts, 1, b"QUIT\r\n") == [b"221 2.0.0 Bye"], "the first one is over"
    assert hosts.counters().refused_connections == 1


def test_domains_lead_to_their_hosts(dns: DnsResponder) -> None:
    dns.count_anew()
    settings = load_settings(nameservers=f"127.0.0.1:{dns.port}", allowed_networks=HOST_NETWORK)

    async def look_up(*domains: str) -> list[tuple[MailService, list[tuple[str, ...]]]]:
        async with DomainLookup(settings, load_providers()) as lookup:
            found = [await lookup.look_up(domain, datetime.now(UTC)) for domain in domains]
        return [(facts.service, [mx.addresses for mx in facts.mx_hosts]) for facts in found]

    own, shared, missing = asyncio.run(look_up("h70000.test", "d5.h70000.test", "elsewhere.test"))
    assert own == shared == (MailService.MX, [(address_of(70_000),)])
    assert missing == (MailService.DOMAIN_NOT_FOUND, [])
    counters = dns.counters()
    assert (counters.mx_queries, counters.most_mx_queries) == (3, 1)


def test_engine_is_measured() -> None:
    shapes = ["pipelined_0ms", "cap10_ours20", "one_address_0ms"]
    command = [sys.executable, FOLDER / "engine.py", "--scale", "0.005", *shapes]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    for shape in shapes:
        assert re.search(rf"^{shape} .* 100\.00% +0 +0 ", printed, re.MULTILINE), printed


def test_whole_lanes_are_measured(hosts: SmtpResponder, dns: DnsResponder, postgres_url: str) -> None:
    outcome = verify_list([7, 1, 4], Behaviour(), postgres_url, hosts, dns)
    assert (outcome.score.right, outcome.score.count) == (12, 12)
    assert outcome.hosts.connections == 3
    assert (outcome.dns.mx_queries, outcome.dns.most_mx_queries) == (3, 1)
    assert outcome.lanes.peak_mib > outcome.lanes.mib_before > 0


def test_a_peer_that_is_not_installed_says_how_to_install_it() -> None:
    bare_python = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(PeerError, match=r"not installed: .*pip install py3-validate-email==[\d.]+"):
        run_peer(bare_python, domains=1, addresses=1, threads=1, smtp_port=9, dns_port=9)
