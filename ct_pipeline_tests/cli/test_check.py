"""``ct-pipeline check``: the right verdict in plain words for every situation that a mail host can put us into."""

import time

import pytest

from ct_pipeline.domains.lanes import lane_of
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.storage.lanes import LaneLock
from ct_pipeline_tests.cli.conftest import CommandLine

# what is given -> (first line, words of the explanation and of the evidence)
SITUATIONS = {
    "ann@shop.test": (
        "ann@shop.test  valid · accepted · safe to send: yes",
        ["The mail server of shop.test accepts mail for this mailbox.", "mail hosts   mx.shop", "reply        250"],
    ),
    "nobody@shop.test": (
        "nobody@shop.test  invalid · mailbox_not_found · safe to send: no",
        ["says that this mailbox does not exist", "reply        550"],
    ),
    "info@shop.test": (
        "info@shop.test  valid · accepted · safe to send: risky",
        ["names a function rather than a person", "flags        role"],
    ),
    "full@shop.test": (
        "full@shop.test  unknown · mailbox_full · safe to send: risky",
        ["The mailbox exists but is full", "ask again    in 2"],
    ),
    "anyone@all.test": (
        "anyone@all.test  catch_all · safe to send: risky",
        ["accepts mail for every name, so nobody outside can tell"],
    ),
    "anyone@mailinator.com": (
        "anyone@mailinator.com  catch_all · safe to send: risky",
        ["flags        disposable"],
    ),
    "ann@grey.test": (
        "ann@grey.test  unknown · greylisted · safe to send: unknown",
        ["asks everyone new to come back later", "ask again    in ", "by the same command"],
    ),
    "ann@block.test": (
        "ann@block.test  unknown · prober_blocked · safe to send: unknown",
        ["turns our server away, which says nothing about the mailbox"],
    ),
    "ann@dead.test": (
        "ann@dead.test  unknown · connection_refused · safe to send: unknown",
        ["do not accept connections", "no reply     connection refused"],
    ),
    "ann@inner.test": (
        "ann@inner.test  invalid · unroutable_mail_server · safe to send: no",
        ["has only addresses that are not on the public internet (10.0.0.1)"],
    ),
    "ann@nullmx.test": (
        "ann@nullmx.test  invalid · null_mx · safe to send: no",
        ["states that it takes no mail", "RFC 7505"],
    ),
    "ann@web.test": ("ann@web.test  invalid · no_mail_service · safe to send: no", ["has no mail server"]),
    "ann@broken.test": (
        "ann@broken.test  unknown · dns_server_failure · safe to send: unknown",
        ["its name servers fail", "answered SERVFAIL"],
    ),
    "ann@gone.test": (
        "ann@gone.test  invalid · domain_not_found · safe to send: no",
        ["The domain gone.test does not exist."],
    ),
    "ct-sandbox-0001@gmial.com": (
        "ct-sandbox-0001@gmial.com  invalid · domain_not_found · safe to send: no",
        ["ct-sandbox-0001@gmail.com may have been meant", "meant?       ct-sandbox-0001@gmail.com"],
    ),
    "ct-sandbox-0001@outlook.com": (
        "ct-sandbox-0001@outlook.com  unknown · provider_forbids_probing · safe to send: unknown",
        ["does not allow us to ask", "provider     outlook"],
    ),
    "ct-sandbox-0001@yahoo.com": (
        "ct-sandbox-0001@yahoo.com  unknown · provider_hides_answer · safe to send: risky",
        ["does not reveal whether a mailbox exists", "flags        free"],
    ),
    "Ann <ANN@BÜCHER.test>": (
        "ann@xn--bcher-kva.test  valid · accepted · safe to send: yes",
        ["given as     'Ann <ANN@BÜCHER.test>'", "in letters   ann@bücher.test"],
    ),
    "jörg@ascii.test": (
        "jörg@ascii.test  unknown · smtputf8_required · safe to send: unknown",
        ["cannot handle the international letters", "not asked    the host does not offer SMTPUTF8"],
    ),
    "ann shop.test": ("ann shop.test  invalid · syntax_error · safe to send: no", ["not a valid email address"]),
    "": ("''  invalid · syntax_error · safe to send: no", ["not a valid email address"]),
}


@pytest.fixture(scope="module")
def shown(module_cli: CommandLine) -> dict[str, str]:
    """What is shown of each address."""
    result = module_cli("check", *SITUATIONS)
    assert result.exit_code == 0, result.output
    blocks = result.stdout.strip().split("\n\n")
    return dict(zip(SITUATIONS, blocks, strict=True))


@pytest.mark.parametrize("given", SITUATIONS)
def test_the_verdict_is_right_and_explained(given: str, shown: dict[str, str]) -> None:
    title, words = SITUATIONS[given]
    assert shown[given].splitlines()[0].startswith(f"{title} · score ")
    for expected in words:
        assert expected in shown[given]


def test_a_greylisted_address_is_settled_by_the_same_command_later(cli: CommandLine) -> None:
    assert "unknown · greylisted" in cli("check", "bob@grey.test").stdout
    asked = len(cli.asked("grey.test"))
    assert "unknown · greylisted" in cli("check", "bob@grey.test").stdout
    assert len(cli.asked("grey.test")) == asked, "nobody is asked again before the time that the host has named"
    for _ in range(20):
        time.sleep(1)
        if "valid · accepted" in cli("check", "bob@grey.test").stdout:
            return
    pytest.fail("the greylisted address was never settled")


def test_a_fresh_answer_is_shown_and_not_asked_again(cli: CommandLine) -> None:
    first = cli("check", "ann@shop.test").stdout
    asked = len(cli.asked("shop.test"))
    assert cli("check", "ann@shop.test").stdout == first
    assert len(cli.asked("shop.test")) == asked


def test_the_same_address_twice_is_shown_twice(cli: CommandLine) -> None:
    shown = cli("check", "ann@shop.test", "Ann@Shop.test").stdout
    assert shown.count("ann@shop.test  valid") == 2


def test_an_address_whose_lane_another_run_holds_says_so(cli: CommandLine) -> None:
    cli("db", "upgrade")
    lock = LaneLock(cli.environment["CT_DATABASE_URL"], lane_of("shop.test", load_providers()))
    assert lock.acquire()
    try:
        shown = cli("check", "ann@shop.test")
    finally:
        lock.release()
    assert shown.exit_code == 0
    assert "not_asked_yet" in shown.stdout
    assert "not asked    another run works on this lane: try again in a moment" in shown.stdout


def test_too_many_addresses_are_sent_to_verify(cli: CommandLine) -> None:
    result = cli("check", *[f"user{number}@shop.test" for number in range(101)])
    assert result.exit_code == 2
    assert "101 are more than 100" in result.stderr
    assert "ct-pipeline verify" in result.stderr


def test_a_forbidden_provider_is_asked_only_when_the_operator_says_so(cli: CommandLine) -> None:
    addresses = ["ct-sandbox-0001@outlook.com", "ct-sandbox-0002@outlook.com"]
    before = len(cli.asked("outlook.com"))
    assert cli("check", *addresses).stdout.count("unknown · provider_forbids_probing") == 2
    assert len(cli.asked("outlook.com")) == before

    asked = cli("check", *addresses, CT_PROBE_FORBIDDEN="true").stdout
    assert "ct-sandbox-0001@outlook.com  valid · accepted" in asked
    assert "ct-sandbox-0002@outlook.com  invalid · mailbox_not_found" in asked
    assert len(cli.asked("outlook.com")) == before + 1

    # what was observed stands, also when nobody may be asked any more
    first, _, _ = asked.partition("ct-sandbox-0002")
    again = cli("check", *addresses).stdout
    assert "before       unknown · provider_forbids_probing" in first
    assert "before " not in again
    assert again.splitlines() == [line for line in asked.splitlines() if "before " not in line]
    assert len(cli.asked("outlook.com")) == before + 1
