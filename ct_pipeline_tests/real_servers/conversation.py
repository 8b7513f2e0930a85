"""Plain conversations of the standard library with a real server: what it says, whoever asks."""

import smtplib

from ct_pipeline_tests.real_servers.real_server import RealServer

SENDER = "check@prober.test"


def hello(server: RealServer) -> smtplib.SMTP:
    """A client that has been greeted and has said EHLO; leaving its block says QUIT."""
    client = smtplib.SMTP(server.address, server.port, local_hostname="prober.test", timeout=30)
    client.ehlo()
    return client


def ask(server: RealServer, user: str, domain: str = "", sender: str = SENDER) -> tuple[int, str]:
    """The reply to one RCPT in a session of its own, or to the MAIL before it when that is refused."""
    with hello(server) as client:
        code, text = client.mail(sender)
        if code == 250:
            code, text = client.rcpt(f"{user}@{domain or server.domain}")
    return code, text.decode()
