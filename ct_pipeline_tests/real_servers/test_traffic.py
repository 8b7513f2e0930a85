"""The counts that tests of politeness stand on, held against conversations of known length."""

import time
from collections.abc import Callable

import pytest

from ct_pipeline_tests.real_servers.conversation import SENDER, ask, hello
from ct_pipeline_tests.real_servers.real_server import RealServer
from ct_pipeline_tests.real_servers.traffic import Traffic, Watch, tells_of_data


@pytest.mark.parametrize("server_name", ["postfix", "exim"])
def test_sessions_recipients_and_connections_at_once_are_counted(
    request: pytest.FixtureRequest, server_name: str
) -> None:
    server: RealServer = request.getfixturevalue(server_name)
    ask(server, "li")
    watch = Watch(server)
    assert watch.traffic() == Traffic(sessions=0, rcpts=0, most_at_once=0, complaints=0)
    with hello(server), hello(server) as client:
        client.mail(SENDER)
        for address in (server.live_addresses[0], *server.dead_addresses[:2]):
            client.rcpt(address)
    ask(server, "li")
    assert watch.traffic() == Traffic(sessions=3, rcpts=4, most_at_once=2, complaints=0)


def test_what_postfix_complains_of_is_counted(start_postfix: Callable[..., RealServer]) -> None:
    server = start_postfix(options={"smtpd_client_recipient_rate_limit": "1", "anvil_rate_time_unit": "1h"})
    watch = Watch(server)
    for _ in range(3):
        ask(server, "li")
    assert watch.traffic() == Traffic(sessions=3, rcpts=3, most_at_once=1, complaints=2)


def test_what_exim_complains_of_is_counted(start_exim: Callable[..., RealServer]) -> None:
    server = start_exim(options={"smtp_accept_max_nonmail": "0"})
    watch = Watch(server)
    client = hello(server)
    assert [client.docmd("RSET")[0] for _ in range(2)] == [250, 554]
    client.close()
    assert watch.traffic() == Traffic(sessions=1, rcpts=0, most_at_once=1, complaints=1)


@pytest.mark.parametrize("is_in_turn", [True, False], ids=["in turn", "out of turn"])
@pytest.mark.parametrize("server_name", ["postfix", "exim", "opensmtpd"])
def test_data_is_noticed(request: pytest.FixtureRequest, server_name: str, *, is_in_turn: bool) -> None:
    server: RealServer = request.getfixturevalue(server_name)
    seen = len(server.log())
    client = hello(server)
    if is_in_turn:
        client.mail(SENDER)
        client.rcpt(server.live_addresses[0])
    client.docmd("DATA")
    client.close()
    deadline = time.monotonic() + 10
    while not tells_of_data(server.log()[seen:]):
        assert time.monotonic() < deadline, server.log()[seen:]
        time.sleep(0.02)
