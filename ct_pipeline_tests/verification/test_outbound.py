"""From where we dial: a source address, a SOCKS5 proxy; what fails on our side is never taken for the host's doing."""

import asyncio
import socket
from dataclasses import replace

import pytest
from pydantic import SecretStr

from ct_pipeline.verification import outbound
from ct_pipeline.verification.connection import Connection, Refusal, Timeouts, open_connection
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.site_run import SiteRun
from ct_pipeline.vocabulary import About, Reason
from ct_pipeline_tests.verification.asking import EGRESS, READER, ask, domain, finished, group, reasons
from ct_pipeline_tests.verification.scripted_host import ScriptedHost, listening, polite
from ct_pipeline_tests.verification.socks5_proxy import Socks5Proxy, running

TIMEOUTS = Timeouts(connect=0.4, reply=2.0)
PASSWORD = "s3cret%2Fword"  # as it stands in a URL; the proxy knows it as s3cret/word
plain = polite(lambda address: b"250 2.1.5 Ok\r\n" if address.startswith("live") else b"550 5.1.1 User unknown\r\n")


def taken_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


async def dialled(port: int, source_address: str | None = None, proxy: str = "") -> Connection | Refusal:
    secret = SecretStr(proxy) if proxy else None
    outcome = await open_connection("127.0.0.1", port, "mx.test", "prober.test", TIMEOUTS, source_address, proxy=secret)
    if isinstance(outcome, Connection):
        await outcome.quit()
    return outcome


async def dialled_through(proxy: Socks5Proxy, url: str = "") -> tuple[ScriptedHost, Connection | Refusal]:
    async with listening(plain) as host, running(proxy):
        return host, await dialled(host.port, proxy=url.replace("PORT", str(proxy.port)) or proxy.url)


def test_the_host_sees_the_source_address():
    async def main() -> tuple[str, Connection | Refusal]:
        async with listening(plain) as host:
            outcome = await dialled(host.port, source_address="127.0.0.77")
            return host.open_sessions[0].get_extra_info("peername")[0], outcome

    seen, outcome = asyncio.run(main())
    assert seen == "127.0.0.77"
    assert isinstance(outcome, Connection)


def test_a_source_address_that_is_not_ours_is_our_trouble():
    outcome = asyncio.run(dialled(taken_port(), source_address="192.0.2.7"))
    assert isinstance(outcome, Refusal)
    assert outcome.is_ours
    assert outcome.reply.text == "our source address 192.0.2.7 cannot be used: Cannot assign requested address"
    assert READER.read(outcome.reply).reason is Reason.EGRESS_TROUBLE


def test_a_host_of_another_address_family_is_only_unreachable():
    outcome = asyncio.run(dialled(taken_port(), source_address="::1"))
    assert isinstance(outcome, Refusal)
    assert not outcome.is_ours
    assert outcome.reply.text.startswith("no route: ")


@pytest.mark.parametrize("credentials", [None, ("someone", "s3cret/word")], ids=["open", "with a password"])
def test_a_proxy_connects_us_and_is_told_an_address(credentials: tuple[str, str] | None):
    proxy = Socks5Proxy(credentials)
    who = f"someone:{PASSWORD}@" if credentials else ""
    host, outcome = asyncio.run(dialled_through(proxy, f"socks5://{who}127.0.0.1:PORT"))
    assert isinstance(outcome, Connection)
    assert host.commands == ["EHLO prober.test", "QUIT"]
    assert proxy.asked == [("127.0.0.1", host.port)]


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (Socks5Proxy(("someone", "else")), "our proxy will not connect us: Username and password"),
        (Socks5Proxy(reply=1), "our proxy will not connect us: General SOCKS server failure"),
        (Socks5Proxy(reply=2), "our proxy will not connect us: Connection not allowed by ruleset"),
        (Socks5Proxy(reply=99), "our proxy will not connect us: "),
        (Socks5Proxy(hangs_up=True), "our proxy will not connect us: Connection closed"),
        (Socks5Proxy(is_mute=True), "our proxy does not answer in time"),
    ],
    ids=["wrong password", "failure", "not allowed", "nonsense", "hangs up", "mute"],
)
def test_trouble_of_the_proxy_is_ours(proxy: Socks5Proxy, words: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbound, "PROXY_GREETS_WITHIN_SECONDS", 0.2)
    host, outcome = asyncio.run(dialled_through(proxy, f"socks5://someone:{PASSWORD}@127.0.0.1:PORT"))
    assert isinstance(outcome, Refusal)
    assert outcome.is_ours
    assert outcome.reply.text.startswith(words)
    assert "s3cret" not in outcome.reply.text
    reading = READER.read(outcome.reply)
    assert (reading.reason, reading.about) == (Reason.EGRESS_TROUBLE, About.US)
    assert host.session_count == 0


def test_a_proxy_that_wants_a_password_and_gets_none_is_our_trouble():
    _, outcome = asyncio.run(dialled_through(Socks5Proxy(("someone", "else")), "socks5://127.0.0.1:PORT"))
    assert isinstance(outcome, Refusal)
    assert outcome.is_ours
    assert "authentication" in outcome.reply.text


def test_a_proxy_that_is_not_there_is_our_trouble():
    outcome = asyncio.run(dialled(taken_port(), proxy=f"socks5://someone:{PASSWORD}@127.0.0.1:{taken_port()}"))
    assert isinstance(outcome, Refusal)
    assert outcome.is_ours
    assert outcome.reply.text == "our proxy cannot be reached: Connection refused"


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        (Socks5Proxy(reply=3), Reason.CONNECTION_REFUSED),
        (Socks5Proxy(reply=4), Reason.CONNECTION_REFUSED),
        (Socks5Proxy(reply=5), Reason.CONNECTION_REFUSED),
        (Socks5Proxy(reply=6), Reason.CONNECTION_TIMEOUT),
        (Socks5Proxy(reply=8), Reason.CONNECTION_REFUSED),
        (Socks5Proxy(is_stuck=True), Reason.CONNECTION_TIMEOUT),
    ],
    ids=["no network", "no host", "refused", "expired", "no such kind", "silent"],
)
def test_what_the_proxy_says_of_the_host_is_the_hosts(proxy: Socks5Proxy, reason: Reason):
    _, outcome = asyncio.run(dialled_through(proxy))
    assert isinstance(outcome, Refusal)
    assert not outcome.is_ours
    assert READER.read(outcome.reply).reason is reason


def test_a_whole_site_is_asked_through_the_proxy():
    async def main() -> tuple[Socks5Proxy, ScriptedHost, Observations]:
        async with listening(plain) as host, running(Socks5Proxy()) as proxy:
            egress = replace(EGRESS, proxy=SecretStr(proxy.url))
            _, page = await ask(host.port, domain("a.test", ["live0", "dead1"]), egress=egress)
            return proxy, host, page

    proxy, host, page = asyncio.run(main())
    assert reasons(page) == {1: "accepted", 2: "mailbox_not_found"}
    assert len(proxy.asked) == host.session_count


def test_while_the_proxy_is_down_nothing_is_burned_and_no_host_is_held_to_be_dead():
    async def main() -> tuple[ScriptedHost, SiteRun, Observations]:
        async with listening(plain) as host:
            egress = replace(EGRESS, proxy=SecretStr(f"socks5://127.0.0.1:{taken_port()}"))
            run, page = await ask(
                host.port,
                domain("a.test", ["live0", "live1"]),
                addresses=("127.0.0.1", "127.0.0.2"),
                further_groups=(group(domain("b.test", ["live2"], 3), addresses=("127.0.0.1", "127.0.0.2")),),
                egress=egress,
            )
            return host, run, page

    host, run, page = asyncio.run(main())
    assert host.session_count == 0
    assert run.stopped_because is not None
    assert run.stopped_because.reason is Reason.EGRESS_TROUBLE
    assert {turn.address_id: turn.attempt_count for turn in page.turns} == {1: 0, 2: 0, 3: 0}
    assert not finished(page)
    assert len(page.sessions) == 1, "one look is enough"
