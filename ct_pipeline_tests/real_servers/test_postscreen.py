"""Postfix behind postscreen, which puts every stranger off once and watches their manners meanwhile."""

import socket
from collections.abc import Callable
from pathlib import Path

from ct_pipeline.settings import Settings
from ct_pipeline_tests.real_servers.contact_list import ContactList, dishonest, statuses, truth
from ct_pipeline_tests.real_servers.conversation import ask, hello
from ct_pipeline_tests.real_servers.real_server import RealServer
from ct_pipeline_tests.real_servers.traffic import Watch


def test_a_first_contact_is_put_off_and_the_next_passes(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(postscreen=True)
    with hello(server) as client:
        assert not client.has_extn("pipelining")
        client.mail("check@prober.test")
        replies = {client.rcpt(address) for address in (server.live_addresses[0], server.dead_addresses[0])}
    assert replies == {(450, b"4.3.2 Service currently unavailable")}
    with hello(server) as client:
        assert client.has_extn("pipelining")
    assert ask(server, "li")[0] == 250
    assert ask(server, "nobody-here")[0] == 550


def test_who_speaks_before_the_greeting_ends_is_refused_for_all_recipients(
    start_postfix: Callable[..., RealServer],
) -> None:
    """The refusal is a 550, in words that say nothing of us: the engine must never be the one who hears it."""
    server = start_postfix(postscreen=True)
    with socket.create_connection((server.address, server.port), timeout=10) as connection:
        replies = connection.makefile("rb")
        assert replies.readline().startswith(b"220-")
        connection.sendall(b"HELO prober.test\r\n")
        assert replies.readline().startswith(b"250 ")
        connection.sendall(b"MAIL FROM:<check@prober.test>\r\n")
        assert replies.readline().startswith(b"250 ")
        connection.sendall(f"RCPT TO:<{server.live_addresses[0]}>\r\n".encode())
        assert replies.readline() == b"550 5.5.1 Protocol error\r\n"


def test_a_patient_second_visit_gets_every_answer(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(postscreen=True)
    contacts = ContactList(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    watch = Watch(server)
    first = contacts.verify()
    assert dishonest(first, server) == {}
    assert "unknown" in statuses(first).values()
    assert watch.traffic().rcpts <= len(first) + 1, "each address once, and the made-up name"
    contacts.let_time_pass()
    assert statuses(contacts.verify()) == truth(server)
    assert watch.traffic().complaints == 0, "it minds early talkers, pipelining that it did not offer, bare newlines"


def test_a_long_list_is_answered_although_a_stranger_has_twenty_commands(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    """Whether the engine leaves after some 450 or comes back at once after the 421: it runs into the limit once."""
    server = start_postfix(postscreen=True, live_users=tuple(f"user-{number}" for number in range(40)))
    contacts = ContactList(pipeline_settings, tmp_path, server.live_addresses)
    watch = Watch(server)
    assert dishonest(contacts.verify(), server) == {}
    assert watch.traffic().complaints <= 1
    contacts.let_time_pass()
    assert set(statuses(contacts.verify()).values()) == {"valid"}
