"""In which order one domain is asked. Pure.

A real address comes first: some hosts punish an early unknown name. If it is refused as unknown, the domain is no
catch-all. If it is accepted (or greylisted, so that both waits run side by side) while the catch-all fact is missing, a
name that cannot exist follows. A catch-all ends the domain. An evasive refusal is followed by a control question:
``postmaster`` must exist (RFC 5321 section 4.5.1), so a host that accepts it tells names apart.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Protocol

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.domain_knowledge import DomainKnowledge, is_evasive
from ct_pipeline.verification.probe import DueAddress, ProbeKind, Reply
from ct_pipeline.vocabulary import Reason

_RANDOM_NAME_LENGTH = 18


class Question(NamedTuple):
    """One address to ask about. ``due`` is set for an address of the list."""

    kind: ProbeKind
    domain: str
    address: str
    due: DueAddress | None = None


class Answer(NamedTuple):
    """A question with its reply as it came and as it was read."""

    question: Question
    reply: Reply
    reading: Reading
    asked_at: datetime
    answered_at: datetime


class QuestionSource(Protocol):
    """Where a session gets its questions from, and where it reports what it heard."""

    def may_ask(self) -> bool: ...
    def next_question(self) -> Question | None: ...
    def has_asked_all(self) -> bool: ...
    def receive(self, question: Question, reading: Reading) -> None: ...
    def put_back(self, question: Question) -> None: ...
    def withdraw(self, question: Question, reading: Reading, *, ask_again: bool) -> None: ...


class DomainQuestions:
    """The questions that one domain's due addresses call for.

    ``heard`` is what all answers so far say, which decides what is asked next. ``proven`` is what the proven ones among
    them say, which decides what is written down; whoever proves answers teaches it.
    """

    def __init__(
        self,
        domain: str,
        due: Iterable[DueAddress],
        *,
        is_catch_all: bool | None = None,
        tells_apart: bool | None = None,
        random_probe: RandomProbe = RandomProbe.SAME_SESSION,
    ) -> None:
        self.domain = domain
        self.heard = DomainKnowledge(is_catch_all, tells_apart)
        self.proven = DomainKnowledge(is_catch_all, tells_apart)
        self._random_probe = random_probe
        self._waiting: deque[DueAddress] = deque()
        self._wants: deque[ProbeKind] = deque()
        self._has_asked: set[ProbeKind] = set()
        self.is_at_backup = False  # whether a less preferred host has been asked
        self._alone: Question | None = None  # while it is out, nothing else is asked
        self.accepted_before: list[DueAddress] = []  # asked already; they wait for what the made-up name tells
        for address in due:
            (self._waiting if address.accepted_probe_id is None else self.accepted_before).append(address)
        if self.accepted_before:
            self._go_on_from_acceptance()

    @property
    def is_catch_all(self) -> bool | None:
        return self.proven.is_catch_all

    @property
    def is_over(self) -> bool:
        """The domain has been settled as a whole: what still waits is not asked."""
        return self.heard.is_catch_all is True or self.heard.stop is not None

    @property
    def open_count(self) -> int:
        """Questions that could be asked now."""
        if self.is_over or self._alone is not None:
            return 0
        return len(self._wants) + (len(self._waiting) if self._is_scouted else min(1, len(self._waiting)))

    @property
    def may_go_on(self) -> bool:
        """Whether there is more to ask, now or once the question that is out has its answer.

        Nothing follows the made-up name, or postmaster, where no address of the list waits.
        """
        is_awaited = self._alone is not None and self._alone.kind is ProbeKind.MAILBOX
        return not self.is_over and (is_awaited or bool(self._wants) or bool(self._waiting))

    @property
    def waiting_count(self) -> int:
        """Addresses of the list that have no answer, and are not being asked right now."""
        return len(self._waiting)

    @property
    def wants_own_session(self) -> bool:
        """The next question is a made-up name, and the provider punishes sessions that ask for one."""
        is_random = bool(self._wants) and self._wants[0] is ProbeKind.RANDOM
        return is_random and self._random_probe is RandomProbe.OWN_SESSION

    @property
    def is_unsettled(self) -> bool:
        """Whether an accepted address is still in doubt: nobody knows if the domain accepts every name."""
        return self.proven.is_catch_all is None and self._random_probe is not RandomProbe.NEVER

    def next(self) -> Question | None:
        """The next question, or None when there is none now (over, all asked, or the first answer is awaited)."""
        if not self.open_count:
            return None
        if self._wants:
            kind = self._wants.popleft()
            self._has_asked.add(kind)
            self._alone = Question(kind, self.domain, self._made_up_address(kind))
            return self._alone
        due = self._waiting.popleft()
        question = Question(ProbeKind.MAILBOX, self.domain, due.address, due)
        if not self._is_scouted:
            self._alone = question
        return question

    def receive(self, question: Question, reading: Reading) -> None:
        """Learn from the answer to ``question``."""
        self._let_others_ask(question)
        self.heard.learn(question.kind, reading)
        if question.kind is ProbeKind.RANDOM:
            return
        invites_random = reading.reason is Reason.ACCEPTED or (
            reading.reason is Reason.GREYLISTED and question.kind is ProbeKind.MAILBOX
        )
        if invites_random and self.heard.is_catch_all is None and self._random_probe is not RandomProbe.NEVER:
            self._want(ProbeKind.RANDOM)
        # Also where names were told apart on an earlier visit: a host that has come to refuse everybody shows here.
        elif is_evasive(reading) and not self.heard.accepted_count and question.kind is ProbeKind.MAILBOX:
            self._want(ProbeKind.CONTROL)

    def put_back(self, question: Question) -> None:
        """``question`` got no answer: ask it again in another session."""
        self._let_others_ask(question)
        if question.due is not None:
            self._waiting.appendleft(question.due)
        else:
            self._wants.appendleft(question.kind)

    def withdraw(self, question: Question, reading: Reading, *, ask_again: bool = True) -> None:
        """The answer to ``question`` was not proven: forget it. An address of the list is only asked again on wish."""
        self.heard.unlearn(question.kind, reading)
        if ask_again or question.due is None:
            self.put_back(question)

    def take_waiting(self) -> list[DueAddress]:
        """Give up what was not asked: returns it, and leaves nothing to ask."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._wants.clear()
        return waiting

    def start_over(self) -> None:
        """From here on a backup host is asked, which may accept any name: nothing learnt at others counts there."""
        if self.is_at_backup:
            return
        self.is_at_backup = True
        self.heard, self.proven = DomainKnowledge(), DomainKnowledge()
        self._has_asked.clear()
        self._wants.clear()
        if self.accepted_before:
            self._go_on_from_acceptance()

    def _go_on_from_acceptance(self) -> None:
        for knowledge in (self.heard, self.proven):
            knowledge.answer_count = knowledge.accepted_count = len(self.accepted_before)
        if self.is_unsettled:
            self._want(ProbeKind.RANDOM)

    @property
    def _is_scouted(self) -> bool:
        return self.heard.known_catch_all is not None or self.heard.answer_count > 0

    def _let_others_ask(self, question: Question) -> None:
        if self._alone is question:
            self._alone = None

    def _want(self, kind: ProbeKind) -> None:
        if kind not in self._has_asked and kind not in self._wants:
            self._wants.append(kind)

    def _made_up_address(self, kind: ProbeKind) -> str:
        if kind is ProbeKind.CONTROL:
            return f"postmaster@{self.domain}"
        return f"{random_name(self.domain)}@{self.domain}"


def random_name(domain: str) -> str:
    """A local part that nobody has, the same at every call: greylisting lets a name pass only when it comes again."""
    digest = hashlib.blake2b(domain.encode(), digest_size=16, person=b"ct_random_name").hexdigest()
    letters = digest.translate(str.maketrans("0123456789", "ghijkmnpqr"))
    return letters[:_RANDOM_NAME_LENGTH]
