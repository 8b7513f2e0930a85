"""A surplus reply together with the habits of real hosts: one hides the other, and still no answer is shifted."""

import asyncio
import itertools

import pytest

from ct_pipeline.verification.notebook import Observations
from ct_pipeline_tests.verification.asking import ask, domain, reasons
from ct_pipeline_tests.verification.scripted_host import BREATH, HANG_UP, PAUSE, Script, listening, polite

NAMES = ["dead0", "live0", "live1", "dead1", "live2", "dead2", "dead3", "live3"]
ACCEPTED = b"250 2.1.5 Ok\r\n"
UNKNOWN = b"550 5.1.1 User unknown\r\n"
EHLO_AGAIN = b"250-host.test\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n"
STRAYS = [ACCEPTED, UNKNOWN, b"250 2.0.0 Ok\r\n", b"250 2.1.0 Ok\r\n", b"250 Ok\r\n", EHLO_AGAIN]


class Host:
    """A host with habits, which in its first ``stray_sessions`` sessions says one reply too many.

    The stray reply comes when the next command is already under way, so that it looks like the answer to it; and the
    real answer takes its time, so that the command after that is under way before anything looks surplus.
    """

    def __init__(
        self,
        stray_after: str = "",
        stray: bytes = ACCEPTED,
        *,
        stray_sessions: int = 100,
        hangs_up_after_refusal: bool = False,
        session_limit: int = 1000,
        transaction_limit: int = 1000,
        answers_quit: bool = True,
        slow_verb: str = "",  # the command that takes long enough for a checkpoint
        extensions: tuple[str, ...] = ("ENHANCEDSTATUSCODES",),
    ) -> None:
        self.stray_after, self.stray, self.stray_sessions = stray_after, stray, stray_sessions
        self.hangs_up_after_refusal, self.answers_quit, self.slow_verb = hangs_up_after_refusal, answers_quit, slow_verb
        self.session_limit, self.transaction_limit = session_limit, transaction_limit
        self.polite = polite(lambda name: ACCEPTED if name.startswith(("live", "postmaster")) else UNKNOWN, extensions)
        self.has_strayed = True
        self.session_rcpts = self.transaction_rcpts = 0

    def __call__(self, command: str) -> list[bytes]:
        if command == "connect":
            self.has_strayed = self.stray_sessions <= 0
            self.stray_sessions -= 1
            self.session_rcpts = 0
        said = self._answer(command)
        if not self.has_strayed and self.stray_after and command.startswith(self.stray_after):
            self.has_strayed = True
            said = [*said, BREATH, self.stray] if said[-1] != HANG_UP else said
        return [*[PAUSE] * (11 * (command[:4] == self.slow_verb)), BREATH, *said]

    def _answer(self, command: str) -> list[bytes]:
        if command == "QUIT" and not self.answers_quit:
            return [HANG_UP]
        if command.startswith(("MAIL", "RSET", "EHLO")):
            self.transaction_rcpts = 0
        if not command.startswith("RCPT"):
            return self.polite(command)
        if self.session_rcpts >= self.session_limit:
            return [b"421 4.7.0 Too many errors\r\n", HANG_UP]
        if self.transaction_rcpts >= self.transaction_limit:
            return [b"452 4.5.3 Too many recipients\r\n"]
        self.session_rcpts += 1
        self.transaction_rcpts += 1
        said = self.polite(command)
        is_end = self.hangs_up_after_refusal and said == [UNKNOWN]
        return [*said, *([HANG_UP] if is_end else [])]


def right_of(number: int) -> str:
    return "accepted" if NAMES[number - 1].startswith("live") else "mailbox_not_found"


def assert_nothing_is_shifted(page: Observations) -> None:
    got = {n: reason for n, reason in reasons(page).items() if reason in ("accepted", "mailbox_not_found")}
    assert got == {number: right_of(number) for number in got}
    assert not any(fact.is_catch_all for fact in page.catch_all_facts)
    assert sorted(turn.address_id for turn in page.turns) == list(range(1, len(NAMES) + 1)), "each has one turn"


async def visit(script: Script) -> Observations:
    async with listening(script) as host:
        _, page = await ask(host.port, domain("a.test", NAMES))
        return page


HABITS = {
    "hangs up after a refusal": {"hangs_up_after_refusal": True},
    "says 421 after four names": {"session_limit": 4},
    "closes on QUIT without a word": {"answers_quit": False},
    "takes one name a transaction": {"transaction_limit": 1},
    "knows no enhanced codes": {"extensions": ("8BITMIME",)},
    "hangs up, and knows no enhanced codes": {"hangs_up_after_refusal": True, "extensions": ("8BITMIME",)},
    "says 421, and closes without a word": {"session_limit": 3, "answers_quit": False},
}


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_habits_of_hosts_do_not_hide_a_stray_reply(habit):
    cases = list(itertools.product(["EHLO", "MAIL", "RCPT TO:<live0", "RCPT TO:<dead1", "NOOP"], STRAYS))

    async def main() -> list[Observations]:
        return await asyncio.gather(*(visit(Host(stray_after, stray, **habit)) for stray_after, stray in cases))

    for page in asyncio.run(main()):
        assert_nothing_is_shifted(page)


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_without_stray_replies_every_habit_gets_its_answers(habit):
    page = asyncio.run(visit(Host(**habit)))
    assert reasons(page) == {number: right_of(number) for number in range(1, len(NAMES) + 1)}


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_after_one_bad_session_the_others_get_their_answers(habit):
    page = asyncio.run(visit(Host("MAIL", stray_sessions=1, **habit)))
    assert_nothing_is_shifted(page)
    answered = [reason for reason in reasons(page).values() if reason in ("accepted", "mailbox_not_found")]
    assert answered or "extensions" in habit


@pytest.mark.parametrize("slow_verb", ["RCPT", "RSET", "MAIL", "NOOP"])
def test_a_checkpoint_is_not_taken_in_by_the_reply_to_another_command(slow_verb):
    """RSET is answered like NOOP, and a second EHLO like the first."""
    cases = list(itertools.product([1, 2, 100], [("ENHANCEDSTATUSCODES",), ("8BITMIME",)], ["MAIL", "EHLO", "RSET"]))

    async def main() -> list[Observations]:
        hosts = [Host(at, slow_verb=slow_verb, transaction_limit=n, extensions=words) for n, words, at in cases]
        return await asyncio.gather(*map(visit, hosts))

    for page in asyncio.run(main()):
        assert_nothing_is_shifted(page)


@pytest.mark.parametrize("pause", [[], [BREATH]], ids=["same segment", "next segment"])
@pytest.mark.parametrize("transaction_limit", [1, 100])
def test_a_host_that_says_everything_twice(pause, transaction_limit):
    host = Host(transaction_limit=transaction_limit)

    def twice(command: str) -> list[bytes]:
        said = host(command)
        return said if command in ("connect", "QUIT") else [*said, *pause, *said]

    assert_nothing_is_shifted(asyncio.run(visit(twice)))


@pytest.mark.parametrize("cut", [1, 14])
def test_replies_in_two_pieces_with_a_stray_one_among_them(cut):
    host = Host("RCPT TO:<dead1")

    def in_pieces(command: str) -> list[bytes]:
        if not command.startswith("RCPT"):
            return host(command)
        return [piece for part in host(command) for piece in (part[:cut], BREATH, part[cut:]) if part != BREATH]

    assert_nothing_is_shifted(asyncio.run(visit(in_pieces)))
