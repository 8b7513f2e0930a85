"""One reply too many, anywhere in a session, never shifts an answer: a dead mailbox is never read as accepted."""

import asyncio
import itertools

import pytest

from ct_pipeline.verification.notebook import Observations
from ct_pipeline_tests.verification.asking import ask, domain, reasons
from ct_pipeline_tests.verification.scripted_host import BREATH, PAUSE, Script, listening, polite

LIVE = {f"live{number}" for number in range(10)}
NAMES = ["live0", "dead0", "live1", "dead1", "dead2", "live2"]


def mailboxes(address: str) -> bytes:
    return b"250 2.1.5 Ok\r\n" if address.split("@")[0] in LIVE else b"550 5.1.1 User unknown\r\n"


def with_stray(at: str, stray: bytes, *, in_a_segment_of_its_own: bool, script: Script | None = None) -> Script:
    """``script``, with one ``stray`` line after the first answer to ``at``.

    Every reply takes a moment, as it does over a network: the next command is under way when a stray line comes in a
    segment of its own, and the one after that before its real answer shows that something is surplus.
    """
    script = script or polite(mailboxes)
    is_spent = False

    def answer(command: str) -> list[bytes]:
        nonlocal is_spent
        said = script(command)
        if is_spent or not command.startswith(at):
            return [BREATH, *said]
        is_spent = True
        return [BREATH, *said, BREATH, stray] if in_a_segment_of_its_own else [BREATH, b"".join(said) + stray]

    return answer


def wrong_answers(page) -> dict[int, str]:
    right = {n: "accepted" if name in LIVE else "mailbox_not_found" for n, name in enumerate(NAMES, start=1)}
    got = {number: reason for number, reason in reasons(page).items() if reason in ("accepted", "mailbox_not_found")}
    return {number: reason for number, reason in got.items() if right[number] != reason}


STRAYS = [b"250 2.1.5 Ok\r\n", b"550 5.1.1 User unknown\r\n", b"250 Ok\r\n"]


@pytest.mark.parametrize("at", ["connect", "EHLO", "MAIL", "RCPT", "RCPT TO:<dead1", "RSET", "NOOP", "QUIT"])
@pytest.mark.parametrize("transaction", [50, 2], ids=["one transaction", "two a transaction"])
def test_a_stray_reply_never_shifts_an_answer(at, transaction):
    def few_recipients() -> Script:
        taken = itertools.count()

        def answer(command: str) -> list[bytes]:
            nonlocal taken
            if command.startswith("MAIL"):
                taken = itertools.count()
            if command.startswith("RCPT") and next(taken) >= transaction:
                return [b"452 4.5.3 Too many recipients\r\n"]
            return polite(mailboxes)(command)

        return answer

    async def visit(stray: bytes, own_segment: bool) -> Observations:
        script = with_stray(at, stray, in_a_segment_of_its_own=own_segment, script=few_recipients())
        async with listening(script) as host:
            _, page = await ask(host.port, domain("a.test", NAMES))
            return page

    async def main() -> list[Observations]:
        return await asyncio.gather(*(visit(*case) for case in itertools.product(STRAYS, [False, True])))

    for page in asyncio.run(main()):
        assert not wrong_answers(page)
        assert len({turn.address_id for turn in page.turns}) == len(NAMES), "every address has its turn"


@pytest.mark.parametrize("own_segment", [False, True], ids=["same segment", "next segment"])
def test_a_stray_reply_after_starttls_never_shifts_an_answer(own_segment):
    async def main():
        script = with_stray(
            "STARTTLS",
            b"250 2.1.5 Ok\r\n",
            in_a_segment_of_its_own=own_segment,
            script=lambda command: (
                [b"220 2.0.0 Ready to start TLS\r\n"]
                if command == "STARTTLS"
                else polite(mailboxes, ("ENHANCEDSTATUSCODES", "STARTTLS"))(command)
            ),
        )
        async with listening(script) as host:
            return await ask(host.port, domain("a.test", NAMES))

    _, page = asyncio.run(main())
    assert not wrong_answers(page)


@pytest.mark.parametrize("extensions", [("ENHANCEDSTATUSCODES",), ()], ids=["NOOP checkpoint", "EHLO checkpoint"])
@pytest.mark.parametrize("at", ["MAIL", "RCPT TO:<live1"])
def test_long_sessions_are_proven_on_the_way(at, extensions):
    """A slow host makes the session last: what was proven before the stray stands, what came after it does not."""

    async def main(script: Script):
        async with listening(script) as host:
            _, page = await ask(host.port, domain("a.test", NAMES))
            return host, page

    def slow(command: str) -> list[bytes]:
        said = polite(mailboxes, extensions)(command)
        return [PAUSE] * 4 + said if command.startswith("RCPT") else said

    async def both():
        strayed = with_stray(at, b"250 2.1.5 Ok\r\n", in_a_segment_of_its_own=True, script=slow)
        return await asyncio.gather(main(strayed), main(slow))

    (host, page), (clean_host, clean_page) = asyncio.run(both())
    assert not wrong_answers(page)
    checkpoint = "NOOP" if extensions else "EHLO"
    assert sum(command.startswith(checkpoint) for command in clean_host.commands) > (checkpoint == "EHLO")
    assert len(reasons(clean_page)) == len(NAMES)
    assert not wrong_answers(clean_page)
    assert any(session.outcome == "out_of_step" for session in page.sessions) or host.session_count == 1


def test_a_greeting_sent_twice_and_codes_that_answer_something_else():
    for stray in (b"220 host.test ESMTP\r\n", b"354 go ahead\r\n", b"221 bye\r\n", b"not smtp at all\r\n"):

        async def main(stray: bytes = stray):
            async with listening(with_stray("MAIL", stray, in_a_segment_of_its_own=True)) as host:
                return await ask(host.port, domain("a.test", NAMES))

        _, page = asyncio.run(main())
        assert not wrong_answers(page), stray
