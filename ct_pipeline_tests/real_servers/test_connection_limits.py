"""Hosts that bear few connections: at once, or in a while. What they say, and how often the engine has to hear it."""

import smtplib
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline_tests.real_servers.contact_list import ContactList, statuses, truth
from ct_pipeline_tests.real_servers.conversation import hello
from ct_pipeline_tests.real_servers.real_server import RealServer
from ct_pipeline_tests.real_servers.traffic import Watch

CAP = 2  # connections at once that the servers below bear
MANY = tuple(f"user-{number:03}" for number in range(40))

StartCapped = Callable[[], RealServer]


@pytest.fixture(params=["postfix", "exim"])
def start_capped(
    request: pytest.FixtureRequest, start_postfix: Callable[..., RealServer], start_exim: Callable[..., RealServer]
) -> StartCapped:
    """Starts a server with many live users that refuses a third connection at once: each kind in turn."""
    if request.param == "postfix":
        options = {"smtpd_client_connection_count_limit": str(CAP)}
        return lambda: start_postfix(live_users=MANY, options=options)
    options = {"smtp_accept_max_per_host": str(CAP)}
    return lambda: start_exim(live_users=MANY, options=options, recipients_max=50)


@pytest.fixture
def hasty_settings(pipeline_settings: Settings) -> Settings:
    """Settings under which a list of some dozens needs many sessions."""
    return pipeline_settings.model_copy(update={"session_addresses": 4, "site_connections": 8})


def test_a_connection_too_many_is_refused_in_the_greeting(start_capped: StartCapped) -> None:
    server = start_capped()
    texts = {
        "postfix": f"421 4.7.0 {server.host} Error: too many connections from 127.0.0.1\r\n",
        "exim": "421 Too many concurrent SMTP connections from this IP address; please try again later.\r\n",
    }
    with ExitStack() as stack:
        for _ in range(CAP):
            stack.enter_context(_admitted(server))
        with socket.create_connection((server.address, server.port), timeout=10) as connection:
            assert connection.recv(1000).decode() == texts[server.name]


def test_postfix_refuses_connections_that_come_too_fast(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(options={"smtpd_client_connection_rate_limit": "3", "anvil_rate_time_unit": "1h"})
    greetings = []
    for _ in range(4):
        with socket.create_connection((server.address, server.port), timeout=10) as connection:
            greetings.append(connection.recv(1000))
            connection.sendall(b"QUIT\r\n")
    too_many = f"421 4.7.0 {server.host} Error: too many connections from 127.0.0.1\r\n".encode()
    assert too_many not in greetings[:2]
    assert greetings[3] == too_many


def test_every_answer_comes_although_most_connections_would_be_refused(
    hasty_settings: Settings, tmp_path: Path, start_capped: StartCapped
) -> None:
    """The cap is found in the first moments; after that, hardly any connection is tried in vain."""
    server = start_capped()
    contacts = ContactList(hasty_settings, tmp_path, server.live_addresses + server.dead_addresses)
    watch = Watch(server)
    assert statuses(contacts.verify()) == truth(server)
    seen = watch.traffic()
    assert seen.complaints <= hasty_settings.site_connections


def test_our_own_limit_counts_a_connection_until_the_server_has_closed_it(
    hasty_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    """Postfix takes a client off its count, then closes. (Exim closes first, so no client can know its count.)"""
    settings = hasty_settings.model_copy(update={"site_connections": CAP})
    server = start_postfix(live_users=MANY, options={"smtpd_client_connection_count_limit": str(CAP)})
    contacts = ContactList(settings, tmp_path, server.live_addresses + server.dead_addresses)
    watch = Watch(server)
    assert statuses(contacts.verify()) == truth(server)
    assert watch.traffic().complaints == 0


def test_a_limit_of_connections_over_time_is_waited_out(
    hasty_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    """anvil forgets after a second here. A visit that runs into the limit leaves the rest for the next one."""
    server = start_postfix(options={"smtpd_client_connection_rate_limit": "3", "anvil_rate_time_unit": "1s"})
    contacts = ContactList(hasty_settings, tmp_path, server.live_addresses + server.dead_addresses)
    watch = Watch(server)
    complaints = 0
    for _ in contacts.visits(server, most=6):
        seen = watch.traffic()
        assert seen.complaints - complaints <= hasty_settings.site_connections // 2, "it does not knock on and on"
        complaints = seen.complaints


def _admitted(server: RealServer) -> smtplib.SMTP:
    """A client that was let in; Exim may still count the connection that saw it start, which is over."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return hello(server)
        except smtplib.SMTPConnectError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
