"""One SMTP session after EHLO, without I/O: says the next command, receives the next reply.

What the host answers is kept in :class:`~ct_pipeline.verification.proof.Proof` until it is certain that no reply was
taken for the answer to another command. A surplus reply voids everything since the last proof; a session that ends
without proof gives its unproven questions back.

Nothing here can send DATA: the commands are MAIL, RCPT, RSET, NOOP, EHLO and QUIT.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.probe import ProbeKind, Reply, Stage
from ct_pipeline.verification.proof import Checkpoint, Proof
from ct_pipeline.verification.questions import Answer, Question, QuestionSource
from ct_pipeline.verification.reply_parser import RawReply, as_reply, no_reply
from ct_pipeline.vocabulary import About, Reason

_RCPT_CODES = range(250, 253)

# What these say holds for every address at this site, so there is no point (and some harm) in asking on.
STOP_REASONS = frozenset(
    {Reason.PROBER_BLOCKED, Reason.SENDER_REFUSED, Reason.RATE_LIMITED, Reason.TLS_OR_LOGIN_REQUIRED}
)


class _Waiting(Enum):
    """Which reply is outstanding."""

    NOTHING = auto()
    MAIL = auto()
    RCPT = auto()
    RSET = auto()
    NOOP = auto()
    EHLO = auto()
    QUIT = auto()
    END = auto()  # QUIT got an odd reply: only more bytes, or the end of the connection, can follow


@dataclass
class Dialogue:
    """The conversation of one session. ``read`` gives a reply its meaning; ``envelope`` says who we are.

    The session takes at most ``session_addresses`` questions and begins no new one after ``session_seconds``.
    """

    source: QuestionSource
    read: Callable[[Reply], Reading]
    envelope: Envelope
    capabilities: Capabilities
    session_addresses: int
    session_seconds: float = 900.0
    recipients_per_transaction: int = 50
    is_cautious: bool = False
    may_change_sender: bool = False  # a host that refuses our sender is asked again with another one

    refusal: Answer | None = None  # why the host will not be asked on: a refused MAIL, a block, silence
    loss: Answer | None = None  # how a session ended that did not end with QUIT and 221
    voided: list[Answer] = field(default_factory=list)  # answers that cannot be believed: the session fell out of step
    is_out_of_step: bool = False
    is_over: bool = False
    command_count: int = 0
    rcpt_count: int = 0

    _waiting: _Waiting = _Waiting.NOTHING
    _question: Question | None = None
    _asked_at: datetime | None = None
    _ends_at: datetime | None = None
    _in_transaction: bool = False
    _transaction_rcpts: int = 0
    _is_leaving: bool = False
    _answer_count: int = 0

    def __post_init__(self) -> None:
        self._proof = Proof(self.capabilities, is_cautious=self.is_cautious)

    def next_command(self, now: datetime) -> bytes | None:
        """The bytes to send next, or None when the session is over or only its end is awaited."""
        if self.is_over or self._waiting is _Waiting.END:
            return None
        assert self._waiting is _Waiting.NOTHING, "a reply is outstanding"
        self._ends_at = self._ends_at or now + timedelta(seconds=self.session_seconds)
        self._is_leaving |= now >= self._ends_at
        if not self._is_leaving and self._proof.is_due(now):
            match self._proof.best_checkpoint():
                case Checkpoint.NOOP:
                    return self._send(_Waiting.NOOP, b"NOOP")
                case Checkpoint.EHLO:
                    return self._send(_Waiting.EHLO, b"EHLO " + self.envelope.helo_name.encode("ascii"))
                case None:
                    self._is_leaving = True  # only the end of the session can tell
        if self._is_leaving or self.rcpt_count >= self.session_addresses:
            return self._quit()
        self._question = self._question or self._next_askable(now)
        if self._question is None:
            return self._quit()
        if self._in_transaction and self._transaction_rcpts >= self.recipients_per_transaction:
            return self._send(_Waiting.RSET, b"RSET")
        if not self._in_transaction:
            return self._send(_Waiting.MAIL, self._mail_command(), now)
        self.rcpt_count += 1
        self._transaction_rcpts += 1
        return self._send(_Waiting.RCPT, b"RCPT TO:<%s>" % self._question.address.encode(), now)

    def receive(self, raw: RawReply, now: datetime) -> None:
        """Take the reply to the outstanding command; a reply to nothing ends the session as out of step."""
        waiting, self._waiting = self._waiting, _Waiting.NOTHING
        if waiting in (_Waiting.NOTHING, _Waiting.END):
            self.break_off()
        elif waiting is _Waiting.EHLO:
            self._in_transaction = False
            self._proof.check(Checkpoint.EHLO, raw)
        elif self.capabilities.are_repeated_by(raw):
            self.break_off()  # a second reply to EHLO
        elif waiting is _Waiting.MAIL:
            self._receive_mail(raw, now)
        elif waiting is _Waiting.RCPT:
            self._receive_rcpt(raw, now)
        elif waiting is _Waiting.RSET:
            self._proof.hear_reset()
            self._in_transaction = False
            self._is_leaving |= raw.code != 250
        elif waiting is _Waiting.NOOP:
            self._proof.check(Checkpoint.NOOP, raw)
            self._is_leaving |= raw.code == 421
        elif raw.code == 221:
            self._proof.prove()
            self.is_over = True
        else:
            self._proof.hear(raw)
            self._waiting = _Waiting.END

    def lose(self, what_happened: str, now: datetime) -> None:
        """The connection ended, or a reply did not come in time. What was asked last gets no answer."""
        if self.is_over:
            return
        stage = Stage.RCPT if self.has_answers or self._waiting is _Waiting.RCPT else Stage.MAIL
        self.loss = self._about_session(no_reply(stage, what_happened), now)
        if not self.has_answers and not self.is_closing:
            if self._waiting is _Waiting.RCPT:
                self.refusal = self._answer(self.loss.reply, self.loss.reading, now, is_certain=True)
            else:
                self.refusal = self.loss
        self._leave_behind(self._proof.break_off())

    def ask_no_more(self) -> None:
        """We want to end: the reply to what has been asked is still heard, and QUIT follows."""
        self._is_leaving = True

    def leave(self) -> None:
        """We end the session ourselves, in the middle: what is not proven goes back."""
        if not self.is_over:
            self._leave_behind(self._proof.drop())

    def break_off(self) -> None:
        """The host sent what is no SMTP reply, or more than it was asked for: nothing unproven stands."""
        self._hand_back()
        self.voided = self._proof.drop()
        for answer in reversed(self.voided):
            self.source.withdraw(answer.question, answer.reading, ask_again=False)
        self.is_out_of_step = True
        self.refusal = None
        self.is_over = True

    def take_proven(self) -> list[Answer]:
        """The answers that have become certain since the last call."""
        return self._proof.take_proven()

    @property
    def has_answers(self) -> bool:
        """Whether the host has answered any question in this session."""
        return self._answer_count > 0

    @property
    def is_fruitful(self) -> bool:
        """Whether any answer of the host has been proven."""
        return self._proof.has_proven

    @property
    def was_in_vain(self) -> bool:
        """Whether each answer was to be proven at once, the host answered, and still nothing was proven."""
        return self.is_cautious and self.has_answers and not self.is_fruitful

    @property
    def is_outstanding(self) -> bool:
        """A command has been sent whose reply has not come."""
        return self._waiting not in (_Waiting.NOTHING, _Waiting.END)

    @property
    def is_closing(self) -> bool:
        """QUIT has been sent: nothing more can be learnt but that nothing is surplus."""
        return self._waiting in (_Waiting.QUIT, _Waiting.END)

    # -- replies ---

    def _receive_mail(self, raw: RawReply, now: datetime) -> None:
        self._proof.hear(raw)
        if raw.code == 250:
            self._in_transaction = True
            self._transaction_rcpts = 0
            return
        if raw.code < 400:
            self.break_off()
            return
        refusal = self._about_session(as_reply(Stage.MAIL, raw.code, raw.lines), now)
        # A host that has answered may only have had enough of this session: another one shows what it means.
        if not self.has_answers or (raw.code >= 500 and refusal.reading.reason in STOP_REASONS):
            self.refusal = refusal
        self._hand_back()
        self._is_leaving = True

    def _receive_rcpt(self, raw: RawReply, now: datetime) -> None:
        if raw.code < 400 and raw.code not in _RCPT_CODES:
            self.break_off()  # 220, 221, 354 and the like answer something else
            return
        reply = as_reply(Stage.RCPT, raw.code, raw.lines)
        reading = self.read(reply)
        if reading.reason is Reason.TOO_MANY_RECIPIENTS and self._transaction_rcpts > 1:
            self._proof.hear(raw)
            self.recipients_per_transaction = self._transaction_rcpts - 1
            return  # not an answer: the same question goes into a new transaction
        if reading.reason is Reason.SENDER_REFUSED and self.may_change_sender:
            self._proof.hear(raw)
            self.refusal = self._about_session(reply, now)  # not an answer: the same question goes to the other sender
            self._hand_back()
            self._is_leaving = True
            return
        is_enough = raw.code == 421 or reading.reason is Reason.TOO_MANY_RECIPIENTS
        if is_enough and self.has_answers:
            self._proof.hear(raw)
            self._hand_back()  # the host has had enough of this session; another one shows what it means
            self._is_leaving = True
            return
        answer = self._answer(reply, reading, now)
        if is_enough or (reading.about is not About.ADDRESS and reading.reason in STOP_REASONS):
            self.refusal = answer
            self._is_leaving = True

    def _send(self, waiting: _Waiting, command: bytes, now: datetime | None = None) -> bytes:
        self._waiting = waiting
        self._asked_at = now
        self.command_count += 1
        return command + b"\r\n"

    def _quit(self) -> bytes:
        self._hand_back()
        return self._send(_Waiting.QUIT, b"QUIT")

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
        reply = no_reply(Stage.RCPT, "not asked: the host does not offer SMTPUTF8")
        reading = self.read(reply)
        self.source.receive(question, reading)
        self._proof.add_certain(Answer(question, reply, reading, now, now))

    # -- answers ---

    def _answer(self, reply: Reply, reading: Reading, now: datetime, *, is_certain: bool = False) -> Answer:
        assert self._question is not None
        answer = Answer(self._question, reply, reading, self._asked_at or now, now)
        self._question = None
        if is_certain:
            self._proof.add_certain(answer)
        else:
            self._answer_count += 1
            self._proof.add(answer)
        self.source.receive(answer.question, reading)
        return answer

    def _about_session(self, reply: Reply, now: datetime) -> Answer:
        question = Question(ProbeKind.SESSION, self._question.domain if self._question else "", "")
        return Answer(question, reply, self.read(reply), self._asked_at or now, now)

    def _hand_back(self) -> None:
        if self._question is not None:
            self.source.put_back(self._question)
            self._question = None

    def _leave_behind(self, fallen: list[Answer]) -> None:
        """End the session; the outstanding question and those of ``fallen`` are asked again, in their order."""
        self._hand_back()
        for answer in reversed(fallen):
            self.source.withdraw(answer.question, answer.reading, ask_again=True)
        self.is_over = True
