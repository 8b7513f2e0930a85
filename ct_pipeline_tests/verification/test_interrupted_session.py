"""A session that somebody wants to stop hears what it has asked, says QUIT, and keeps only what is proven."""

import asyncio
from collections.abc import Callable

import pytest

from ct_pipeline.verification import exchange
from ct_pipeline.verification.notebook import Observations
from ct_pipeline_tests.verification.asking import domain, finished, reasons, site_run
from ct_pipeline_tests.verification.scripted_host import Script, ScriptedHost, listening, polite

NAMES = ["dead0", "live1", "dead2", "live3"]
LAST_QUESTION = "RCPT TO:<dead2@a.test>"

plain = polite(lambda address: b"250 2.1.5 Ok\r\n" if address.startswith("live") else b"550 5.1.1 User unknown\r\n")


def interrupted(script: Script, at: str = LAST_QUESTION) -> tuple[ScriptedHost, Observations]:
    """Ask about NAMES and cancel when the command ``at`` has come, before it is answered."""

    async def main() -> tuple[ScriptedHost, Observations]:
        def answer(command: str) -> list[bytes]:
            if command.startswith(at):
                running.cancel()
            return script(command)

        async with listening(answer) as host:
            run = site_run(host.port, domain("a.test", NAMES, is_catch_all=False))
            running = asyncio.create_task(run.run())
            with pytest.raises(asyncio.CancelledError):
                await running
            return host, run.notebook.tear_off()

    return asyncio.run(main())


def changed(at: str, change: Callable[[list[bytes]], list[bytes]]) -> Script:
    return lambda command: change(plain(command)) if command.startswith(at) else plain(command)


def test_the_reply_to_what_was_asked_is_heard_and_kept():
    host, page = interrupted(plain)
    assert host.asked() == ["dead0@a.test", "live1@a.test", "dead2@a.test"]
    assert host.commands[-1] == "QUIT"
    assert reasons(page) == {1: "mailbox_not_found", 2: "accepted", 3: "mailbox_not_found"}
    assert finished(page) == {1, 2, 3}


def test_nothing_is_asked_when_only_the_sender_was_announced():
    host, page = interrupted(plain, at="MAIL")
    assert host.asked() == []
    assert host.commands[-1] == "QUIT"
    assert not page.probes
    assert not page.turns


def test_a_host_that_keeps_silent_hears_quit_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "INTERRUPTED_TIMEOUT_SECONDS", 0.1)
    host, page = interrupted(changed(LAST_QUESTION, lambda _said: []))
    assert host.commands[-1] == "QUIT"
    assert finished(page) == set(), "whether the host was in step is not known"


def test_answers_of_a_host_that_is_out_of_step_are_not_kept():
    # From the stray reply on, each answer is that of the address before: dead2 would read as accepted.
    host, page = interrupted(changed("RCPT TO:<live1", lambda said: [*said, b"\0pause", b"250 2.1.5 Ok\r\n"]))
    assert host.asked()[-1] == "dead2@a.test"
    assert finished(page) == set()


def test_a_session_that_is_just_beginning_asks_nothing():
    host, page = interrupted(plain, at="EHLO")
    assert host.session_count == 1
    assert host.asked() == []
    assert not page.probes
