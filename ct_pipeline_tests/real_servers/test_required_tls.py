"""Hosts that answer nobody in the clear, with certificates and protocols that no browser would take."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline_tests.real_servers.contact_list import statuses, truth, verified
from ct_pipeline_tests.real_servers.conversation import SENDER, ask, hello
from ct_pipeline_tests.real_servers.real_server import RealServer

REQUIRED = {"smtpd_tls_security_level": "encrypt"}


def test_who_says_mail_before_starttls_is_sent_back(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(starttls=True, options=REQUIRED)
    assert ask(server, "li") == (530, "5.7.0 Must issue a STARTTLS command first")
    with hello(server) as client:
        client.starttls()
        client.ehlo()
        assert client.mail(SENDER)[0] == 250
        assert [client.rcpt(f"{user}@{server.domain}")[0] for user in ("li", "nobody-here")] == [250, 550]


@pytest.mark.parametrize("tls", ["starttls", "outdated_tls"])
def test_required_tls_is_begun_whatever_the_certificate_is_worth(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer], tls: str
) -> None:
    server = start_postfix(options=REQUIRED, **{tls: True})
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert statuses(rows) == truth(server)
    with open_ledger(pipeline_settings) as conn:
        assert conn.execute("select distinct is_tls from ledger.sessions").fetchall() == [(True,)]


def test_a_host_that_offers_outdated_tls_is_asked_all_the_same(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(outdated_tls=True)
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert statuses(rows) == truth(server)


def test_a_host_whose_required_tls_does_not_work_makes_nobody_invalid(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    """It offers no cipher that anybody else knows: no session can come about, and the clear text is refused."""
    options = REQUIRED | {"tls_medium_cipherlist": "PSK-NULL-SHA:@SECLEVEL=0", "smtpd_tls_protocols": "<=TLSv1.2"}
    options["smtpd_tls_mandatory_protocols"] = "<=TLSv1.2"
    server = start_postfix(starttls=True, options=options)
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("unknown", "tls_or_login_required")}
    assert all(row["next_check_at"] for row in rows.values())
