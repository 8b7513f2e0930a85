"""A contact file through every stage, against real servers: each verdict is held against their tables of users."""

from collections.abc import Callable
from pathlib import Path

from ct_pipeline.settings import Settings
from ct_pipeline_tests.real_servers.contact_list import statuses, truth, verified
from ct_pipeline_tests.real_servers.real_server import RealServer
from ct_pipeline_tests.real_servers.traffic import tells_of_data

ABSENT = [f"absent-{number:02}" for number in range(30)]  # more than Exim's default lets one session reset


def test_every_verdict_agrees_with_the_servers_user_table(
    pipeline_settings: Settings, tmp_path: Path, mail_server: RealServer
) -> None:
    dead = [*mail_server.dead_addresses, *(f"{user}@{mail_server.domain}" for user in ABSENT)]
    rows = verified(pipeline_settings, tmp_path, mail_server.live_addresses + dead)
    expected = dict.fromkeys(mail_server.live_addresses, ("valid", "accepted", "none"))
    expected |= dict.fromkeys(dead, ("invalid", "mailbox_not_found", "hard"))
    assert {email: (row["status"], row["reason"], row["bounce_type"]) for email, row in rows.items()} == expected
    assert {row["mx_record"] for row in rows.values()} == {mail_server.host}


def test_a_list_over_all_servers_and_domains_without_mail(
    pipeline_settings: Settings,
    tmp_path: Path,
    postfix: RealServer,
    exim: RealServer,
    opensmtpd: RealServer,
) -> None:
    servers = (postfix, exim, opensmtpd)
    expected = {
        **{server.live_addresses[0]: ("valid", "accepted") for server in servers},
        **{server.dead_addresses[0]: ("invalid", "mailbox_not_found") for server in servers},
        "ann@null-mx.test": ("invalid", "null_mx"),
        "ann@no-mail.test": ("invalid", "no_mail_service"),
        "ann@absent.test": ("invalid", "domain_not_found"),
    }
    seen = [len(server.log()) for server in servers]
    rows = verified(pipeline_settings, tmp_path, expected)
    assert {email: (row["status"], row["reason"]) for email, row in rows.items()} == expected
    assert not any(tells_of_data(server.log()[start:]) for server, start in zip(servers, seen, strict=True))


def test_a_limit_of_recipients_costs_no_answer(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(options={"smtpd_recipient_limit": "2"})
    assert statuses(verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)) == truth(
        server
    )


def test_a_host_that_hangs_up_after_errors_is_never_misread(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    """Without its pause, Postfix says 421 in the same breath as the last refusal: a reply that nothing asked for."""
    server = start_postfix(options={"smtpd_hard_error_limit": "2", "smtpd_error_sleep_time": "0"})
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert {
        email for email, status in statuses(rows).items() if status not in ("unknown", truth(server)[email])
    } == set()


def test_a_catch_all_is_found(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(options={"virtual_mailbox_maps": "static:everyone"})
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert set(statuses(rows).values()) == {"catch_all"}


def test_a_full_and_a_disabled_mailbox(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(
        live_users=("postmaster", "full", "disabled"),
        rejects={
            "full@": "452 4.2.2 The email account that you tried to reach is over quota",
            "disabled@": "550 5.2.1 The email account that you tried to reach is disabled",
        },
    )
    rows = verified(pipeline_settings, tmp_path, server.live_addresses)
    found = {email.split("@")[0]: (row["status"], row["reason"]) for email, row in rows.items()}
    assert found == {
        "postmaster": ("valid", "accepted"),
        "full": ("unknown", "mailbox_full"),
        "disabled": ("invalid", "mailbox_disabled"),
    }


def test_greylisting_is_unknown_and_due_again(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(greylist_seconds=300)
    rows = verified(pipeline_settings, tmp_path, server.live_addresses)
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("unknown", "greylisted")}
    assert all(row["next_check_at"] for row in rows.values())


def test_a_host_that_blocks_us_makes_nobody_invalid(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    refusal = "static:{554 5.7.1 Service unavailable; client blocked using zen.spamhaus.org}"
    server = start_postfix(options={"smtpd_client_restrictions": f"check_client_access {refusal}"})
    rows = verified(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert set(statuses(rows).values()) == {"unknown"}
