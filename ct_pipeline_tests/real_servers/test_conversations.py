"""What each real server says to plain conversations of the standard library: the ground the engine's tests stand on."""

import smtplib
from collections.abc import Callable

import pytest

from ct_pipeline_tests.real_servers.conversation import ask, hello
from ct_pipeline_tests.real_servers.real_server import RealServer


def test_a_live_user_is_accepted_and_an_unknown_one_refused(mail_server: RealServer) -> None:
    addresses = mail_server.live_addresses + mail_server.dead_addresses
    codes = {}
    with hello(mail_server) as client:
        for start in range(0, len(addresses), 5):
            client.mail("check@prober.test")
            codes |= {address: client.rcpt(address)[0] for address in addresses[start : start + 5]}
            client.rset()
    assert {address for address, code in codes.items() if code == 250} == set(mail_server.live_addresses)
    assert all(500 <= codes[address] < 600 for address in mail_server.dead_addresses)


def test_the_stock_text_for_an_unknown_user(
    postfix: RealServer, exim: RealServer, opensmtpd: RealServer, opensmtpd_virtual: RealServer
) -> None:
    assert ask(postfix, "nobody-here") == (
        550,
        "5.1.1 <nobody-here@postfix.test>: Recipient address rejected: User unknown in virtual mailbox table",
    )
    assert ask(exim, "nobody-here") == (550, "Unknown user")
    assert ask(opensmtpd, "nobody-here") == (550, "Invalid recipient: <nobody-here@opensmtpd.test>")
    assert ask(opensmtpd_virtual, "nobody-here") == (
        524,
        "5.2.4 Mailing list expansion problem: <nobody-here@opensmtpd-virtual.test>",
    )


def test_mail_for_another_domain_is_refused(postfix: RealServer, exim: RealServer, opensmtpd: RealServer) -> None:
    assert ask(postfix, "li", "elsewhere.test") == (454, "4.7.1 <li@elsewhere.test>: Relay access denied")
    assert ask(exim, "li", "elsewhere.test") == (550, "relay not permitted")
    assert ask(opensmtpd, "li", "elsewhere.test") == (550, "Invalid recipient: <li@elsewhere.test>")


def test_starttls_is_offered_and_works(postfix: RealServer, exim: RealServer) -> None:
    for server in (postfix, exim):
        with hello(server) as client:
            assert client.has_extn("starttls")
            client.starttls()
            client.ehlo("prober.test")
            client.mail("check@prober.test")
            assert client.rcpt(server.live_addresses[0])[0] == 250


def test_exim_answers_452_beyond_its_limit_of_recipients(exim: RealServer) -> None:
    with hello(exim) as client:
        client.mail("check@prober.test")
        codes = [client.rcpt(address)[0] for address in exim.live_addresses]
    assert codes == [250] * 5 + [452] * 3


def test_exim_hangs_up_after_many_commands_that_bring_no_mail(exim: RealServer) -> None:
    """Its default smtp_accept_max_nonmail is 10: each RSET but the first counts, with or without a MAIL between."""
    client = hello(exim)
    replies = []
    for address in (exim.live_addresses * 2)[:12]:
        client.mail("check@prober.test")
        client.rcpt(address)
        replies.append(client.docmd("RSET"))
    assert [code for code, _ in replies] == [250] * 11 + [554]
    assert replies[-1][1] == b"Too many nonmail commands"
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()


def test_postfix_keeps_a_limit_of_recipients(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(options={"smtpd_recipient_limit": "2"})
    with hello(server) as client:
        client.mail("check@prober.test")
        replies = [client.rcpt(address) for address in server.live_addresses[:3]]
    assert [code for code, _ in replies] == [250, 250, 452]
    assert replies[2][1] == b"4.5.3 Error: too many recipients"


def test_postfix_hangs_up_on_too_many_errors(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(options={"smtpd_hard_error_limit": "2"})
    with hello(server) as client:
        client.mail("check@prober.test")
        codes = [client.rcpt(address)[0] for address in server.dead_addresses[:2]]
        code, text = client.rcpt(server.live_addresses[0])
    assert codes == [550, 550]
    assert (code, text) == (421, b"4.7.0 mx." + server.domain.encode() + b" Error: too many errors")


def test_postfix_limits_recipients_over_time(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(options={"smtpd_client_recipient_rate_limit": "2", "anvil_rate_time_unit": "1h"})
    with hello(server) as client:
        client.mail("check@prober.test")
        replies = [client.rcpt(address) for address in server.live_addresses[:3]]
    assert [code for code, _ in replies] == [250, 250, 450]
    assert b"too many recipients from" in replies[2][1]


def test_postfix_says_what_its_reject_list_says(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(
        live_users=("postmaster", "full", "gone"),
        rejects={"full@": "452 4.2.2 Mailbox full", "gone@": "550 5.2.1 Mailbox disabled"},
    )
    assert ask(server, "full")[0] == 452
    assert ask(server, "gone")[0] == 550
    assert ask(server, "postmaster")[0] == 250
