"""One SMTP session after EHLO, without I/O: says the next commands, receives their replies.

What is said is planned in :class:`~ct_pipeline.verification.session_script.SessionScript`. Replies are paired with
commands in order. What the host answers is kept in :class:`~ct_pipeline.verification.proof.Proof` until it is certain
that no reply was taken for the answer to another command. A surplus reply voids everything since the last proof; a
session that ends without proof gives its unproven questions back, and those that had no answer.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.commands import Command, Verb
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.probe import ProbeKind, Reply, Stage
from ct_pipeline.verification.proof import Checkpoint, Proof, Quote
from ct_pipeline.verification.questions import Answer, Question, QuestionSource
from ct_pipeline.verification.reply_parser import RawReply, as_reply, no_reply
from ct_pipeline.verification.session_script import FIRST_WINDOW, RECIPIENTS, SessionScript
from ct_pipeline.vocabulary import About, Reason

_RCPT_CODES = range(250, 253)

# What these say holds for every address at this site, so there is no point (and some harm) in asking on.
STOP_REASONS = frozenset(
    {Reason.PROBER_BLOCKED, Reason.SENDER_REFUSED, Reason.RATE_LIMITED, Reason.TLS_OR_LOGIN_REQUIRED}
)


class Dialogue:
    """The conversation of one session. ``read`` gives a reply its meaning; ``envelope`` says who we are.

    ``session_addresses``, ``session_seconds``, ``recipients_per_transaction``, ``window_limit`` and ``window`` are the
    script's. ``is_cautious``: each answer is proven before the next question. ``may_change_sender``: a host that
    refuses our sender is asked again with another one.
    """

    def __init__(
        self,
        source: QuestionSource,
        read: Callable[[Reply], Reading],
        envelope: Envelope,
        capabilities: Capabilities,
        session_addresses: int,
        *,
        session_seconds: float = 900.0,
        recipients_per_transaction: int = RECIPIENTS,
        is_cautious: bool = False,
        window_limit: int = 1,
        window: int = FIRST_WINDOW,
        may_change_sender: bool = False,
    ) -> None:
        self.source = source
        self.read = read
        self.envelope = envelope
        self.capabilities = capabilities
        self.is_cautious = is_cautious
        self.may_change_sender = may_change_sender

        self.refusal: Answer | None = None  # why the host will not be asked on: a refused MAIL, a block, silence
        self.loss: Answer | None = None  # how a session ended that did not end with QUIT and 221
        self.voided: list[Answer] = []  # answers that cannot be believed: the session fell out of step
        self.is_out_of_step = False
        self.is_over = False
        self.was_left_by_host = False  # 421, or no more recipients, after it had answered some
        self.is_pipelining_broken = False  # the host fell silent in the middle of a group
        self.answer_count = 0  # of the host, proven or not

        self._proof = Proof(capabilities, is_cautious=is_cautious)
        self._script = SessionScript(
            source,
            self._proof,
            read,
            envelope,
            capabilities,
            session_addresses,
            session_seconds,
            recipients_per_transaction,
            window_limit if capabilities.has("PIPELINING") and not is_cautious else 1,
            window,
        )
        self._outstanding: deque[Command] = deque()
        self._group_size = 0
        self._asked_at: datetime | None = None
        self._is_ending = False  # QUIT got an odd reply: only more bytes, or the end of the connection, can follow
        self._returned: list[Question] = []  # no answers in this session: given back when the group is through

    def next_commands(self, now: datetime) -> bytes:
        """The bytes to send next; none when the session is over, or only its end is awaited."""
        if self.is_over or self._is_ending:
            return b""
        assert not self._outstanding, "a reply is outstanding"
        self._asked_at = now
        group = self._script.next_group(now)
        self._outstanding.extend(group)
        self._group_size = len(group)
        return group[0].line if len(group) == 1 else b"".join([command.line for command in group])

    def receive(self, raw: RawReply, now: datetime) -> None:
        """Take the reply to the oldest outstanding command; a reply to nothing ends the session as out of step."""
        if not self._outstanding:
            self.break_off()
            return
        command = self._outstanding.popleft()
        if command.verb is Verb.RCPT:
            self._receive_rcpt(command, raw, now)
        elif command.verb is Verb.EHLO:
            self._receive_ehlo(raw)
        elif self.capabilities.are_repeated_by(raw):
            self.break_off()  # a second reply to EHLO
        elif command.verb is Verb.MAIL:
            self._receive_mail(raw, now)
        elif command.verb is Verb.RSET:
            self._proof.hear_reset()
            self._script.is_leaving |= raw.code != 250
        elif command.verb is Verb.NOOP:
            self._proof.check(Checkpoint.NOOP, raw)
            self._script.is_leaving |= raw.code == 421
        elif raw.code == 221:
            self._proof.prove()
            self.is_over = True
        else:
            self._proof.hear(raw)
            self._is_ending = True
        if not self._outstanding:
            if self._returned:
                self._hand_back()
            else:
                self._script.widen()

    def lose(self, what_happened: str, now: datetime, *, is_timeout: bool = False) -> None:
        """The connection ended, or a reply did not come in time (``is_timeout``). What was asked gets no answer."""
        if self.is_over:
            return
        waiting = self._outstanding[0] if self._outstanding else None
        stage = Stage.RCPT if self.has_answers or (waiting and waiting.verb is Verb.RCPT) else Stage.MAIL
        self.loss = self._about_session(no_reply(stage, what_happened), now)
        if is_timeout and 0 < len(self._outstanding) < self._group_size:
            self.is_pipelining_broken = True  # it may only have read the first: no word against anyone
        elif not self.has_answers and not self.is_closing:
            if waiting and waiting.question is not None:
                self._outstanding.popleft()
                self.refusal = Answer(waiting.question, self.loss.reply, self.loss.reading, self._asked_at or now, now)
                self._proof.add_certain(self.refusal)
                self.source.receive(waiting.question, self.loss.reading)
            else:
                self.refusal = self.loss
        self._leave_behind(self._proof.break_off())

    def ask_no_more(self) -> None:
        """We want to end: the replies to what has been asked are still heard, and QUIT follows."""
        self._script.is_leaving = True

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

    # -- what it came to ---

    @property
    def command_count(self) -> int:
        """Commands that were sent."""
        return self._script.command_count

    @property
    def rcpt_count(self) -> int:
        return self._script.rcpt_count

    @property
    def recipients_per_transaction(self) -> int:
        """The most that the host takes, as far as it has shown."""
        return self._script.recipients_per_transaction

    @property
    def window(self) -> int:
        """The most questions of the next group, as far as the host has shown that it bears them."""
        return self._script.window

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
        return self._is_ending or (len(self._outstanding) == 1 and self._outstanding[0].verb is Verb.QUIT)

    # -- what is heard ---

    def _receive_ehlo(self, raw: RawReply) -> None:
        self._proof.check(Checkpoint.EHLO, raw)
        if raw.code == 250:
            self._script.end_transaction()
        self._script.is_leaving |= raw.code == 421

    def _receive_mail(self, raw: RawReply, now: datetime) -> None:
        self._proof.hear(raw)
        self._script.has_begun = raw.code == 250
        if raw.code == 250:
            return
        if raw.code < 400:
            self.break_off()
            return
        refusal = self._about_session(as_reply(Stage.MAIL, raw.code, raw.lines), now)
        # A host that has answered may only have had enough of this session: another one shows what it means.
        if not self.has_answers or (raw.code >= 500 and refusal.reading.reason in STOP_REASONS):
            self.refusal = refusal
        self._script.is_leaving = True

    def _receive_rcpt(self, command: Command, raw: RawReply, now: datetime) -> None:
        question = command.question
        assert question is not None
        if raw.code < 400 and raw.code not in _RCPT_CODES:
            self._break_off_at(question)  # 220, 221, 354 and the like answer something else
            return
        quote = self._proof.quote_in(raw, question.address)
        if quote is Quote.OTHER or self.capabilities.are_repeated_by(raw):
            self._break_off_at(question)
            return
        if not self._script.has_begun:  # it was said in one breath with the MAIL that was refused
            self._returned.append(question)
            return
        reply = as_reply(Stage.RCPT, raw.code, raw.lines)
        reading = self.read(reply)
        is_accepted = reading.reason is Reason.ACCEPTED
        if not is_accepted and self._is_no_answer(command, raw, reply, reading, now):
            self._proof.hear(raw)
            self._returned.append(question)
            return
        answer = Answer(question, reply, reading, self._asked_at or now, now)
        self.answer_count += 1
        self._proof.add(answer, proves_itself=quote is Quote.OWN)
        self.source.receive(question, reading)
        self._script.refusal_count += raw.code >= 400
        if not is_accepted and (_is_enough(raw, reading) or _is_unwelcome(reading)):
            self.refusal = answer
            self._script.is_leaving = True

    def _is_no_answer(self, command: Command, raw: RawReply, reply: Reply, reading: Reading, now: datetime) -> bool:
        """Whether the same question goes into a new transaction, into a new session, or to another sender."""
        if reading.reason is Reason.SENDER_REFUSED and self.may_change_sender:
            self.refusal = self.refusal or self._about_session(reply, now, command.question)
            self._script.is_leaving = True
            return True
        if reading.reason is Reason.TOO_MANY_RECIPIENTS and command.place > 1:
            self._script.fill_transaction(command.place - 1)
            return True
        if _is_enough(raw, reading) and self.has_answers:
            self.was_left_by_host = True  # the host has had enough of this session; another one shows what it means
            self._script.is_leaving = True
            return True
        # Said once of us all, it need not be held against every address that was named in the same breath.
        return self.refusal is not None and _is_unwelcome(reading)

    def _about_session(self, reply: Reply, now: datetime, asked: Question | None = None) -> Answer:
        if asked is None:
            unanswered = (command.question for command in self._outstanding if command.question is not None)
            asked = next(unanswered, self._script.next_question)
        question = Question(ProbeKind.SESSION, asked.domain if asked else "", "")
        return Answer(question, reply, self.read(reply), self._asked_at or now, now)

    # -- what gets no answer ---

    def _break_off_at(self, question: Question) -> None:
        self.break_off()
        self.source.put_back(question)

    def _take_back_unanswered(self) -> None:
        self._returned += [command.question for command in self._outstanding if command.question is not None]
        self._returned += self._script.take_back()
        self._outstanding.clear()

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


def _is_enough(raw: RawReply, reading: Reading) -> bool:
    return raw.code == 421 or reading.reason is Reason.TOO_MANY_RECIPIENTS


def _is_unwelcome(reading: Reading) -> bool:
    return reading.about is not About.ADDRESS and reading.reason in STOP_REASONS
