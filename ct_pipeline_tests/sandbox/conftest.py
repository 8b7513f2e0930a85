"""Blocking clients for the sandbox under test: what a stranger's SMTP and DNS libraries make of it."""

import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.message
import dns.query
import pytest

from ct_pipeline.sandbox.internet import Sandbox


@contextmanager
def smtp_session(sandbox: Sandbox, host: str) -> Iterator[smtplib.SMTP]:
    """A session with ``host`` after EHLO and MAIL; the connection is closed at the end, whatever happened."""
    client = smtplib.SMTP(sandbox.host_address(host), sandbox.smtp_port, timeout=10)
    try:
        client.ehlo("prober.ct-sandbox.test")
        assert client.mail("probe@ct-sandbox.test", ["SMTPUTF8"] if client.has_extn("smtputf8") else [])[0] == 250
        yield client
    finally:
        client.close()


@pytest.fixture
def session() -> Callable:
    return smtp_session


@pytest.fixture
def ask_dns() -> Callable[..., dns.message.Message]:
    def ask(sandbox: Sandbox, name: str, rdtype: str, *, tcp: bool = False, edns: bool = True) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, use_edns=0 if edns else False)
        address, _, port = sandbox.nameserver.partition(":")
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, address, timeout=5, port=int(port))

    return ask
