"""One SMTP session after EHLO, without I/O: says the next command, receives the next reply.

The danger is a host that sends one reply too many: from there on every reply would be taken for the answer to the next
command, and a dead mailbox would read as accepted. So answers count only once they are **proven**: at a moment when the
host has sent exactly one reply per command. That moment is the end of the session (QUIT answered by 221, or the
connection closed with nothing surplus), and in long sessions a checkpoint a few times a second: a NOOP whose reply
cannot be one to RCPT (enhanced code 2.0.0), or else a second EHLO, whose reply repeats the first one's lines. A surplus
reply voids everything since the last proof; those addresses stay due.

Nothing here can send DATA: the commands are MAIL, RCPT, RSET, NOOP, EHLO and QUIT.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import ProbeKind, Reply, Stage
from ct_pipeline.verification.questions import Question
from ct_pipeline.verification.reply_parser import RawReply, as_reply, no_reply
from ct_pipeline.vocabulary import About, Reason

CHECKPOINT_AFTER = timedelta(seconds=0.3)
_RCPT_CODES = range(250, 253)

# What these say holds for every address at this site, so there is no point (and some harm) in asking on.
STOP_REASONS = frozenset(
    {Reason.PROBER_BLOCKED, Reason.SENDER_REFUSED, Reason.RATE_LIMITED, Reason.TLS_OR_LOGIN_REQUIRED}
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who we say we are. ``mail_from`` is empty for the null sender."""

    helo_name: str
    mail_from: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the host said in its EHLO reply: ``lines`` without the greeting line, upper-cased."""

    lines: tuple[str, ...] = ()

    def has(self, keyword: str) -> bool:
        return any(line.split(" ", 1)[0] == keyword for line in self.lines)


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with its reply as it came and as it was read."""

    question: Question
    reply: Reply
    reading: Reading
    asked_at: datetime
    answered_at: datetime


class QuestionSource(Protocol):
    """Where a session gets its questions from, and where it reports what it heard."""

    def next_question(self) -> Question | None: ...
    def receive(self, question: Question, reading: Reading) -> None: ...
    def put_back(self, question: Question) -> None: ...


class _Waiting(Enum):
    """Which reply is outstanding."""

    NOTHING = auto()
    MAIL = auto()
    RCPT = auto()
    RSET = auto()
    NOOP = auto()
    EHLO = auto()
    QUIT = auto()
    END = auto()  # QUIT got an odd reply: only the end of the connection proves that nothing is surplus


@dataclass
class Dialogue:
    """The conversation of one session. ``read`` gives a reply its meaning; ``envelope`` says who we are."""

    source: QuestionSource
    read: Callable[[Reply], Reading]
    envelope: Envelope
    capabilities: Capabilities
    session_addresses: int
    recipients_per_transaction: int = 50

    refusal: Answer | None = None  # why the host will not be asked on: a refused MAIL, a block, a 421
    is_out_of_step: bool = False
    command_count: int = 0
    rcpt_count: int = 0

    _proven: list[Answer] = field(default_factory=list)
    _unproven: list[Answer] = field(default_factory=list)
    _waiting: _Waiting = _Waiting.NOTHING
    _question: Question | None = None
    _asked_at: datetime | None = None
    _in_transaction: bool = False
    _transaction_rcpts: int = 0
    _is_leaving: bool = False
    _is_over: bool = False
    _trusts_noop: bool = True
    _answer_count: int = 0

    def next_command(self, now: datetime) -> bytes | None:
        """The bytes to send next, or None when the session is over or only its end is awaited."""
        if self._is_over or self._waiting is _Waiting.END:
            return None
        assert self._waiting is _Waiting.NOTHING, "a reply is outstanding"
        if self._needs_checkpoint(now):
            return self._checkpoint()
        if self._is_leaving or self.rcpt_count >= self.session_addresses:
            return self._send(_Waiting.QUIT, b"QUIT")
        if self._in_transaction and self._transaction_rcpts >= self.recipients_per_transaction:
            return self._send(_Waiting.RSET, b"RSET")
        self._question = self._question or self._next_askable(now)
        if self._question is None:
            return self._send(_Waiting.QUIT, b"QUIT")
        if not self._in_transaction:
            return self._send(_Waiting.MAIL, self._mail_command(), now)
        self.rcpt_count += 1
        self._transaction_rcpts += 1
        return self._send(_Waiting.RCPT, b"RCPT TO:<%s>" % self._question.address.encode(), now)

    def receive(self, raw: RawReply, now: datetime) -> None:
        """Take the reply to the outstanding command; a reply to nothing ends the session as out of step."""
        waiting, self._waiting = self._waiting, _Waiting.NOTHING
        if waiting in (_Waiting.NOTHING, _Waiting.END):
            self._void()
        elif waiting is _Waiting.MAIL:
            self._receive_mail(raw, now)
        elif waiting is _Waiting.RCPT:
            self._receive_rcpt(raw, now)
        elif waiting is _Waiting.RSET:
            self._in_transaction = False
            self._is_leaving |= raw.code != 250
        elif waiting in (_Waiting.NOOP, _Waiting.EHLO):
            self._receive_checkpoint(waiting, raw)
        elif raw.code == 221:
            self._prove()
            self._is_over = True
        else:
            self._waiting = _Waiting.END

    def lose(self, what_happened: str, now: datetime) -> None:
        """The connection ended, or a reply did not come in time. What was asked last gets no answer."""
        if self._is_over:
            return
        if self._waiting is _Waiting.MAIL:
            self.refusal = self._session_answer(no_reply(Stage.MAIL, what_happened), now)
        if self._waiting is _Waiting.RCPT and not self.has_answers:
            self.refusal = self._answer(no_reply(Stage.RCPT, what_happened), now)
        self._hand_back()
        self._prove()
        self._is_over = True

    def ask_no_more(self) -> None:
        """We want to end: what has been asked is still heard, and QUIT follows."""
        self._is_leaving = True
        if self._waiting is not _Waiting.RCPT:
            self._hand_back()

    def leave(self) -> None:
        """We end the session at once. What is outstanding goes back unasked, and what is unproven is not kept."""
        if not self._is_over:
            self._hand_back()
            self._unproven = []
            self._is_over = True

    def break_off(self) -> None:
        """The host sent what is no SMTP reply, or more than it was asked for: nothing unproven stands."""
        self._void()

    def take_proven(self) -> list[Answer]:
        """The answers that have become certain since the last call."""
        proven, self._proven = self._proven, []
        return proven

    @property
    def voided(self) -> list[Answer]:
        """Answers that cannot be believed, after the session fell out of step."""
        return self._unproven if self.is_out_of_step else []

    @property
    def has_answers(self) -> bool:
        """Whether this session has brought any answer at all."""
        return self._answer_count > 0

    @property
    def is_over(self) -> bool:
        return self._is_over

    @property
    def is_outstanding(self) -> bool:
        """Whether a command has been sent whose reply has not come."""
        return self._waiting not in (_Waiting.NOTHING, _Waiting.END)

    @property
    def is_closing(self) -> bool:
        """QUIT has been sent: nothing more can be learnt but that nothing is surplus."""
        return self._waiting in (_Waiting.QUIT, _Waiting.END)

    # -- replies ---

    def _receive_mail(self, raw: RawReply, now: datetime) -> None:
        if raw.code == 250:
            self._in_transaction = True
            self._transaction_rcpts = 0
            return
        self.refusal = self._session_answer(as_reply(Stage.MAIL, raw.code, raw.lines), now)
        self._hand_back()
        self._is_leaving = True

    def _receive_rcpt(self, raw: RawReply, now: datetime) -> None:
        if raw.code // 100 not in (2, 4, 5) or (raw.code // 100 == 2 and raw.code not in _RCPT_CODES):
            self._void()  # 220, 221, 354 and the like answer something else
            return
        reply = as_reply(Stage.RCPT, raw.code, raw.lines)
        reading = self.read(reply)
        if reading.reason is Reason.TOO_MANY_RECIPIENTS and self._transaction_rcpts > 1:
            self.recipients_per_transaction = self._transaction_rcpts - 1
            return  # not an answer: the same question goes into a new transaction
        if raw.code == 421 and self.has_answers:
            self._hand_back()  # the host has had enough of this session; another one shows what it means
            self._is_leaving = True
            return
        answer = self._answer(reply, now, reading)
        if raw.code == 421 or (reading.about is not About.ADDRESS and reading.reason in STOP_REASONS):
            self.refusal = answer
            self._is_leaving = True

    def _receive_checkpoint(self, waiting: _Waiting, raw: RawReply) -> None:
        if waiting is _Waiting.NOOP:
            enhanced = as_reply(Stage.RCPT, raw.code, raw.lines).enhanced
            if raw.code == 250 and enhanced == "2.0.0":
                self._prove()
            else:
                self._trusts_noop = False
            return
        self._in_transaction = False
        if raw.code == 250 and _keywords(raw) == self.capabilities.lines and self.capabilities.lines:
            self._prove()
        else:
            self._is_leaving = True  # undecided: the end of the session will tell

    # -- commands ---

    def _send(self, waiting: _Waiting, command: bytes, now: datetime | None = None) -> bytes:
        self._waiting = waiting
        self._asked_at = now
        self.command_count += 1
        return command + b"\r\n"

    def _mail_command(self) -> bytes:
        smtputf8 = b" SMTPUTF8" if self.capabilities.has("SMTPUTF8") else b""
        return b"MAIL FROM:<%s>%s" % (self.envelope.mail_from.encode("ascii"), smtputf8)

    def _next_askable(self, now: datetime) -> Question | None:
        while (question := self.source.next_question()) is not None:
            if question.address.isascii() or self.capabilities.has("SMTPUTF8"):
                return question
            self._refuse_unasked(question, now)
        return None

    def _refuse_unasked(self, question: Question, now: datetime) -> None:
        # RFC 6531 section 3.5: such an address cannot be named to this host, which says nothing of the mailbox.
        reply = Reply(Stage.RCPT, 553, "5.6.7", "not asked: the host does not offer SMTPUTF8")
        reading = self.read(reply)
        self.source.receive(question, reading)
        self._proven.append(Answer(question, reply, reading, now, now))

    def _needs_checkpoint(self, now: datetime) -> bool:
        if not self._unproven or self._is_leaving:
            return False
        return now - self._unproven[0].answered_at >= CHECKPOINT_AFTER

    def _checkpoint(self) -> bytes:
        if self._trusts_noop and self.capabilities.has("ENHANCEDSTATUSCODES"):
            return self._send(_Waiting.NOOP, b"NOOP")
        return self._send(_Waiting.EHLO, b"EHLO " + self.envelope.helo_name.encode("ascii"))

    # -- answers ---

    def _answer(self, reply: Reply, now: datetime, reading: Reading | None = None) -> Answer:
        assert self._question is not None
        reading = reading or self.read(reply)
        answer = Answer(self._question, reply, reading, self._asked_at or now, now)
        self._question = None
        self._answer_count += 1
        self._unproven.append(answer)
        self.source.receive(answer.question, reading)
        return answer

    def _session_answer(self, reply: Reply, now: datetime) -> Answer:
        question = Question(ProbeKind.SESSION, self._question.domain if self._question else "", "")
        return Answer(question, reply, self.read(reply), self._asked_at or now, now)

    def _hand_back(self) -> None:
        if self._question is not None:
            self.source.put_back(self._question)
            self._question = None

    def _prove(self) -> None:
        self._proven += self._unproven
        self._unproven = []

    def _void(self) -> None:
        self._hand_back()
        self.is_out_of_step = True
        self.refusal = None
        self._is_over = True


def _keywords(raw: RawReply) -> tuple[str, ...]:
    return tuple(line.strip().upper() for line in raw.lines[1:])
