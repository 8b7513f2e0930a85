"""When somebody whom a site has accepted is asked again: after many clear refusals in a row. Pure.

A block is aimed at our address, so it spans the domains of a site: the row is counted over all of them. The *witness*
is the last address that the hosts at hand have accepted, or else the last at the site. A catch-all's is none.

This goes by what is heard, so that the witness is asked at once; what the answers are worth is decided when they are
proven, by :class:`~ct_pipeline.verification.refusal_streak.RefusalStreak`.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.domain_knowledge import DomainKnowledge, is_clear_refusal, is_unclear_refusal
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import Question
from ct_pipeline.verification.refusal_streak import LONG_ROW
from ct_pipeline.vocabulary import Reason

MAX_TRIES = 2  # for one row: a host that gives the witness no answer is not asked for ever

Hosts = TypeVar("Hosts", bound=Hashable)


class WitnessWatch(Generic[Hosts]):
    """The watch over one site. ``Hosts`` stands for those that one session can talk to."""

    def __init__(self) -> None:
        self._refused_count = 0  # in a row
        # The last one of each, with what is known of its domain; who accepted last comes last
        self._accepted: dict[Hosts, tuple[DueAddress, DomainKnowledge]] = {}
        self._last: Hosts | None = None  # who accepted last
        self._is_out = False
        self._tries_left = MAX_TRIES
        self.is_refused = False  # whether a witness was: nobody is asked on until that is proven, or not

    @property
    def is_due(self) -> bool:
        """Whether it is time for a witness, whoever that may be."""
        return self._refused_count >= LONG_ROW and not self._is_out and self._tries_left > 0

    def is_due_at(self, hosts: Hosts) -> bool:
        """Whether it is, and these hosts have accepted somebody."""
        return self.is_due and self._has_witness(hosts)

    def hosts_to_visit(self) -> Iterator[Hosts]:
        """Who could be asked about a witness now, those that accepted last first."""
        return filter(self._has_witness, reversed(self._accepted)) if self.is_due else iter(())

    def take(self, hosts: Hosts) -> Question | None:
        """The question to put to ``hosts`` now, None where none is due."""
        if not self.is_due_at(hosts):
            return None
        self._is_out = True
        self._tries_left -= 1
        due, _ = self._accepted[hosts]
        return Question(ProbeKind.WITNESS, due.domain, due.address, witness_id=due.address_id)

    def hear_witness(self, reading: Reading) -> None:
        """What a witness was answered, this one or that of a domain whose refusals are vague."""
        self._is_out = False
        if reading.reason is Reason.ACCEPTED:
            self._begin_row()
        elif is_refused_witness(reading) and self._refused_count:
            self.is_refused = True

    def put_back(self) -> None:
        """A witness got no answer, none that is proven, or one that speaks against nobody."""
        self._is_out = self.is_refused = False

    def hear(self, hosts: Hosts, question: Question, reading: Reading, heard: DomainKnowledge) -> None:
        """Any other answer; ``heard`` is what is known of its domain by then."""
        if question.due is None:
            return
        if reading.reason is Reason.ACCEPTED:
            if hosts is not self._last:
                self._accepted.pop(hosts, None)
                self._last = hosts
            self._accepted[hosts] = question.due, heard
            self._begin_row()
        elif is_clear_refusal(reading):
            self._refused_count += 1

    def forget(self, hosts: Hosts, question: Question, reading: Reading) -> None:
        """The answer to ``question`` was not proven."""
        if question.due is None:
            return
        if is_clear_refusal(reading):
            self._refused_count = max(0, self._refused_count - 1)
        elif hosts in self._accepted and self._accepted[hosts][0] is question.due:
            del self._accepted[hosts]

    def end(self) -> None:
        """Nobody is asked any more. The hosts are let go: held in a circle, they would wait for a collection."""
        self._accepted.clear()
        self._last = None

    def _has_witness(self, hosts: Hosts) -> bool:
        return hosts in self._accepted and self._accepted[hosts][1].is_catch_all is not True

    def _begin_row(self) -> None:
        self._refused_count, self._tries_left = 0, MAX_TRIES


def is_refused_witness(reading: Reading) -> bool:
    """Whether this answer to an accepted address says that the host has come to refuse us, in whatever words."""
    return is_clear_refusal(reading) or is_unclear_refusal(reading)
