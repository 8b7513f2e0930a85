"""Each behaviour of a mail host, as smtplib sees it."""

import contextlib
import smtplib
import socket
import ssl

import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.behaviours import Accepts, DomainDns, MailboxBehaviour
from ct_pipeline.sandbox.command_log import read_command_log
from ct_pipeline.sandbox.internet import Sandbox
from ct_pipeline.sandbox.population import Mailbox, MailDomain, MailHost

HOST = "mx.acme.test"
PEOPLE = [
    Mailbox("anna@acme.test"),
    Mailbox("ben@acme.test"),
    Mailbox("gone@acme.test", MailboxBehaviour.MISSING),
    Mailbox("off@acme.test", MailboxBehaviour.DISABLED),
    Mailbox("full@acme.test", MailboxBehaviour.FULL),
    Mailbox("brim@acme.test", MailboxBehaviour.FULL_FOR_GOOD),
    Mailbox("busy@acme.test", MailboxBehaviour.RECEIVING_TOO_FAST),
    Mailbox("jörg@acme.test"),
]


def acme(behaviour: str = "normal", style: str = "postfix", **options) -> Sandbox:
    """One domain on one host."""
    return Sandbox(hosts=[MailHost(HOST, behaviour, style)], population=PEOPLE, smtp_port=0, dns_port=0, **options)


def test_normal_host_tells_every_kind_of_mailbox_apart(session):
    expected = {"anna": 250, "gone": 550, "nobody": 550, "off": 550, "full": 452, "brim": 552, "busy": 450}
    with acme().run_in_thread() as sandbox, session(sandbox, HOST) as client:
        codes = {name: client.rcpt(f"{name}@acme.test")[0] for name in expected}
    assert codes == expected


def test_local_parts_are_compared_without_case(session):
    with acme().run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.rcpt("Anna@ACME.test")[0] == 250


def test_postmaster_is_always_known_and_foreign_domains_are_never_relayed(session):
    with acme().run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.rcpt("postmaster@acme.test")[0] == 250
        code, text = client.rcpt("anna@other.test")
    assert (code, text) == (554, b"5.7.1 <anna@other.test>: Relay access denied")


def test_a_reply_of_several_lines_repeats_its_code(session):
    with acme(style="google").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        code, text = client.rcpt("gone@acme.test")
    assert code == 550
    lines = text.decode().split("\n")
    assert len(lines) == 4
    assert all(line.startswith("5.1.1 ") for line in lines)
    assert lines[-1].endswith("- gsmtp")


def test_microsoft_365_like_host_denies_access_for_unknown_names(session):
    with acme(style="microsoft365").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        code, text = client.rcpt("gone@acme.test")
    assert code == 550
    assert text.startswith(b"5.4.1 Recipient address rejected: Access denied")


def test_catch_all_domain_accepts_every_name_but_only_its_own(session):
    domain = MailDomain("all.test", accepts=Accepts.EVERY_NAME)
    with (
        Sandbox(
            domains=[domain, MailDomain("some.test", mail_hosts=("mx.all.test",))], smtp_port=0, dns_port=0
        ).run_in_thread() as sandbox,
        session(sandbox, "mx.all.test") as client,
    ):
        assert client.rcpt("x7f3k@all.test")[0] == 250
        assert client.rcpt("x7f3k@some.test")[0] == 550


def test_a_domain_that_its_host_does_not_know_is_not_relayed(session):
    domain = MailDomain("left.test", mail_hosts=(HOST,), accepts=Accepts.NOTHING)
    with (
        Sandbox(domains=[domain], population=PEOPLE, smtp_port=0, dns_port=0).run_in_thread() as sandbox,
        session(sandbox, HOST) as client,
    ):
        assert client.rcpt("anna@left.test")[0] == 554
        assert client.rcpt("anna@acme.test")[0] == 250


def test_an_alias_has_mailboxes_of_its_own_at_the_hosts_of_the_other_domain(session):
    alias = MailDomain("alias.test", DomainDns.ALIAS, ("acme.test",))
    people = [*PEOPLE, Mailbox("zoe@alias.test")]
    with (
        Sandbox(domains=[alias], population=people, smtp_port=0, dns_port=0).run_in_thread() as sandbox,
        session(sandbox, HOST) as client,
    ):
        assert client.rcpt("zoe@alias.test")[0] == 250
        assert client.rcpt("anna@alias.test")[0] == 550


def test_accepts_all_host_says_250_to_every_name(session):
    with acme("accepts_all", "yahoo").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.rcpt("gone@acme.test")[0] == 250


def test_greylisting_puts_off_each_new_recipient_with_a_hint_and_lets_it_pass_later(session):
    with acme("greylists", greylist_seconds=20).run_in_thread() as sandbox, session(sandbox, HOST) as client:
        first = client.rcpt("anna@acme.test")
    assert first == (
        450,
        b"4.2.0 <anna@acme.test>: Recipient address rejected: Greylisted, try again in 20 seconds",
    )
    with acme("greylists", greylist_seconds=0).run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.rcpt("anna@acme.test")[0] == 250
        assert client.rcpt("gone@acme.test")[0] == 550


def test_greylisting_keys_on_the_sender_too(session):
    with acme("greylists", greylist_seconds=0.05).run_in_thread() as sandbox, session(sandbox, HOST) as client:
        while client.rcpt("anna@acme.test")[0] == 450:
            pass
        client.rset()
        client.mail("someone.else@ct-sandbox.test")
        assert client.rcpt("anna@acme.test")[0] == 450


@pytest.mark.parametrize(("behaviour", "code"), [("blocks_at_connect", 554), ("defers_at_connect", 421)])
def test_hosts_that_refuse_at_connect_name_our_address(behaviour, code):
    with acme(behaviour).run_in_thread() as sandbox, contextlib.closing(smtplib.SMTP(timeout=10)) as client:
        greeting = client.connect(sandbox.host_address(HOST), sandbox.smtp_port)
    assert greeting[0] == code
    assert b"127.0.0.1" in greeting[1]


def test_after_a_554_greeting_only_quit_is_answered_in_peace():
    with acme("blocks_at_connect").run_in_thread() as sandbox, contextlib.closing(smtplib.SMTP(timeout=10)) as client:
        client.connect(sandbox.host_address(HOST), sandbox.smtp_port)
        assert client.docmd("EHLO", "x")[0] == 503
        assert client.docmd("QUIT")[0] == 221


@pytest.mark.parametrize(
    ("behaviour", "code"), [("blocks_at_recipient", 550), ("fails_for_now", 451), ("refuses_everyone", 550)]
)
def test_hosts_that_refuse_every_recipient_refuse_postmaster_too(session, behaviour, code):
    with acme(behaviour).run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.rcpt("anna@acme.test")[0] == code
        assert client.rcpt("postmaster@acme.test")[0] == code


def test_who_refuses_everyone_says_no_more_than_a_terse_host_of_a_dead_name(session):
    replies = set()
    for behaviour, style in (("refuses_everyone", "postfix"), ("refuses_everyone", "exim"), ("normal", "terse")):
        with acme(behaviour, style).run_in_thread() as sandbox, session(sandbox, HOST) as client:
            replies.add(client.rcpt("gone@acme.test"))
    assert replies == {(550, b"Rejected")}


def test_terse_host_refuses_names_without_a_word_but_knows_postmaster(session):
    with acme(style="terse").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.rcpt("gone@acme.test") == (550, b"Rejected")
        assert client.rcpt("postmaster@acme.test")[0] == 250


def test_nothing_listens_at_a_dead_host():
    with acme("dead").run_in_thread() as sandbox, pytest.raises(ConnectionRefusedError):
        socket.create_connection((sandbox.host_address(HOST), sandbox.smtp_port), timeout=10)


def test_silent_host_takes_the_connection_and_says_nothing():
    with (
        acme("silent").run_in_thread() as sandbox,
        socket.create_connection((sandbox.host_address(HOST), sandbox.smtp_port), timeout=0.3) as connection,
        pytest.raises(TimeoutError),
    ):
        connection.recv(1)


def test_host_hangs_up_after_a_refusal_only(session):
    with acme("hangs_up_after_refusal").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.rcpt("anna@acme.test")[0] == 250
        assert client.rcpt("gone@acme.test")[0] == 550
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.rcpt("ben@acme.test")


def test_one_recipient_per_transaction_until_rset(session):
    with acme("one_recipient").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        codes = [client.rcpt(f"{name}@acme.test")[0] for name in ("gone", "anna", "ben")]
        client.rset()
        client.mail("probe@ct-sandbox.test")
        codes.append(client.rcpt("ben@acme.test")[0])
    assert codes == [550, 250, 452, 250]


def test_session_limit_ends_the_session(session):
    with acme("session_limit").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        codes = [client.rcpt("anna@acme.test")[0] for _ in range(6)]
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
    assert codes == [250] * 5 + [421]


def test_starttls_with_a_self_signed_certificate_keeps_its_promises(session):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with acme("starttls").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.has_extn("starttls")
        assert client.starttls(context=context)[0] == 220
        client.ehlo("prober.ct-sandbox.test")
        assert not client.has_extn("starttls")
        assert client.rcpt("anna@acme.test")[0] == 503  # the transaction begun in the clear is forgotten
        client.mail("probe@ct-sandbox.test")
        assert client.rcpt("anna@acme.test")[0] == 250


def test_starttls_is_not_offered_without_openssl(session, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    with acme("starttls").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert not client.has_extn("starttls")
        assert client.docmd("STARTTLS")[0] == 502
    assert "mx.acme.test does not offer STARTTLS" in capsys.readouterr().err


def test_smtputf8_names_need_the_parameter_and_a_host_that_offers_it(session):
    def ask(client: smtplib.SMTP) -> int:
        client.send("RCPT TO:<jörg@acme.test>\r\n".encode())
        return client.getreply()[0]

    with acme().run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert ask(client) == 250
        client.rset()
        client.mail("probe@ct-sandbox.test")
        assert ask(client) == 553
    with acme("ascii_only").run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert not client.has_extn("smtputf8")
        assert ask(client) == 553


def test_pipelined_commands_are_answered_in_order(session):
    with acme().run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.has_extn("pipelining")
        client.send(b"RCPT TO:<gone@acme.test>\r\nRCPT TO:<anna@acme.test>\r\nRSET\r\nQUIT\r\n")
        assert [client.getreply()[0] for _ in range(4)] == [550, 250, 250, 221]


def test_commands_out_of_order_or_malformed_are_refused(session):
    with acme().run_in_thread() as sandbox, session(sandbox, HOST) as client:
        assert client.mail("again@ct-sandbox.test")[0] == 503
        assert client.docmd("RCPT", "TO:anna@acme.test")[0] == 501
        client.rset()
        assert client.rcpt("anna@acme.test")[0] == 503
        assert client.docmd("EHLO")[0] == 501
        assert client.docmd("FROBNICATE")[0] == 502
        client.send(b"NOOP " + b"x" * 10_000 + b"\r\n")
        assert client.getreply()[0] == 500


def test_data_is_refused_counted_and_logged(session, tmp_path):
    log = tmp_path / "commands.jsonl"
    with acme(log_path=log).run_in_thread() as sandbox, session(sandbox, HOST) as client:
        client.rcpt("anna@acme.test")
        assert client.docmd("DATA")[0] == 554
        assert sandbox.data_offences == 1
    assert [entry.command for entry in read_command_log(log) if entry.offence] == ["DATA"]


def test_the_log_holds_every_command_before_its_reply_is_read(session, tmp_path):
    log = tmp_path / "commands.jsonl"
    with acme(log_path=log).run_in_thread() as sandbox, session(sandbox, HOST) as client:
        client.rcpt("gone@acme.test")
        entries = list(read_command_log(log))
    assert [(entry.command, entry.address, entry.code) for entry in entries] == [
        ("CONNECT", "", 220),
        ("EHLO", "", 250),
        ("MAIL", "probe@ct-sandbox.test", 250),
        ("RCPT", "gone@acme.test", 550),
    ]
    assert {(entry.host, entry.session) for entry in entries} == {(HOST, 1)}


def test_names_with_one_address_are_one_machine(session):
    hosts = [MailHost("a.mail.test", address="127.77.9.1"), MailHost("b.mail.test", address="127.77.9.1")]
    domains = [MailDomain("a.test", mail_hosts=("a.mail.test",)), MailDomain("b.test", mail_hosts=("b.mail.test",))]
    with (
        Sandbox(hosts=hosts, domains=domains, smtp_port=0, dns_port=0).run_in_thread() as sandbox,
        session(sandbox, "a.mail.test") as client,
    ):
        assert client.rcpt("postmaster@b.test")[0] == 250


def test_names_with_one_address_must_behave_alike():
    hosts = [MailHost("a.test", address="127.77.9.1"), MailHost("b.test", "greylists", address="127.77.9.1")]
    with pytest.raises(SettingsError, match=r"share 127\.77\.9\.1"), Sandbox(hosts=hosts, domains=[]).run_in_thread():
        pass


def test_an_unknown_style_is_named():
    with (
        pytest.raises(SettingsError, match="'pigeon' is no style; one of postfix"),
        Sandbox(hosts=[MailHost("a.test", style="pigeon")], domains=[]).run_in_thread(),
    ):
        pass


def test_a_taken_port_names_the_flag():
    with acme().run_in_thread() as sandbox:
        second = Sandbox(population=PEOPLE, smtp_port=sandbox.smtp_port, dns_port=0)
        with pytest.raises(SettingsError, match=rf"--smtp-port {sandbox.smtp_port} on 127\.77"), second.run_in_thread():
            pass


def test_implicit_mx_host_listens_under_the_domain_itself(session):
    domain = MailDomain("bare.test", DomainDns.IMPLICIT_MX)
    with (
        Sandbox(
            domains=[domain], population=[Mailbox("anna@bare.test")], smtp_port=0, dns_port=0
        ).run_in_thread() as sandbox,
        session(sandbox, "bare.test") as client,
    ):
        assert client.rcpt("anna@bare.test")[0] == 250


def test_a_slow_host_greets_at_once_and_takes_its_time_over_commands():
    with acme(reply_seconds=3600).run_in_thread() as sandbox:
        client = smtplib.SMTP(sandbox.host_address(HOST), sandbox.smtp_port, timeout=10)
        assert client.sock is not None
        client.sock.settimeout(0.2)
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            client.ehlo()
        client.close()
