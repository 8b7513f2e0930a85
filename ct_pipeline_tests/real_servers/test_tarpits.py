"""Hosts that answer slowly on purpose: within our patience they are waited for, beyond it nobody is misjudged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ct_pipeline.settings import Settings
from ct_pipeline_tests.real_servers.contact_list import statuses, truth, verified
from ct_pipeline_tests.real_servers.real_server import RealServer
from ct_pipeline_tests.real_servers.traffic import Watch

AT_THE_DOOR = {"smtpd_client_restrictions": "sleep 1", "smtpd_delay_reject": "no"}
AT_EACH_RECIPIENT = {"smtpd_client_restrictions": "sleep 1"}  # which Postfix applies again at every RCPT


@pytest.mark.parametrize("options", [AT_THE_DOOR, AT_EACH_RECIPIENT], ids=["at the door", "at each recipient"])
def test_a_slow_host_is_waited_for(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer], options: dict[str, str]
) -> None:
    server = start_postfix(options=options)
    few = [server.live_addresses[0], server.dead_addresses[0]]
    rows = verified(pipeline_settings, tmp_path, few)
    assert statuses(rows) == {email: truth(server)[email] for email in few}


@pytest.mark.parametrize("options", [AT_THE_DOOR, AT_EACH_RECIPIENT], ids=["at the door", "at each recipient"])
def test_a_host_slower_than_our_patience_is_left_alone(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer], options: dict[str, str]
) -> None:
    """A reply that comes too late answers nothing, and must not be taken for the next one's."""
    settings = pipeline_settings.model_copy(update={"reply_timeout_seconds": 0.5, "greeting_timeout_seconds": 0.5})
    server = start_postfix(options=options)
    watch = Watch(server)
    rows = verified(settings, tmp_path, server.live_addresses + server.dead_addresses)
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("unknown", "command_timeout")}
    assert all(row["next_check_at"] for row in rows.values())
    assert watch.traffic().sessions <= 3


def test_a_host_that_slows_down_with_each_unknown_user_is_waited_for(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    """Postfix pauses for a second at each error of a session but the first one here; the made-up name is one, too."""
    server = start_postfix(options={"smtpd_soft_error_limit": "1", "smtpd_error_sleep_time": "1s"})
    few = [server.live_addresses[0], *server.dead_addresses[:2]]
    rows = verified(pipeline_settings, tmp_path, few)
    assert statuses(rows) == {email: truth(server)[email] for email in few}
