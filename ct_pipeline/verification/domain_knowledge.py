"""What the answers about one domain say of it: is it a catch-all, does it tell names apart, is asking on worth it.

Counts, not a history, so that an answer which turns out worthless can be taken out again. Pure.
"""

from dataclasses import dataclass

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.vocabulary import About, Reason

# One name that is forwarded to a dead domain, or filtered in vague words, must not speak for all of its neighbours.
DOMAIN_REFUSALS_BEFORE_STOPPING = 2
EVASIVE_REFUSALS_BEFORE_STOPPING = 3

# Words for a name that cannot exist; whichever they are, the host does not accept every name.
_NOT_A_MAILBOX = frozenset({Reason.MAILBOX_NOT_FOUND, Reason.MAILBOX_DISABLED, Reason.MAILBOX_MOVED})


@dataclass(slots=True)
class DomainKnowledge:
    """``known_catch_all`` and ``known_tells_apart`` are what earlier visits found, None where they found nothing."""

    known_catch_all: bool | None = None
    known_tells_apart: bool | None = None
    answer_count: int = 0
    random: Reading | None = None  # the answer to the name that cannot exist
    control: Reading | None = None  # the answer to postmaster
    accepted_count: int = 0  # of all kinds
    unknown_count: int = 0  # mailboxes and postmaster, refused in clear words
    unclear_count: int = 0  # mailboxes, refused in words that could mean anything
    evasive_count: int = 0  # these, and mailboxes refused because the host would not relay
    domain_count: int = 0  # mailboxes, refused because of their domain
    _evasive: Reading | None = None
    _domain: Reading | None = None

    def learn(self, kind: ProbeKind, reading: Reading) -> None:
        """Take in one answer."""
        self._count(kind, reading, 1)
        if kind is ProbeKind.RANDOM:
            self.random = reading
        elif kind is ProbeKind.CONTROL:
            self.control = reading

    def unlearn(self, kind: ProbeKind, reading: Reading) -> None:
        """Take an answer out again."""
        self._count(kind, reading, -1)
        if kind is ProbeKind.RANDOM and self.random is reading:
            self.random = None
        elif kind is ProbeKind.CONTROL and self.control is reading:
            self.control = None

    @property
    def is_catch_all(self) -> bool | None:
        """Whether the domain accepts every name; None while nobody knows.

        A vague refusal of a real name proves nothing (catch-alls refuse single names too); that of a name which cannot
        exist does, where another name was accepted.
        """
        if self.random is not None:
            if self.random.reason is Reason.ACCEPTED:
                return True
            if self.random.reason in _NOT_A_MAILBOX or (is_unclear_refusal(self.random) and self.accepted_count):
                return False
        if self.known_catch_all is not None:
            return self.known_catch_all
        return False if self.unknown_count else None

    @property
    def tells_apart(self) -> bool | None:
        """Whether the domain has accepted one name and refused another; False when it refuses even postmaster."""
        random_refused = self.random is not None and (
            self.random.reason in _NOT_A_MAILBOX or is_unclear_refusal(self.random)
        )
        if self.accepted_count and (self.unknown_count or self.unclear_count or random_refused):
            return True
        if self.control is not None and is_evasive(self.control) and not self.accepted_count:
            return False
        return self.known_tells_apart

    @property
    def stop(self) -> Reading | None:
        """The answer that makes further questions pointless, or None.

        Several names refused because of their domain; or several refused in vague words, and postmaster not accepted
        either. Never where any name was accepted, or clearly refused.
        """
        if self.accepted_count or self.unknown_count:
            return None
        if self.domain_count >= DOMAIN_REFUSALS_BEFORE_STOPPING:
            return self._domain
        if self.control is not None and self.evasive_count >= EVASIVE_REFUSALS_BEFORE_STOPPING:
            return self._evasive
        return None

    def _count(self, kind: ProbeKind, reading: Reading, step: int) -> None:
        self.answer_count += step
        if reading.reason is Reason.ACCEPTED:
            self.accepted_count += step
        if kind is ProbeKind.RANDOM:
            return
        if reading.reason is Reason.MAILBOX_NOT_FOUND:
            self.unknown_count += step
        if kind is ProbeKind.MAILBOX and is_unclear_refusal(reading):
            self.unclear_count += step
        if kind is ProbeKind.MAILBOX and is_evasive(reading):
            self.evasive_count += step
            self._evasive = reading
        if kind is ProbeKind.MAILBOX and reading.about is About.DOMAIN:
            self.domain_count += step
            self._domain = reading


def is_unclear_refusal(reading: Reading) -> bool:
    """A permanent refusal that may mean the mailbox or anything else."""
    return reading.about is About.UNCLEAR and reading.reason is Reason.UNCLEAR_REPLY


def is_evasive(reading: Reading) -> bool:
    """A refusal that says nothing of the mailbox, and that a host may well give to every name."""
    return is_unclear_refusal(reading) or (reading.about is About.UNCLEAR and reading.reason is Reason.RELAY_DENIED)
