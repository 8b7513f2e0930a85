"""The questions of one session: it goes on with the domains it has begun, then claims another. Pure."""

from collections import deque
from collections.abc import Callable

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.verification.questions import DomainQuestions, Question


class SessionQuestions:
    """A :class:`~ct_pipeline.verification.dialogue.QuestionSource`. Call :meth:`finish` when the session has ended."""

    def __init__(self, group: HostGroup, may_ask: Callable[[], bool]) -> None:
        self._group = group
        self._may_ask = may_ask
        self._claimed: dict[str, DomainQuestions] = {}
        self._begun: deque[DomainQuestions] = deque()  # claimed domains that may have more to ask
        self._has_asked = False
        self._is_spent = False  # it asked for a made-up name that has to be asked alone
        self._watch = group.watch
        self._witness: Question | None = None  # it is out: no stranger is asked before its answer
        self._witnesses: list[Question] = []  # all that were asked for the watch over the site, not for a domain

    def may_ask(self) -> bool:
        return not self._group.is_closed and self._may_ask()

    def next_question(self) -> Question | None:
        if self._is_spent or self._witness is not None or self._watch.is_refused or not self.may_ask():
            return None
        if self._watch.is_due and (witness := self._watch.take(self._group)) is not None:
            self._witness = witness
            self._witnesses.append(witness)
            self._has_asked = True
            return witness
        while (domain := self._begun[0] if self._begun else self._claim()) is not None:
            if not self._must_wait(domain):
                is_spent = domain.wants_own_session
                if (question := domain.next()) is not None:
                    self._is_spent = is_spent
                    self._has_asked = True
                    return question
            self._begun.popleft()
        return None

    def has_asked_all(self) -> bool:
        """Whether no answer can lead to another question of this session."""
        if self.has_witness_due():
            return False
        return not self._group.has_more and not any(domain.may_go_on for domain in self._claimed.values())

    def has_witness_due(self) -> bool:
        return self._watch.is_due_at(self._group)

    def receive(self, question: Question, reading: Reading) -> None:
        if question.kind is ProbeKind.WITNESS:
            self._watch.hear_witness(reading)
        if question is self._witness:
            self._witness = None
            return
        domain = self._claimed[question.domain]
        domain.receive(question, reading)
        self._watch.hear(self._group, question, reading, domain.heard)
        self._go_on_with(domain)

    def put_back(self, question: Question) -> None:
        if question is self._witness:
            self._witness = None
            self._watch.put_back()
            return
        domain = self._claimed[question.domain]
        domain.put_back(question)
        self._go_on_with(domain)

    def withdraw(self, question: Question, reading: Reading, *, ask_again: bool) -> None:
        if question.kind is ProbeKind.WITNESS:
            self._watch.put_back()
        if not self._is_of_site(question):
            self._watch.forget(self._group, question, reading)
            self._claimed[question.domain].withdraw(question, reading, ask_again=ask_again)

    def finish(self) -> None:
        """Give the claimed domains back, with whatever they have left to ask."""
        for domain in self._claimed.values():
            self._group.release(domain)

    def _is_of_site(self, question: Question) -> bool:
        """Whether it was asked for the watch over the site, and not for a domain."""
        return any(question is witness for witness in self._witnesses)

    def _claim(self) -> DomainQuestions | None:
        domain = self._group.claim(for_own_session=not self._has_asked)
        if domain is not None:
            self._claimed[domain.domain] = domain
            self._begun.append(domain)
        return domain

    def _go_on_with(self, domain: DomainQuestions) -> None:
        if domain not in self._begun and domain.open_count:
            self._begun.append(domain)

    def _must_wait(self, domain: DomainQuestions) -> bool:
        """Its next question needs a session of its own, and this one is none any more."""
        if not (domain.wants_own_session and self._has_asked):
            return False
        self._group.set_aside(domain)
        return True
