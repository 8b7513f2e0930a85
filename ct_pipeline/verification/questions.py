"""In which order one domain is asked. Pure.

A real address comes first: some hosts punish an early unknown name. Once one is accepted (or greylisted, so that both
waits run side by side) while the catch-all fact is missing or in doubt, a name that cannot exist follows, also where
others were refused before it; so it does when a name is accepted that was refused on an earlier visit. A
large domain must accept two of them to be a catch-all. Where many names were accepted since the last clear refusal, a
made-up one is asked at the end too: a host may have begun to accept everything meanwhile. Where names were refused in
vague words since the last acceptance, an accepted one is asked again at the end, as a *witness*: a host that has come
to refuse everybody refuses it too. A catch-all ends the domain, and so does doubt. An evasive refusal is followed by a
control question: ``postmaster`` must exist (RFC 5321 section 4.5.1), so a host that accepts it tells names apart.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Protocol

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.domain_knowledge import DomainKnowledge, is_clear_refusal, is_evasive
from ct_pipeline.verification.probe import DueAddress, ProbeKind, Reply
from ct_pipeline.verification.vague_refusals import VagueRefusals
from ct_pipeline.vocabulary import Reason

_RANDOM_NAME_LENGTH = 18

# Due addresses. A wrong word on such a domain costs that many at once, and one question more is at most two percent.
LARGE_DOMAIN = 50
MADE_UP_NAMES = 2  # of one domain, in one visit


class Question(NamedTuple):
    """One address to ask about. ``due`` is set for an address of the list; ``witness_id`` for one asked again."""

    kind: ProbeKind
    domain: str
    address: str
    due: DueAddress | None = None
    witness_id: int | None = None


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
    def has_witness_due(self) -> bool: ...
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
        doubted_at: datetime | None = None,
        may_confirm_doubt: bool = False,
        random_probe: RandomProbe = RandomProbe.SAME_SESSION,
        has_time: bool = True,  # for a second made-up name
    ) -> None:
        self.domain = domain
        self.known_tells_apart = tells_apart
        self.doubted_at = doubted_at  # when an earlier visit found that the host accepts what it had refused before
        self._random_probe = random_probe
        # Lists: an empty deque takes 600 bytes, and many a domain has one address.
        self._waiting: list[DueAddress] = []  # the next one last
        self._wants: list[Question] = []  # made-up names and postmaster, the next one first
        self._made_up_count = 0  # of the former, those that have been wanted
        self._has_asked_postmaster = False
        self.is_at_backup = False  # whether a less preferred host has been asked
        self._alone: Question | None = None  # while it is out, nothing else is asked
        self._out_count = 0  # addresses of the list that are being asked
        self._unconfirmed_count = 0  # accepted since the last clear refusal
        self._vague = VagueRefusals()
        self.accepted_before: list[DueAddress] = []  # asked already; they wait for what the made-up name tells
        for address in due:
            (self._waiting if address.accepted_probe_id is None else self.accepted_before).append(address)
        self._waiting.reverse()
        is_large = len(self._waiting) + len(self.accepted_before) >= LARGE_DOMAIN
        self._names_needed = 2 if is_large and has_time else 1
        known = is_catch_all, tells_apart, doubted_at is not None, may_confirm_doubt, self._names_needed
        may_ask = random_probe is not RandomProbe.NEVER
        self.heard = DomainKnowledge(*known, may_ask_made_up=may_ask)
        self.proven = DomainKnowledge(*known, may_ask_made_up=may_ask)
        if self.accepted_before:
            self._go_on_from_acceptance()

    @property
    def is_catch_all(self) -> bool | None:
        return self.proven.is_catch_all

    @property
    def is_over(self) -> bool:
        """The domain has been settled as a whole: what still waits is not asked."""
        return self.heard.is_catch_all is True or self.heard.is_in_doubt or self.heard.stop is not None

    @property
    def open_count(self) -> int:
        """Questions that could be asked now."""
        if self._alone is not None:
            return 0
        if not self._wants and not self._waiting:
            return int((self._is_late_name_due or self._is_witness_due) and not self._out_count)
        if self.is_over:
            return 0
        return len(self._wants) + (len(self._waiting) if self._is_scouted else min(1, len(self._waiting)))

    @property
    def may_go_on(self) -> bool:
        """Whether there is more to ask, now or once the question that is out has its answer.

        Nothing follows postmaster, or the last made-up name, where no address of the list waits.
        """
        may_ask = bool(self._waiting) or bool(self._wants) or self._may_answer_bring_more or self._is_late_name_due
        may_want_made_up = self._out_count > 0 and not self._made_up_count and self._may_acceptance_bring_made_up
        may_need_witness = self._is_witness_due or (
            self._vague.has_any and self._vague.has_witness and self._out_count > 0
        )
        return (may_ask or may_want_made_up or may_need_witness) and not self.is_over

    @property
    def waiting_count(self) -> int:
        """Addresses of the list that have no answer, and are not being asked right now."""
        return len(self._waiting)

    @property
    def wants_own_session(self) -> bool:
        """The next question is a made-up name, and the provider punishes sessions that ask for one."""
        if self._random_probe is not RandomProbe.OWN_SESSION:
            return False
        if not self._wants:
            return not self._waiting and self._is_late_name_due
        return self._wants[0].kind is ProbeKind.RANDOM

    @property
    def is_unsettled(self) -> bool:
        """Whether an accepted address has to wait: nobody knows if the domain accepts every name."""
        return self.proven.wants_made_up_name and self._random_probe is not RandomProbe.NEVER

    def next(self) -> Question | None:
        """The next question, or None when there is none now (over, all asked, or the first answer is awaited)."""
        if not self.open_count:
            return None
        if not self._wants and not self._waiting:
            if self._is_late_name_due:
                self._want_made_up_name()
            else:
                self._want_witness()
        if self._wants:
            self._alone = self._wants.pop(0)
            return self._alone
        due = self._waiting.pop()
        self._out_count += 1
        question = Question(ProbeKind.MAILBOX, self.domain, due.address, due)
        if not self._is_scouted:
            self._alone = question
        return question

    def receive(self, question: Question, reading: Reading) -> None:
        """Learn from the answer to ``question``."""
        self._let_others_ask(question)
        self._out_count -= question.due is not None
        self.learn(self.heard, question, reading)
        self._count_unconfirmed(question, reading)
        self._vague.hear(question.due, reading)
        if self._invites_made_up_name(question, reading):
            self._want_made_up_name()
        # Also where names were told apart on an earlier visit: a host that has come to refuse everybody shows here.
        elif is_evasive(reading) and not self.heard.accepted_count and question.kind is ProbeKind.MAILBOX:
            self._want_postmaster()

    def put_back(self, question: Question) -> None:
        """``question`` got no answer: ask it again in another session."""
        self._out_count -= question.due is not None
        self._ask_again(question)

    def withdraw(self, question: Question, reading: Reading, *, ask_again: bool = True) -> None:
        """The answer to ``question`` was not proven: forget it. An address of the list is only asked again on wish."""
        self.heard.unlearn(question.kind, reading, was_refused=_was_refused(question))
        if ask_again or question.due is None:
            self._ask_again(question)

    def learn(self, knowledge: DomainKnowledge, question: Question, reading: Reading) -> None:
        """Teach ``heard`` or ``proven`` the answer to ``question``."""
        knowledge.learn(question.kind, reading, was_refused=_was_refused(question))

    def disbelieve(self, reading: Reading) -> None:
        """A proven refusal of an address, in clear words, has turned out to be no word on it."""
        for knowledge in (self.heard, self.proven):
            if knowledge.unknown_count:  # what the first host said is forgotten at a backup
                knowledge.unlearn(ProbeKind.MAILBOX, reading)

    def take_waiting(self) -> list[DueAddress]:
        """Give up what was not asked: returns it, and leaves nothing to ask."""
        waiting = self._waiting[::-1]
        self._waiting.clear()
        self._wants.clear()
        return waiting

    def start_over(self) -> None:
        """From here on a backup host is asked, which may accept any name: nothing learnt at others speaks for it."""
        if self.is_at_backup:
            return
        self.is_at_backup = True
        # That names were refused elsewhere still counts against a host which accepts what cannot exist.
        known = self.proven
        fresh = {
            "is_doubted": known.is_doubted,
            "may_confirm": known.may_confirm,
            "names_needed": known.names_needed,
            "is_told_apart_elsewhere": known.is_catch_all is False or known.unknown_count > 0,
            "may_ask_made_up": known.may_ask_made_up,
        }
        self.heard, self.proven = DomainKnowledge(**fresh), DomainKnowledge(**fresh)
        self._unconfirmed_count = 0
        self._vague = VagueRefusals()
        self._made_up_count, self._has_asked_postmaster = 0, False
        self._wants.clear()
        if self.accepted_before:
            self._go_on_from_acceptance()

    def _go_on_from_acceptance(self) -> None:
        for knowledge in (self.heard, self.proven):
            knowledge.answer_count = knowledge.accepted_count = len(self.accepted_before)
        if self.is_unsettled:
            self._want_made_up_name()

    @property
    def _is_scouted(self) -> bool:
        is_known = self.heard.known_catch_all is not None and not self.heard.is_doubted
        return is_known or self.heard.answer_count > 0

    @property
    def _may_answer_bring_more(self) -> bool:
        """Whether the answer to the question that is out alone can lead to another one."""
        if self._alone is None:
            return False
        is_of_two = self._names_needed > 1 and self._made_up_count < MADE_UP_NAMES
        return self._alone.kind is ProbeKind.MAILBOX or is_of_two

    @property
    def _may_acceptance_bring_made_up(self) -> bool:
        return self.heard.wants_made_up_name and self._random_probe is not RandomProbe.NEVER

    @property
    def _is_late_name_due(self) -> bool:
        """Whether many may have been accepted since the last clear refusal, once those that are out have answers."""
        if self._unconfirmed_count + self._out_count < LARGE_DOMAIN or self._random_probe is RandomProbe.NEVER:
            return False
        return self._made_up_count < MADE_UP_NAMES and not self.is_over

    def _invites_made_up_name(self, question: Question, reading: Reading) -> bool:
        is_accepted = reading.reason is Reason.ACCEPTED
        if self._random_probe is RandomProbe.NEVER or not (is_accepted or reading.reason is Reason.GREYLISTED):
            return False
        if question.kind is ProbeKind.RANDOM:
            return is_accepted and self.heard.wants_made_up_name  # one that is accepted may happen to exist
        if is_accepted and _was_refused(question):
            return True
        may_follow = is_accepted or question.kind is ProbeKind.MAILBOX
        return may_follow and not self._made_up_count and self.heard.wants_made_up_name

    def _count_unconfirmed(self, question: Question, reading: Reading) -> None:
        if is_clear_refusal(reading):
            self._unconfirmed_count = 0
        elif reading.reason is Reason.ACCEPTED and question.due is not None:
            self._unconfirmed_count += 1

    @property
    def _is_witness_due(self) -> bool:
        """Whether names were refused in vague words, and it is time to see that an accepted one still is accepted."""
        return self._vague.want_witness and self.heard.is_catch_all is False and not self.is_over

    def _want_witness(self) -> None:
        if (due := self._vague.take_witness()) is not None:
            self._wants.append(Question(ProbeKind.WITNESS, self.domain, due.address, witness_id=due.address_id))

    def _let_others_ask(self, question: Question) -> None:
        if self._alone is question:
            self._alone = None

    def _ask_again(self, question: Question) -> None:
        self._let_others_ask(question)
        if question.due is not None:
            self._waiting.append(question.due)
        else:
            self._wants.insert(0, question)

    def _want_made_up_name(self) -> None:
        """The first that has not been asked, if there is one."""
        if self._made_up_count < MADE_UP_NAMES:
            name = random_name(self.domain, self._made_up_count)
            self._made_up_count += 1
            self._wants.append(Question(ProbeKind.RANDOM, self.domain, f"{name}@{self.domain}"))

    def _want_postmaster(self) -> None:
        if not self._has_asked_postmaster:
            self._has_asked_postmaster = True
            self._wants.append(Question(ProbeKind.CONTROL, self.domain, f"postmaster@{self.domain}"))


def random_name(domain: str, number: int = 0) -> str:
    """A local part that nobody has, the same at every call: greylisting lets a name pass only when it comes again.

    A domain has several of them, by ``number``.
    """
    seed = f"{domain} {number}" if number else domain
    digest = hashlib.blake2b(seed.encode(), digest_size=16, person=b"ct_random_name").hexdigest()
    letters = digest.translate(str.maketrans("0123456789", "ghijkmnpqr"))
    return letters[:_RANDOM_NAME_LENGTH]


def _was_refused(question: Question) -> bool:
    return question.due is not None and question.due.was_refused
