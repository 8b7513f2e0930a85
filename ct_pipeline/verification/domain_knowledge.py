"""What the answers about one domain say of it: is it a catch-all, does it tell names apart, is asking on worth it.

A catch-all takes evidence on both sides: a made-up name that is accepted, and none that is refused. That a real name is
refused shows little, since catch-alls have single names closed; it counts only where no made-up one may be asked. But
where the host has refused any name before, on this visit or an earlier one, an accepted made-up name may as well mean
that it distrusts us and now accepts everything: the domain is *in doubt*, and nothing that it accepts is proof, until a
later visit finds the same.

Counts, not a history, so that an answer which turns out worthless can be taken out again. Pure.
"""

from dataclasses import dataclass, field

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.vocabulary import NOT_A_MAILBOX, About, Reason

# One name that is forwarded to a dead domain, or filtered in vague words, must not speak for all of its neighbours.
DOMAIN_REFUSALS_BEFORE_STOPPING = 2
EVASIVE_REFUSALS_BEFORE_STOPPING = 3
# Postmaster must be accepted (RFC 5321 section 4.5.1), and often is where everybody else is turned away. So many dead
# names and not one live are no coincidence: it is us that the host refuses.
EVASIVE_REFUSALS_BESIDE_POSTMASTER = 10


@dataclass(slots=True)
class DomainKnowledge:
    """``known_catch_all`` and ``known_tells_apart`` are what earlier visits found, None where they found nothing.

    ``is_doubted``: an earlier visit left the domain in doubt; ``may_confirm``: so long ago that the same finding today
    is the truth. ``names_needed`` is how many made-up names a catch-all must have accepted.
    """

    known_catch_all: bool | None = None
    known_tells_apart: bool | None = None
    is_doubted: bool = False
    may_confirm: bool = False
    names_needed: int = 1
    is_told_apart_elsewhere: bool = False  # a more preferred host has refused names
    may_ask_made_up: bool = True  # False at providers that punish made-up names
    answer_count: int = 0
    made_up: list[Reading] = field(default_factory=list)  # the answers to names that cannot exist, in their order
    control: Reading | None = None  # the answer to postmaster
    accepted_count: int = 0  # mailboxes
    risen_count: int = 0  # of these, the ones that the host refused on an earlier visit
    unknown_count: int = 0  # mailboxes and postmaster, refused in clear words
    unclear_count: int = 0  # mailboxes, refused in words that could mean anything
    evasive_count: int = 0  # these, and mailboxes refused because the host would not relay
    domain_count: int = 0  # mailboxes, refused because of their domain
    _evasive: Reading | None = None
    _domain: Reading | None = None
    # of ``made_up``, counted whenever it changes: they are looked at with every question
    _accepted_made_up_count: int = 0
    _refused_made_up_count: int = 0
    _unclear_made_up_count: int = 0
    _is_last_made_up_accepted: bool = False

    def learn(self, kind: ProbeKind, reading: Reading, *, was_refused: bool = False) -> None:
        """Take in one answer; ``was_refused``: the host has refused this mailbox on an earlier visit."""
        self._count(kind, reading, 1, was_refused)
        if kind is ProbeKind.RANDOM:
            self.made_up.append(reading)
            self._count_made_up()
        elif kind is ProbeKind.CONTROL:
            self.control = reading

    def unlearn(self, kind: ProbeKind, reading: Reading, *, was_refused: bool = False) -> None:
        """Take an answer out again."""
        self._count(kind, reading, -1, was_refused)
        if kind is ProbeKind.RANDOM:
            self.made_up = _without_last(reading, self.made_up)
            self._count_made_up()
        elif kind is ProbeKind.CONTROL and self.control is reading:
            self.control = None

    @property
    def is_catch_all(self) -> bool | None:
        """Whether the domain accepts every name; None while nobody knows. Never True while it is in doubt."""
        if self.made_up:
            if self._has_refused_made_up or self.is_in_doubt:
                return False
            if accepted := self._accepted_made_up_count:
                return True if accepted >= self.names_needed else None
        if self.known_catch_all is not None:
            return self.known_catch_all
        return False if self.unknown_count and not self.may_ask_made_up else None

    @property
    def is_in_doubt(self) -> bool:
        """The host accepts what cannot exist, though it has refused names before."""
        if not self._is_last_made_up_accepted:
            return False
        if self.unknown_count or self._has_refused_made_up:
            return True
        has_refused = self.known_catch_all is False or self.is_told_apart_elsewhere or self.risen_count > 0
        return has_refused and not self.may_confirm

    @property
    def has_refused_once(self) -> bool:
        """It has refused a single name, and nothing else is known: a catch-all may do that."""
        is_known = self.known_catch_all is not None or self.is_told_apart_elsewhere or self._has_refused_made_up
        return self.unknown_count == 1 and not is_known

    @property
    def doubt_stands(self) -> bool:
        """Whether it is in doubt now, or was and no made-up name has settled it."""
        return self.is_in_doubt or (self.is_doubted and not self._is_settled_by_made_up)

    @property
    def wants_made_up_name(self) -> bool:
        """Whether an acceptance proves nothing until a name that cannot exist is answered."""
        if self.is_in_doubt:
            return False
        is_doubtful = self.is_catch_all is None or self.is_doubted or self.risen_count > 0
        return is_doubtful and not self._is_settled_by_made_up

    @property
    def left_open_by(self) -> Reading | None:
        """The answer to a made-up name that settled nothing (a 4xx, say), so that acceptances have to wait."""
        return next((reading for reading in self.made_up if reading.reason is not Reason.ACCEPTED), None)

    @property
    def tells_apart(self) -> bool | None:
        """Whether the domain has accepted one name and refused another; False when it refuses even postmaster."""
        has_refused = self.unknown_count or self.unclear_count or self._has_refused_made_up
        if self.accepted_count and has_refused:
            return True
        if self.may_be_refusing_us:
            return None
        if self._is_postmaster_accepted and has_refused:
            return True
        if self.control is not None and is_evasive(self.control) and not self.accepted_count:
            return False
        return self.known_tells_apart

    @property
    def stop(self) -> Reading | None:
        """The answer that makes further questions pointless, or None.

        Several names refused because of their domain; or several refused in vague words, and postmaster not accepted
        either, or many and only postmaster accepted. Never where another name was accepted, or clearly refused.
        """
        if self.accepted_count or self.unknown_count or self._accepted_made_up_count:
            return None
        if self._is_postmaster_accepted:
            return self._evasive if self.may_be_refusing_us else None
        if self.domain_count >= DOMAIN_REFUSALS_BEFORE_STOPPING:
            return self._domain
        if self.control is not None and self.evasive_count >= EVASIVE_REFUSALS_BEFORE_STOPPING:
            return self._evasive
        return None

    @property
    def may_be_refusing_us(self) -> bool:
        """Whether many names were refused in vague words, and postmaster is the only one that is accepted."""
        is_nobody_else_known = not self.accepted_count and not self.unknown_count
        is_vague = self.evasive_count >= EVASIVE_REFUSALS_BESIDE_POSTMASTER
        return self._is_postmaster_accepted and is_nobody_else_known and is_vague

    @property
    def _is_postmaster_accepted(self) -> bool:
        return self.control is not None and self.control.reason is Reason.ACCEPTED

    @property
    def _has_refused_made_up(self) -> bool:
        """A vague refusal of a real name proves nothing (catch-alls refuse single names too); that of a name which
        cannot exist does, where another name was accepted."""
        if self._refused_made_up_count:
            return True
        return self._unclear_made_up_count > 0 and (self.accepted_count > 0 or self._is_postmaster_accepted)

    @property
    def _is_settled_by_made_up(self) -> bool:
        return self._has_refused_made_up or self._accepted_made_up_count >= self.names_needed

    def _count_made_up(self) -> None:
        self._accepted_made_up_count = sum(reading.reason is Reason.ACCEPTED for reading in self.made_up)
        self._refused_made_up_count = sum(is_clear_refusal(reading) for reading in self.made_up)
        self._unclear_made_up_count = sum(is_unclear_refusal(reading) for reading in self.made_up)
        self._is_last_made_up_accepted = bool(self.made_up) and self.made_up[-1].reason is Reason.ACCEPTED

    def _count(self, kind: ProbeKind, reading: Reading, step: int, was_refused: bool) -> None:
        self.answer_count += step
        if kind in (ProbeKind.RANDOM, ProbeKind.WITNESS):
            return
        if reading.reason is Reason.MAILBOX_NOT_FOUND:
            self.unknown_count += step
        if kind is not ProbeKind.MAILBOX:
            return
        if reading.reason is Reason.ACCEPTED:
            self.accepted_count += step
            self.risen_count += step * was_refused
        if is_unclear_refusal(reading):
            self.unclear_count += step
        if is_evasive(reading):
            self.evasive_count += step
            self._evasive = reading
        if reading.about is About.DOMAIN:
            self.domain_count += step
            self._domain = reading


def _without_last(reading: Reading, readings: list[Reading]) -> list[Reading]:
    """Readings are shared by equal replies, so that two answers may be one and the same object."""
    place = max((index for index, other in enumerate(readings) if other is reading), default=len(readings))
    return readings[:place] + readings[place + 1 :]


def is_clear_refusal(reading: Reading) -> bool:
    """A refusal which shows that the host still tells this name from others, be it a name that cannot exist."""
    return reading.reason in NOT_A_MAILBOX


def is_unclear_refusal(reading: Reading) -> bool:
    """A permanent refusal that may mean the mailbox or anything else."""
    return reading.about is About.UNCLEAR and reading.reason is Reason.UNCLEAR_REPLY


def is_evasive(reading: Reading) -> bool:
    """A refusal that says nothing of the mailbox, and that a host may well give to every name."""
    return is_unclear_refusal(reading) or (reading.about is About.UNCLEAR and reading.reason is Reason.RELAY_DENIED)
