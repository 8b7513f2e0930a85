"""In which order one domain is asked, and what its answers settle for all its addresses. Pure.

A real address comes first: some hosts punish an early unknown name. If it is refused as unknown, the domain is no
catch-all. If it is accepted (or greylisted, so that both waits run side by side) while the catch-all fact is missing, a
name that cannot exist follows. A catch-all ends the domain. An unclear refusal is followed by a control question:
``postmaster`` must exist (RFC 5321 section 4.5.1), so a host that accepts it tells names apart.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.vocabulary import About, Reason

_RANDOM_NAME_LENGTH = 18


@dataclass(frozen=True, slots=True)
class Question:
    """One address to ask about. ``due`` is set for an address of the list."""

    kind: ProbeKind
    domain: str
    address: str
    due: DueAddress | None = None


class DomainQuestions:
    """The questions that one domain's due addresses call for."""

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
        self.is_catch_all = is_catch_all
        self.tells_apart = tells_apart
        self.stopped_by: Reading | None = None  # the answer that ended the domain for every address
        self.random_reading: Reading | None = None
        self._waiting = deque(due)
        self._random_probe = random_probe
        self._scout_is_out = False
        self._is_scouted = is_catch_all is not None
        self._wants: deque[ProbeKind] = deque()
        self._has_asked: set[ProbeKind] = set()
        self._has_accepted = False
        self._has_refused = False

    @property
    def open_count(self) -> int:
        """Questions that could be asked now."""
        if self.is_over or self._scout_is_out:
            return 0
        return len(self._wants) + (len(self._waiting) if self._is_scouted else min(1, len(self._waiting)))

    @property
    def is_over(self) -> bool:
        """The domain has been settled as a whole: what still waits is not asked."""
        return self.is_catch_all is True or self.stopped_by is not None

    @property
    def wants_own_session(self) -> bool:
        """The next question is a made-up name, and the provider punishes sessions that ask for one."""
        is_random = bool(self._wants) and self._wants[0] is ProbeKind.RANDOM
        return is_random and self._random_probe is RandomProbe.OWN_SESSION

    def next(self) -> Question | None:
        """The next question, or None when there is none now (over, all asked, or the first answer is awaited)."""
        if not self.open_count:
            return None
        if self._wants:
            kind = self._wants.popleft()
            self._has_asked.add(kind)
            self._scout_is_out = True
            return Question(kind, self.domain, self._made_up_address(kind))
        self._scout_is_out = not self._is_scouted
        due = self._waiting.popleft()
        return Question(ProbeKind.MAILBOX, self.domain, due.address, due)

    def receive(self, question: Question, reading: Reading) -> None:
        """Learn from the answer to ``question``."""
        accepted = reading.reason is Reason.ACCEPTED
        # A full, disabled or limited mailbox is known to the host; only an unknown name shows that names matter.
        refused = reading.reason is Reason.MAILBOX_NOT_FOUND
        unclear = reading.about is About.UNCLEAR and reading.reason is not Reason.CANNOT_VERIFY
        self._has_accepted |= accepted
        self._has_refused |= refused or unclear
        self._is_scouted = True
        self._scout_is_out = False
        if question.kind is ProbeKind.RANDOM:
            self._learn_from_random(reading, accepted, refused)
        elif question.kind is ProbeKind.CONTROL:
            if not accepted:
                self.stopped_by = reading if unclear else self.stopped_by
        elif refused and self.is_catch_all is None:
            self.is_catch_all = False
        elif reading.about is About.DOMAIN:
            self.stopped_by = reading
        elif accepted or reading.reason is Reason.GREYLISTED:
            self._want(ProbeKind.RANDOM, needed=self.is_catch_all is None)
        elif unclear:
            self._want(ProbeKind.CONTROL, needed=self.tells_apart is None and not self._has_accepted)
        if self._has_accepted and self._has_refused and question.kind is not ProbeKind.SESSION:
            self.tells_apart = True
            if self.is_catch_all is None:
                self.is_catch_all = False

    def put_back(self, question: Question) -> None:
        """``question`` got no answer: ask it again in another session."""
        self._scout_is_out = False
        if question.due is not None:
            self._waiting.appendleft(question.due)
        else:
            self._wants.appendleft(question.kind)

    def take_waiting(self) -> list[DueAddress]:
        """Give up what was not asked: returns it, and leaves nothing to ask."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._wants.clear()
        return waiting

    def forget(self) -> None:
        """The answers so far turned out worthless (the host was out of step): nothing they settled stands."""
        self.is_catch_all = None
        self.tells_apart = None
        self.stopped_by = None
        self._has_accepted = self._has_refused = False

    @property
    def is_unsettled(self) -> bool:
        """Whether an accepted address is still in doubt: nobody knows if the domain accepts every name."""
        return self.is_catch_all is None and self._random_probe is not RandomProbe.NEVER

    def _learn_from_random(self, reading: Reading, accepted: bool, refused: bool) -> None:
        self.random_reading = reading
        if accepted:
            self.is_catch_all = True
        elif refused:
            self.is_catch_all = False

    def _want(self, kind: ProbeKind, *, needed: bool) -> None:
        allowed = kind is not ProbeKind.RANDOM or self._random_probe is not RandomProbe.NEVER
        if needed and allowed and kind not in self._has_asked and kind not in self._wants:
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
