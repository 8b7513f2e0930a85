"""Hosts that bear few recipients: in a message, in a while, or few unknown ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline.verification.session_script import FIRST_WINDOW
from ct_pipeline_tests.real_servers.contact_list import ContactList, dishonest, statuses, truth, verified
from ct_pipeline_tests.real_servers.conversation import SENDER, hello
from ct_pipeline_tests.real_servers.real_server import RealServer
from ct_pipeline_tests.real_servers.traffic import Traffic, Watch

# What Exim may be told to say to a recipient too many of one message.
EXIM_LIMITS = {
    "one at a time": (1, {}, (452, b"too many recipients")),
    "two, in a code for full mailboxes": (2, {"recipients_max_reject": "true"}, (552, b"too many recipients")),
    "two, and three commands between messages": (2, {"smtp_accept_max_nonmail": "3"}, (452, b"too many recipients")),
}


@pytest.fixture(params=EXIM_LIMITS.values(), ids=list(EXIM_LIMITS))
def limited_exim(
    request: pytest.FixtureRequest, start_exim: Callable[..., RealServer]
) -> tuple[RealServer, int, tuple[int, bytes]]:
    """An Exim, how many recipients it takes, and its reply to one more: each way in turn."""
    recipients_max, options, reply = request.param
    return start_exim(recipients_max=recipients_max, options=options), recipients_max, reply


def test_exim_refuses_one_recipient_too_many(limited_exim: tuple[RealServer, int, tuple[int, bytes]]) -> None:
    server, recipients_max, reply = limited_exim
    with hello(server) as client:
        client.mail(SENDER)
        replies = [client.rcpt(address) for address in server.live_addresses[: recipients_max + 1]]
        assert [code for code, _ in replies[:-1]] == [250] * recipients_max
        assert replies[-1] == reply
        client.docmd("RSET")
        client.mail(SENDER)
        assert client.rcpt(server.live_addresses[-1])[0] == 250


def test_opensmtpd_refuses_one_recipient_too_many(opensmtpd: RealServer) -> None:
    with hello(opensmtpd) as client:
        client.mail(SENDER)
        replies = [client.rcpt(address) for address in opensmtpd.live_addresses[:6]]
    assert [code for code, _ in replies] == [250] * 5 + [451]
    assert replies[-1][1] == b"4.5.3 Too many recipients: Too many recipients"


def test_exim_hangs_up_on_too_many_unknown_recipients(start_exim: Callable[..., RealServer]) -> None:
    server = start_exim(recipients_max=50, most_unknown=2)
    with hello(server) as client:
        client.mail(SENDER)
        replies = [client.rcpt(address) for address in server.dead_addresses[:4]]
        client.close()
    assert replies == [(550, b"Unknown user")] * 3 + [(550, b"Rejected: too many failed recipients")]


def test_a_limit_of_recipients_in_a_message_costs_no_answer(
    pipeline_settings: Settings, tmp_path: Path, limited_exim: tuple[RealServer, int, tuple[int, bytes]]
) -> None:
    server, recipients_max, _ = limited_exim
    watch = Watch(server)
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert statuses(rows) == truth(server)
    seen = watch.traffic()
    # Exim also ends a session after so many messages, and what was not proven by then is asked once more.
    assert seen.rcpts <= 2 * (len(rows) + 1)
    assert seen.sessions <= len(rows) / recipients_max, "a new message, not a new session"


def test_too_many_unknown_recipients_are_a_complaint_about_us(
    pipeline_settings: Settings, tmp_path: Path, start_exim: Callable[..., RealServer]
) -> None:
    """It comes as a 550 to a recipient who may well be alive. Once it has been heard, the host is left in peace."""
    server = start_exim(recipients_max=50, most_unknown=2)
    contacts = ContactList(pipeline_settings, tmp_path, server.dead_addresses + server.live_addresses)
    watch = Watch(server)
    rows = contacts.verify()
    assert dishonest(rows, server) == {}
    assert watch.traffic().complaints <= 1
    assert {row["reason"] for row in rows.values() if row["status"] == "unknown"} <= {"prober_blocked"}


OVER_TIME = {
    # It speaks of too many recipients, and means us, not the message.
    "recipients": {"smtpd_client_recipient_rate_limit": "7"},
    # Each MAIL counts as a message, also when none follows.
    "messages": {"smtpd_client_message_rate_limit": "3", "smtpd_recipient_limit": "2"},
}

# Named in one breath with what was one too many. Which addresses come first differs from domain to domain, so that the
# third recipient of a message may be one of 2, 4 or 8; with each MAIL goes one.
IN_VAIN = {"recipients": 2 * FIRST_WINDOW, "messages": 7 + 2}


@pytest.mark.parametrize("limit", OVER_TIME)
def test_a_limit_over_time_is_waited_out(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer], limit: str
) -> None:
    """anvil forgets after a second here. A visit that runs into the limit leaves the rest for the next one."""
    server = start_postfix(options=OVER_TIME[limit] | {"anvil_rate_time_unit": "1s"})
    contacts = ContactList(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    watch = Watch(server)
    before = Traffic()
    for rows in contacts.visits(server, most=8):
        seen = watch.traffic()
        assert seen.rcpts - before.rcpts <= len(rows) + 1 + IN_VAIN[limit], "hardly anybody is named twice in a visit"
        if limit == "messages":
            refused_mails, sessions = seen.complaints - before.complaints, seen.sessions - before.sessions
            assert refused_mails <= sessions, "a session that was refused a message asks for no other"
        before = seen
        assert {row["reason"] for row in rows.values() if row["status"] == "unknown"} <= {"rate_limited"}
