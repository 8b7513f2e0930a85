"""postgrey, as many small sites run it: what it says, and what becomes of a list whose first visit it puts off."""

import time
from collections.abc import Callable
from pathlib import Path

from ct_pipeline.settings import Settings
from ct_pipeline_tests.real_servers.contact_list import ContactList, statuses, truth
from ct_pipeline_tests.real_servers.conversation import ask
from ct_pipeline_tests.real_servers.real_server import RealServer
from ct_pipeline_tests.real_servers.traffic import Watch


def test_postgrey_defers_a_first_contact(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(greylist_seconds=300)
    code, text = ask(server, "postmaster")
    assert code == 450
    assert "Greylisted" in text
    assert ask(server, "nobody-here")[0] in (450, 550)


def test_postgrey_lets_in_who_comes_back_as_the_same(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(greylist_seconds=1)
    assert [ask(server, user)[0] for user in ("li", "nobody-here")] == [450, 450]
    time.sleep(1)
    assert [ask(server, user)[0] for user in ("li", "nobody-here")] == [250, 550]
    assert ask(server, "li", sender="someone-else@prober.test")[0] == 450


def test_a_first_visit_is_put_off_and_so_is_one_too_early(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(greylist_seconds=300)
    contacts = ContactList(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    for _ in range(2):
        rows = contacts.verify()
        assert {(row["status"], row["reason"]) for row in rows.values()} == {("unknown", "greylisted")}
        assert all(row["next_check_at"] for row in rows.values())
        contacts.let_time_pass()


def test_the_second_visit_gets_every_answer(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    server = start_postfix(greylist_seconds=1)
    contacts = ContactList(pipeline_settings, tmp_path, server.live_addresses + server.dead_addresses)
    watch = Watch(server)
    first = contacts.verify()
    assert set(statuses(first).values()) == {"unknown"}
    asked = watch.traffic().rcpts
    assert asked <= len(first) + 1, "each address once, and the made-up name"

    contacts.verify()
    assert watch.traffic().rcpts == asked, "nobody's turn has come"

    time.sleep(1)
    contacts.let_time_pass()
    assert statuses(contacts.verify()) == truth(server)


def test_contacts_that_join_a_domain_later_wait_for_themselves(
    pipeline_settings: Settings, tmp_path: Path, start_postfix: Callable[..., RealServer]
) -> None:
    """postgrey knows neither us nor the domain, only each sender and recipient."""
    server = start_postfix(greylist_seconds=1)
    (early := tmp_path / "early").mkdir()
    (late := tmp_path / "late").mkdir()
    first = ContactList(pipeline_settings, early, [server.live_addresses[0], server.dead_addresses[0]])
    first.verify()
    time.sleep(1)
    first.let_time_pass()
    second = ContactList(pipeline_settings, late, [server.live_addresses[1], server.dead_addresses[1]])
    assert set(statuses(second.verify()).values()) == {"unknown"}
    assert set(statuses(first.verify()).values()) == {"valid", "invalid"}
    time.sleep(1)
    second.let_time_pass()
    found = statuses(second.verify()) | statuses(first.verify())
    assert len(found) == 4
    assert found.items() <= truth(server).items()
