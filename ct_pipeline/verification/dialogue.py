"""One SMTP session after EHLO, without I/O: says the next commands, receives their replies.

Where the host offers PIPELINING (RFC 2920), commands go out in groups: MAIL, RCPT and RSET anywhere; NOOP, EHLO and
QUIT only as the last. Replies are paired with commands in order. What the host answers is kept in
:class:`~ct_pipeline.verification.proof.Proof` until it is certain that no reply was taken for the answer to another
command. A surplus reply voids everything since the last proof; a session that ends without proof gives its unproven
questions back, and those that had no answer.

Nothing here can send DATA: the commands are MAIL, RCPT, RSET, NOOP, EHLO and QUIT.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.probe import ProbeKind, Reply, Stage
from ct_pipeline.verification.proof import Checkpoint, Proof, Quote
from ct_pipeline.verification.questions import Answer, Question, QuestionSource
from ct_pipeline.verification.reply_parser import RawReply, as_reply, no_reply
from ct_pipeline.vocabulary import About, Reason

# Postfix's smtpd_soft_error_limit and smtpd_hard_error_limit: from the tenth error of a session on it pauses a second
# before each reply, at the twentieth it hangs up. A new session is kinder to both.
SESSION_REFUSALS = 10
SESSION_REFUSALS_AT_MOST = 20
FIRST_WINDOW = 2  # what a host does not bear, such as more recipients in a message, costs it few errors to show
_RCPT_CODES = range(250, 253)

# What these say holds for every address at this site, so there is no point (and some harm) in asking on.
STOP_REASONS = frozenset(
    {Reason.PROBER_BLOCKED, Reason.SENDER_REFUSED, Reason.RATE_LIMITED, Reason.TLS_OR_LOGIN_REQUIRED}
)


class _Verb(Enum):
    MAIL = auto()
    RCPT = auto()
    RSET = auto()
    NOOP = auto()
    EHLO = auto()
    QUIT = auto()


class _Command(NamedTuple):
    """A command that is to be sent, or whose reply is awaited. ``place`` counts an RCPT in its transaction, from 1."""

    verb: _Verb
    line: bytes
    question: Question | None = None
    place: int = 0


@dataclass
class Dialogue:
    """The conversation of one session. ``read`` gives a reply its meaning; ``envelope`` says who we are.

    The session takes at most ``session_addresses`` questions and begins no new one after ``session_seconds``.
    ``window_limit`` is the most RCPTs in one group; 1 sends every command alone. ``window`` is how many there are in
    the next one: it begins low and doubles with each group that was answered in full.
    """

    source: QuestionSource
    read: Callable[[Reply], Reading]
    envelope: Envelope
    capabilities: Capabilities
    session_addresses: int
    session_seconds: float = 900.0
    recipients_per_transaction: int = 50
    is_cautious: bool = False
    window_limit: int = 1
    window: int = FIRST_WINDOW
    may_change_sender: bool = False  # a host that refuses our sender is asked again with another one

    refusal: Answer | None = None  # why the host will not be asked on: a refused MAIL, a block, silence
    loss: Answer | None = None  # how a session ended that did not end with QUIT and 221
    voided: list[Answer] = field(default_factory=list)  # answers that cannot be believed: the session fell out of step
    is_out_of_step: bool = False
    is_over: bool = False
    was_left_by_host: bool = False  # 421, or no more recipients, after it had answered some
    is_pipelining_broken: bool = False  # the host fell silent in the middle of a group
    command_count: int = 0
    rcpt_count: int = 0
    answer_count: int = 0  # of the host, proven or not

    _is_leaving: bool = False
    _is_ending: bool = False  # QUIT got an odd reply: only more bytes, or the end of the connection, can follow
    _asked_at: datetime | None = None
    _ends_at: datetime | None = None
    _transaction_rcpts: int = 0  # named in the transaction under way; 0: there is none
    _is_smtputf8: bool = False  # that transaction takes non-ASCII addresses
    _has_begun: bool = False  # the host took the last MAIL
    _refusal_count: int = 0

    def __post_init__(self) -> None:
        self._proof = Proof(self.capabilities, is_cautious=self.is_cautious)
        if self.is_cautious or not self.capabilities.has("PIPELINING"):
            self.window_limit = 1
        self._is_pipelined = self.window_limit > 1
        self._planned: deque[_Command] = deque()
        self._outstanding: deque[_Command] = deque()
        self._group_size = 0
        self._returned: list[Question] = []  # no answers in this session: given back when the group is through

    def next_commands(self, now: datetime) -> bytes:
        """The bytes to send next; none when the session is over, or only its end is awaited."""
        if self.is_over or self._is_ending:
            return b""
        assert not self._outstanding, "a reply is outstanding"
        self._ends_at = self._ends_at or now + timedelta(seconds=self.session_seconds)
        self._is_leaving |= now >= self._ends_at
        self._asked_at = now
        if not self._planned:
            self._plan(now)
        elif self._is_leaving or not self.source.may_ask():
            self._unplan()
            self._plan_quit()
        if not self._is_pipelined:
            return self._send([self._planned.popleft()])
        group = list(self._planned)
        self._planned.clear()
        return self._send(group)

    def receive(self, raw: RawReply, now: datetime) -> None:
        """Take the reply to the oldest outstanding command; a reply to nothing ends the session as out of step."""
        if not self._outstanding:
            self.break_off()
            return
        command = self._outstanding.popleft()
        if command.verb is _Verb.RCPT:
            self._receive_rcpt(command, raw, now)
        elif command.verb is _Verb.EHLO:
            self._transaction_rcpts = 0
            self._proof.check(Checkpoint.EHLO, raw)
        elif self.capabilities.are_repeated_by(raw):
            self.break_off()  # a second reply to EHLO
        elif command.verb is _Verb.MAIL:
            self._receive_mail(raw, now)
        elif command.verb is _Verb.RSET:
            self._proof.hear_reset()
            self._is_leaving |= raw.code != 250
        elif command.verb is _Verb.NOOP:
            self._proof.check(Checkpoint.NOOP, raw)
            self._is_leaving |= raw.code == 421
        elif raw.code == 221:
            self._proof.prove()
            self.is_over = True
        else:
            self._proof.hear(raw)
            self._is_ending = True
        if not self._outstanding:
            self._end_group()

    def lose(self, what_happened: str, now: datetime, *, is_timeout: bool = False) -> None:
        """The connection ended, or a reply did not come in time (``is_timeout``). What was asked gets no answer."""
        if self.is_over:
            return
        waiting = self._outstanding[0] if self._outstanding else None
        stage = Stage.RCPT if self.has_answers or (waiting and waiting.verb is _Verb.RCPT) else Stage.MAIL
        self.loss = self._about_session(no_reply(stage, what_happened), now)
        if is_timeout and 0 < len(self._outstanding) < self._group_size:
            self.is_pipelining_broken = True  # it may only have read the first: no word against anyone
        elif not self.has_answers and not self.is_closing:
            if waiting and waiting.question is not None:
                self._outstanding.popleft()
                self.refusal = self._answer(waiting.question, self.loss.reply, self.loss.reading, now, is_certain=True)
            else:
                self.refusal = self.loss
        self._leave_behind(self._proof.break_off())

    def ask_no_more(self) -> None:
        """We want to end: the replies to what has been asked are still heard, and QUIT follows."""
        self._is_leaving = True

    def leave(self) -> None:
        """We end the session ourselves, in the middle: what is not proven goes back."""
        if not self.is_over:
            self._leave_behind(self._proof.drop())

    def break_off(self) -> None:
        """The host sent what is no SMTP reply, or more than it was asked for: nothing unproven stands."""
        self._take_back_unanswered()
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
        return self.answer_count > 0

    @property
    def is_fruitful(self) -> bool:
        """Whether any answer of the host has been proven."""
        return self._proof.has_proven

    @property
    def was_in_vain(self) -> bool:
        """Whether each answer was to be proven at once, the host answered, and still nothing was proven."""
        return self.is_cautious and self.has_answers and not self.is_fruitful

    @property
    def outstanding_count(self) -> int:
        """Commands that have been sent and whose replies have not come."""
        return len(self._outstanding)

    @property
    def is_closing(self) -> bool:
        """Nothing more can be learnt but that nothing is surplus: QUIT has been sent, and all else is answered."""
        return self._is_ending or (len(self._outstanding) == 1 and self._outstanding[0].verb is _Verb.QUIT)

    # -- what to say ---

    def _plan(self, now: datetime) -> None:
        """Plan the next group: questions, a checkpoint where one is due, or QUIT."""
        is_due = not self._is_leaving and self._proof.is_due(now)
        if is_due and not self._is_pipelined:
            self._plan_checkpoint()
            return
        has_questions = not self._is_leaving and self._plan_questions(now)
        if not has_questions or (self._is_pipelined and self._is_last_group()):
            self._plan_quit()
        elif is_due:
            self._plan_checkpoint()

    def _is_last_group(self) -> bool:
        return self.rcpt_count >= self.session_addresses or self.source.has_asked_all()

    def _plan_questions(self, now: datetime) -> bool:
        room = 0
        if self._refusal_count < SESSION_REFUSALS:
            most = SESSION_REFUSALS_AT_MOST - self._refusal_count
            window = self.window if self._is_pipelined else 1
            room = min(window, self.session_addresses - self.rcpt_count, most)
        count = 0
        while count < room and (question := self._next_askable(now)) is not None:
            count += 1
            needs_smtputf8 = not question.address.isascii()
            is_full = self._transaction_rcpts >= self.recipients_per_transaction
            if not self._transaction_rcpts or is_full or (needs_smtputf8 and not self._is_smtputf8):
                self._plan_transaction(is_smtputf8=needs_smtputf8)
                if not self._has_begun:
                    room = count  # until the host has taken a MAIL: what follows a refused one would be errors
            self._transaction_rcpts += 1
            self.rcpt_count += 1
            self._proof.ask(question.address)
            line = b"RCPT TO:<%s>" % question.address.encode()
            self._planned.append(_Command(_Verb.RCPT, line, question, self._transaction_rcpts))
        return count > 0

    def _plan_transaction(self, *, is_smtputf8: bool) -> None:
        if self._transaction_rcpts:
            self._planned.append(_Command(_Verb.RSET, b"RSET"))
            self._proof.ask_reset()
        self._transaction_rcpts = 0
        self._is_smtputf8 = is_smtputf8
        # RFC 6531 section 3.4: the parameter is for transactions that name a non-ASCII address
        line = b"MAIL FROM:<%s>%s" % (self.envelope.mail_from.encode("ascii"), b" SMTPUTF8" if is_smtputf8 else b"")
        self._planned.append(_Command(_Verb.MAIL, line))

    def _plan_checkpoint(self) -> None:
        match self._proof.best_checkpoint():
            case Checkpoint.NOOP:
                self._planned.append(_Command(_Verb.NOOP, b"NOOP"))
            case Checkpoint.EHLO:
                self._planned.append(_Command(_Verb.EHLO, b"EHLO " + self.envelope.helo_name.encode("ascii")))
            case None:
                self._plan_quit()  # only the end of the session can tell

    def _plan_quit(self) -> None:
        self._planned.append(_Command(_Verb.QUIT, b"QUIT"))

    def _unplan(self) -> None:
        """What has not been said is not said."""
        for command in self._planned:
            if command.question is not None:
                self.rcpt_count -= 1
                self._returned.append(command.question)
        self._planned.clear()
        self._hand_back()

    def _send(self, group: list[_Command]) -> bytes:
        self._outstanding.extend(group)
        self._group_size = len(group)
        self.command_count += len(group)
        return b"\r\n".join([command.line for command in group]) + b"\r\n"

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

    # -- what is heard ---

    def _receive_mail(self, raw: RawReply, now: datetime) -> None:
        self._proof.hear(raw)
        self._has_begun = raw.code == 250
        if self._has_begun:
            return
        if raw.code < 400:
            self.break_off()
            return
        refusal = self._about_session(as_reply(Stage.MAIL, raw.code, raw.lines), now)
        # A host that has answered may only have had enough of this session: another one shows what it means.
        if not self.has_answers or (raw.code >= 500 and refusal.reading.reason in STOP_REASONS):
            self.refusal = refusal
        self._is_leaving = True

    def _receive_rcpt(self, command: _Command, raw: RawReply, now: datetime) -> None:
        question = command.question
        assert question is not None
        if raw.code < 400 and raw.code not in _RCPT_CODES:
            self.break_off()  # 220, 221, 354 and the like answer something else
            self._take_back(question)
            return
        quote = self._proof.quote_in(raw, question.address)
        if quote is Quote.OTHER or self.capabilities.are_repeated_by(raw):
            self.break_off()
            self._take_back(question)
            return
        if not self._has_begun:  # it was said in one breath with the MAIL that was refused
            self._returned.append(question)
            return
        reply = as_reply(Stage.RCPT, raw.code, raw.lines)
        reading = self.read(reply)
        if reading.reason is Reason.SENDER_REFUSED and self.may_change_sender:
            self._proof.hear(raw)  # not an answer: the same question goes to the other sender
            self.refusal = self.refusal or self._about_session(reply, now, question)
            self._returned.append(question)
            self._is_leaving = True
            return
        if self._wants_it_again(command, raw, reading):
            self._proof.hear(raw)
            self._returned.append(question)
            return
        answer = self._answer(question, reply, reading, now, proves_itself=quote is Quote.OWN)
        self._refusal_count += raw.code >= 400
        if self._is_enough(raw, reading) or _is_unwelcome(reading):
            self.refusal = answer
            self._is_leaving = True

    def _wants_it_again(self, command: _Command, raw: RawReply, reading: Reading) -> bool:
        """Whether the reply is no answer: the same question goes into a new transaction, or a new session."""
        if reading.reason is Reason.TOO_MANY_RECIPIENTS and command.place > 1:
            self.recipients_per_transaction = min(self.recipients_per_transaction, command.place - 1)
            self._transaction_rcpts = max(self._transaction_rcpts, self.recipients_per_transaction)
            return True
        if self._is_enough(raw, reading) and self.has_answers:
            self.was_left_by_host = True  # the host has had enough of this session; another one shows what it means
            self._is_leaving = True
            return True
        # Said once of us all, it need not be held against every address that was named in the same breath.
        return self.refusal is not None and _is_unwelcome(reading)

    def _is_enough(self, raw: RawReply, reading: Reading) -> bool:
        return raw.code == 421 or reading.reason is Reason.TOO_MANY_RECIPIENTS

    def _answer(
        self,
        question: Question,
        reply: Reply,
        reading: Reading,
        now: datetime,
        *,
        is_certain: bool = False,
        proves_itself: bool = False,
    ) -> Answer:
        answer = Answer(question, reply, reading, self._asked_at or now, now)
        if is_certain:
            self._proof.add_certain(answer)
        else:
            self.answer_count += 1
            self._proof.add(answer, proves_itself=proves_itself)
        self.source.receive(question, reading)
        return answer

    def _about_session(self, reply: Reply, now: datetime, asked: Question | None = None) -> Answer:
        if asked is None:
            asked = next((c.question for c in (*self._outstanding, *self._planned) if c.question is not None), None)
        question = Question(ProbeKind.SESSION, asked.domain if asked else "", "")
        return Answer(question, reply, self.read(reply), self._asked_at or now, now)

    # -- what gets no answer ---

    def _take_back(self, question: Question) -> None:
        self.source.put_back(question)

    def _take_back_unanswered(self) -> None:
        for command in (*self._outstanding, *self._planned):
            if command.question is not None:
                self._returned.append(command.question)
        self._outstanding.clear()
        self._planned.clear()

    def _end_group(self) -> None:
        if not self._returned:
            self.window = min(2 * self.window, self.window_limit)
        self._hand_back()

    def _hand_back(self) -> None:
        """Questions without an answer go back, in their order."""
        for question in reversed(self._returned):
            self.source.put_back(question)
        self._returned.clear()

    def _leave_behind(self, fallen: list[Answer]) -> None:
        """End the session; outstanding questions and those of ``fallen`` are asked again, in their order."""
        self._take_back_unanswered()
        self._hand_back()
        for answer in reversed(fallen):
            self.source.withdraw(answer.question, answer.reading, ask_again=True)
        self.is_over = True


def _is_unwelcome(reading: Reading) -> bool:
    return reading.about is not About.ADDRESS and reading.reason in STOP_REASONS
