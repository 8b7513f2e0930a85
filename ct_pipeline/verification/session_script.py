"""What one session says: questions in transactions, checkpoints between them, QUIT. Pure.

Where the host offers PIPELINING (RFC 2920), commands go out in groups: MAIL, RCPT and RSET anywhere; NOOP, EHLO and
QUIT only as the last.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification import commands
from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.commands import Command
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.proof import Checkpoint, Proof
from ct_pipeline.verification.questions import Answer, Question, QuestionSource
from ct_pipeline.verification.reply_parser import no_reply

# Postfix's smtpd_soft_error_limit and smtpd_hard_error_limit: from the tenth error of a session on it pauses a second
# before each reply, at the twentieth it hangs up. A new session is kinder to both.
SESSION_REFUSALS = 10
SESSION_REFUSALS_AT_MOST = 20
FIRST_WINDOW = 2  # what a host does not bear, such as more recipients in a message, costs it few errors to show
# Recipients of one transaction. RFC 5321 section 4.5.3.1.8 asks every host for 100. One that takes fewer has to refuse
# one RCPT where each is sent alone, but all that is left of a group: there, as many as Postfix sends by default.
RECIPIENTS = 100
RECIPIENTS_IN_GROUPS = 50
WORTH_AN_EHLO = 10  # recipients: where a transaction takes fewer it ends by RSET, whose reply is the shorter one


@dataclass
class SessionScript:
    """Plans the groups of one session. The session takes at most ``session_addresses`` questions and begins no new one
    after ``session_seconds``.

    ``window_limit`` is the most RCPTs in one group; 1 sends every command alone. ``window`` is how many there may be
    in the next one: it begins low and doubles with each group that filled it and was answered in full.
    """

    source: QuestionSource
    proof: Proof
    read: Callable[[Reply], Reading]
    envelope: Envelope
    capabilities: Capabilities
    session_addresses: int
    session_seconds: float
    recipients_per_transaction: int
    window_limit: int
    window: int = FIRST_WINDOW

    is_leaving: bool = False  # nothing more is asked
    has_begun: bool = False  # the host took the last MAIL
    refusal_count: int = 0
    command_count: int = 0
    rcpt_count: int = 0

    def __post_init__(self) -> None:
        self._is_pipelined = self.window_limit > 1
        if self._is_pipelined:
            self.recipients_per_transaction = min(self.recipients_per_transaction, RECIPIENTS_IN_GROUPS)
        self._planned: deque[Command] = deque()
        self._group_rcpts = 0  # named in the group under way
        self._transaction_rcpts = 0  # named in the transaction under way; 0: there is none
        self._is_smtputf8 = False  # that transaction takes non-ASCII addresses
        self._ends_at: datetime | None = None

    def next_group(self, now: datetime) -> list[Command]:
        """The commands to send together, at least one."""
        if self._ends_at is None:
            self._ends_at = now + timedelta(seconds=self.session_seconds)
        if now >= self._ends_at:
            self.is_leaving = True
        if not self._planned:
            self._plan(now)
        elif self.is_leaving or not self.source.may_ask():
            for question in reversed(self.take_back()):
                self.source.put_back(question)
            self._planned.append(commands.QUIT)
        if self._is_pipelined:
            group = list(self._planned)
            self._planned.clear()
        else:
            group = [self._planned.popleft()]
        self.command_count += len(group)
        return group

    def take_back(self) -> list[Question]:
        """The questions that were planned and have not been said; they will not be."""
        questions = [command.question for command in self._planned if command.question is not None]
        self.rcpt_count -= len(questions)
        self._planned.clear()
        return questions

    @property
    def next_question(self) -> Question | None:
        """The first question that is planned and has not been said."""
        return next((command.question for command in self._planned if command.question is not None), None)

    # -- what the replies change ---

    def widen(self) -> None:
        """A group was answered in full. One that left room in the window tells nothing of a wider one."""
        if self._group_rcpts >= self.window:
            self.window = min(2 * self.window, self.window_limit)

    def end_transaction(self) -> None:
        """The host took EHLO, which ends the transaction under way (RFC 5321 section 4.1.4)."""
        self._transaction_rcpts = 0

    def fill_transaction(self, recipient_count: int) -> None:
        """The host takes no more than so many recipients in a transaction: the one under way is full."""
        self.recipients_per_transaction = min(self.recipients_per_transaction, recipient_count)
        self._transaction_rcpts = max(self._transaction_rcpts, self.recipients_per_transaction)

    # -- planning ---

    def _plan(self, now: datetime) -> None:
        """Plan the next group: questions, a checkpoint where one is due, or QUIT."""
        self._group_rcpts = 0
        if self.is_leaving:
            self._planned.append(commands.QUIT)
            return
        is_due = self.proof.is_due(now)
        if not self._is_pipelined and self._is_better_greeted():
            self._planned.append(commands.ehlo(self.envelope))
        elif not self._is_pipelined and is_due and (self.proof.is_cautious or not self._is_last_group()):
            self._plan_checkpoint()  # before the last words of a session it is spared: QUIT proves as much
        elif not self._plan_questions(now) or (self._is_pipelined and self._is_last_group()):
            self._planned.append(commands.QUIT)
        elif is_due:
            self._plan_checkpoint()

    def _is_better_greeted(self) -> bool:
        """Whether EHLO should end the transaction, which is full: RSET would prove nothing, and take NOOP's force."""
        return (
            self._transaction_rcpts >= self.recipients_per_transaction >= WORTH_AN_EHLO
            and self.proof.trusts_ehlo
            and self.source.may_ask()
            and not self._is_last_group()
        )

    def _is_last_group(self) -> bool:
        return self.rcpt_count >= self.session_addresses or self.source.has_asked_all()

    def _plan_questions(self, now: datetime) -> bool:
        room = self._room()
        count = 0
        while count < room and (question := self._next_askable(now)) is not None:
            count += 1
            if self._begin_transaction_for(question):
                room = count  # until the host has taken this MAIL: what follows a refused one would be errors
            self._transaction_rcpts += 1
            self.rcpt_count += 1
            self.proof.ask(question.address)
            self._planned.append(commands.rcpt(question, self._transaction_rcpts))
        self._group_rcpts = count
        return count > 0

    def _room(self) -> int:
        """Questions of the next group at most."""
        if self.refusal_count >= SESSION_REFUSALS:
            # Whom the host accepts after so many refusals is told best by the session that heard them.
            return int(self.refusal_count < SESSION_REFUSALS_AT_MOST and self.source.has_witness_due())
        left = self.session_addresses - self.rcpt_count
        if not self._is_pipelined:
            return min(left, 1)
        return min(self.window, left, SESSION_REFUSALS_AT_MOST - self.refusal_count)

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
        self.proof.add_certain(Answer(question, reply, reading, now, now))

    def _begin_transaction_for(self, question: Question) -> bool:
        """Plan MAIL where the transaction under way cannot take ``question``; returns whether it was planned."""
        needs_smtputf8 = not question.address.isascii()
        if self._transaction_rcpts:
            is_full = self._transaction_rcpts >= self.recipients_per_transaction
            if not is_full and (self._is_smtputf8 or not needs_smtputf8):
                return False
            self._planned.append(commands.RSET)
            self.proof.ask_reset()
        self._transaction_rcpts = 0
        self._is_smtputf8 = needs_smtputf8
        self._planned.append(commands.mail(self.envelope, is_smtputf8=needs_smtputf8))
        return True

    def _plan_checkpoint(self) -> None:
        match self.proof.best_checkpoint():
            case Checkpoint.NOOP:
                self._planned.append(commands.NOOP)
            case Checkpoint.EHLO:
                self._planned.append(commands.ehlo(self.envelope))
            case None:
                self._planned.append(commands.QUIT)  # only the end of the session can tell
