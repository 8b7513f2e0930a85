"""Target: one whole session, whatever the host says. ``python -m ct_pipeline_tests.fuzz.dialogue``.

The first line of an input says what the host offers, how many addresses a session and a transaction take, and whether
earlier sessions ended without proof: ``ENHANCEDSTATUSCODES,SIZE;50;50;cautious``. Each line after it is what happens:

- a reply to the command that is outstanding, with ``|`` between its lines; empty: what a polite host says
- ``+reply``: one that nobody asked for
- ``!`` a lost connection, ``~`` a wish to end, ``.`` an end at once, ``^`` half a second that passes

After the last line the connection is lost.
"""

import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ct_pipeline_tests.fuzz.fuzzing import fuzz, instrumented

with instrumented(__name__):
    from ct_pipeline.verdicts.evidence import Reading
    from ct_pipeline.verification.capabilities import Capabilities
    from ct_pipeline.verification.dialogue import Dialogue
    from ct_pipeline.verification.egress import Envelope
    from ct_pipeline.verification.probe import DueAddress, ProbeKind
    from ct_pipeline.verification.questions import Answer, Question
    from ct_pipeline.verification.replies import ReplyReader
    from ct_pipeline.verification.reply_parser import NotSmtpError, RawReply, ReplyParser

READER = ReplyReader.load()
COMMAND = re.compile(rb"(MAIL FROM:<[^\r\n]*>[A-Z0-9 ]*|RCPT TO:<[^\r\n<>]*>|RSET|NOOP|EHLO [a-z.]+|QUIT)\r\n")
QUESTION_COUNT = 12
MOST_EVENTS = 300
START = datetime(2026, 11, 1, tzinfo=UTC)
POLITE = {b"MAIL": b"250 2.1.0 Ok", b"RCPT": b"250 2.1.5 Ok", b"QUIT": b"221 2.0.0 Bye"}


def check(data: bytes) -> None:
    first, *events = data.split(b"\n")[:MOST_EVENTS]
    Session(first).play(events)


class Asker:
    """A source of questions that holds the dialogue to its word: each gets one answer, or comes back."""

    def __init__(self) -> None:
        names = [f"user{n}@a.test" for n in range(QUESTION_COUNT - 1)] + ["üser@a.test"]
        self._waiting = deque(
            Question(ProbeKind.MAILBOX, "a.test", name, DueAddress(n, name, "a.test", 0))
            for n, name in enumerate(names)
        )
        self.out: set[str] = set()
        self.answered: set[str] = set()

    def may_ask(self) -> bool:
        return True

    def next_question(self) -> Question | None:
        if not self._waiting:
            return None
        question = self._waiting.popleft()
        self.out.add(question.address)
        return question

    def has_asked_all(self) -> bool:
        return False

    def has_witness_due(self) -> bool:
        return False

    def receive(self, question: Question, reading: Reading) -> None:
        self.out.remove(question.address)
        assert question.address not in self.answered, "a second answer"
        self.answered.add(question.address)

    def put_back(self, question: Question) -> None:
        self.out.remove(question.address)
        self._waiting.appendleft(question)

    def withdraw(self, question: Question, reading: Reading, *, ask_again: bool) -> None:
        self.answered.remove(question.address)
        if ask_again:
            self._waiting.appendleft(question)


class Session:
    """Both ends of one session; ``first`` is the first line of an input."""

    def __init__(self, first: bytes) -> None:
        offers, addresses, recipients, cautious = (*first.split(b";"), b"", b"", b"", b"")[:4]
        lines = ["host.test", *offers.decode("latin-1").split(",")] if offers else ["host.test"]
        self.ehlo_reply = RawReply(250, tuple(lines))
        self.asker = Asker()
        self.dialogue = Dialogue(
            source=self.asker,
            read=READER.read,
            envelope=Envelope("prober.test", "probe@prober.test"),
            capabilities=Capabilities.of_lines(lines),
            session_addresses=small_number(addresses, 50),
            recipients_per_transaction=small_number(recipients, 50),
            is_cautious=bool(cautious),
            window_limit=8,
        )
        self.now = START
        self.commands: deque[bytes] = deque()  # whose replies are awaited
        self.code_for: dict[str, int] = {}  # what the host said to each address
        self.proven: dict[str, Answer] = {}

    def play(self, events: list[bytes]) -> None:
        left = iter(events)
        while not self.dialogue.is_over:
            self.ask()
            if not self.happen(next(left, b"!")):
                break
            self.note_proven()
        self.note_proven()
        assert self.dialogue.is_over
        assert self.asker.out == set(), "a question is lost"
        assert self.proven.keys() <= self.asker.answered, "an answer that was withdrawn stands"

    def ask(self) -> None:
        if self.dialogue.outstanding_count:
            return
        group = self.dialogue.next_commands(self.now).splitlines(keepends=True)
        for command in group:
            assert COMMAND.fullmatch(command), command
        self.commands = deque(group)

    def happen(self, event: bytes) -> bool:
        """Let ``event`` take place; False when nothing more can."""
        dialogue = self.dialogue
        if event == b"!":
            dialogue.lose("connection lost", self.now)
        elif event == b"~":
            dialogue.ask_no_more()
        elif event == b".":
            dialogue.leave()
        elif event == b"^":
            self.now += timedelta(seconds=0.5)
        elif event.startswith(b"+"):
            dialogue.break_off()
        else:
            self.hear(event)
        self.now += timedelta(milliseconds=1)
        return not dialogue.is_over

    def hear(self, event: bytes) -> None:
        try:
            replies = list(parsed(event)) if event else [self.polite()]
        except NotSmtpError:
            self.dialogue.break_off()
            return
        for reply in replies:
            if not self.dialogue.outstanding_count and not self.dialogue.is_closing:
                self.dialogue.break_off()
            if self.dialogue.is_over:
                return
            command = self.commands.popleft() if self.commands else b""
            if command.startswith(b"RCPT TO:<"):
                self.code_for[command[9:-3].decode()] = reply.code
            self.dialogue.receive(reply, self.now)
            self.note_proven()

    def polite(self) -> RawReply:
        verb = self.commands[0][:4] if self.commands else b""
        return self.ehlo_reply if verb == b"EHLO" else next(parsed(POLITE.get(verb, b"250 2.0.0 Ok")))

    def note_proven(self) -> None:
        for answer in self.dialogue.take_proven():
            address, code = answer.question.address, answer.reply.code
            assert address not in self.proven, "proven twice"
            assert code == 0 or not self.dialogue.is_out_of_step, "proven although the host said too much"
            assert code in (0, self.code_for.get(address)), "another's answer"
            self.proven[address] = answer


def parsed(event: bytes) -> Iterator[RawReply]:
    yield from ReplyParser().feed(b"".join(line + b"\r\n" for line in event.split(b"|")))


def small_number(text: bytes, default: int) -> int:
    return max(1, int(text)) if text.isdigit() and len(text) < 3 else default


if __name__ == "__main__":
    fuzz(check, "dialogue")
