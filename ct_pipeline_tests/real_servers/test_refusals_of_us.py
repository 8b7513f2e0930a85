"""Hosts that refuse us, our name or our sender: nobody becomes invalid for it, and one refusal is enough.

Postfix holds such a refusal back until RCPT unless told otherwise, so that it comes as the answer to a recipient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline_tests.real_servers.contact_list import ContactList, statuses, truth, verified
from ct_pipeline_tests.real_servers.conversation import SENDER, ask, hello
from ct_pipeline_tests.real_servers.real_server import RealServer, public_folder
from ct_pipeline_tests.real_servers.traffic import Watch

NO_NULL_SENDER = {"smtpd_sender_restrictions": "check_sender_access inline:{{<> = REJECT}}"}


@dataclass(frozen=True)
class Refusal:
    """What Postfix is told, what it says, and what that means."""

    options: dict[str, str]
    reply: tuple[int, str]
    reason: str
    sender: str = SENDER


REFUSALS = {
    "a client on a list": Refusal(
        {"smtpd_client_restrictions": "check_client_access static:REJECT"},
        (554, "5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied"),
        "prober_blocked",
    ),
    "a client for now": Refusal(
        {"smtpd_client_restrictions": "check_client_access static:{450 4.7.25 cannot find your hostname}"},
        (450, "4.7.25 <localhost[127.0.0.1]>: Client host rejected: cannot find your hostname"),
        "prober_blocked",
    ),
    "a HELO name that does not resolve": Refusal(
        {"smtpd_helo_restrictions": "check_helo_access static:{450 4.7.1 Host not found}"},
        (450, "4.7.1 <prober.test>: Helo command rejected: Host not found"),
        "prober_blocked",
    ),
    "a HELO name on a list": Refusal(
        {"smtpd_helo_restrictions": "check_helo_access static:REJECT"},
        (554, "5.7.1 <prober.test>: Helo command rejected: Access denied"),
        "prober_blocked",
    ),
    "a sender whose domain is unknown": Refusal(
        {"smtpd_sender_restrictions": "check_sender_access static:{450 4.1.8 Domain not found}"},
        (450, f"4.1.8 <{SENDER}>: Sender address rejected: Domain not found"),
        "sender_refused",
    ),
    "the null sender": Refusal(
        NO_NULL_SENDER, (554, "5.7.1 <>: Sender address rejected: Access denied"), "sender_refused", sender=""
    ),
}


@pytest.fixture(params=REFUSALS.values(), ids=list(REFUSALS))
def refusal(request: pytest.FixtureRequest) -> Refusal:
    """Each of them in turn."""
    return request.param


@pytest.fixture(params=["yes", "no"], ids=["at RCPT", "at once"])
def options(request: pytest.FixtureRequest, refusal: Refusal) -> dict[str, str]:
    """The refusal's lines of main.cf: held back until RCPT, or said at once."""
    return {**refusal.options, "smtpd_delay_reject": request.param}


def test_postfix_holds_a_refusal_back_until_rcpt(start_postfix: Callable[..., RealServer], refusal: Refusal) -> None:
    server = start_postfix(options=refusal.options)
    assert ask(server, "li", sender=refusal.sender) == refusal.reply
    assert ask(server, "nobody-here", sender=refusal.sender) == refusal.reply


def test_postfix_forgets_a_helo_name_that_it_refused_at_once(start_postfix: Callable[..., RealServer]) -> None:
    """Who goes on regardless is answered; a polite client takes it for a no."""
    server = start_postfix(
        options={"smtpd_helo_restrictions": "check_helo_access static:REJECT", "smtpd_delay_reject": "no"}
    )
    with hello(server) as client:
        assert client.ehlo("prober.test")[0] == 554
        assert client.mail(SENDER)[0] == 250


def test_a_refusal_of_us_is_believed_the_first_time_and_makes_nobody_invalid(
    pipeline_settings: Settings,
    tmp_path: Path,
    start_postfix: Callable[..., RealServer],
    refusal: Refusal,
    options: dict[str, str],
) -> None:
    settings = pipeline_settings.model_copy(update={"mail_from": refusal.sender})
    server = start_postfix(options=options)
    watch = Watch(server)
    rows = verified(settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("unknown", refusal.reason)}
    assert all(row["next_check_at"] for row in rows.values())
    seen = watch.traffic()
    assert seen.rcpts <= 2, "the first address, and the made-up name if it was sent along"
    assert seen.sessions <= 2


def test_a_host_that_minds_the_null_sender_answers_a_real_one(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(options=NO_NULL_SENDER)
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert statuses(rows) == truth(server)


def test_all_answers_come_once_a_refusal_is_lifted(
    pipeline_settings: Settings, tmp_path: Path, start_exim: Callable[..., RealServer]
) -> None:
    with public_folder() as folder:
        (block := folder / "block").touch()
        server = start_exim(options={"host_reject_connection": f"${{if exists{{{block}}}{{*}}{{}}}}"})
        contacts = ContactList(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
        first = contacts.verify()
        assert {(row["status"], row["reason"]) for row in first.values()} == {("unknown", "prober_blocked")}
        block.unlink()
        contacts.let_time_pass()
        assert statuses(contacts.verify()) == truth(server)
