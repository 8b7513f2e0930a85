"""Domains of one site that share the same mail hosts, so that one session can serve them all. Pure."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from ct_pipeline.domains.facts import MxHost
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.session_script import FIRST_WINDOW, RECIPIENTS
from ct_pipeline.verification.witness_watch import WitnessWatch

WORTH_A_SESSION = 30  # addresses: with fewer to spare for each, one session more costs the hosts more than it gains


@dataclass(frozen=True, slots=True)
class Closing:
    """Why nothing more is asked of some hosts in this run, and the probe that shows it.

    ``until_at`` is set when we are unwelcome: when the site's breaker lets the next trial through.
    """

    reading: Reading
    probe_id: int
    until_at: datetime | None = None


class HostGroup:
    """Deals domains out to sessions.

    Until the first answers about a domain are proven it belongs to one session; then it is shared, and as many sessions
    as the site allows may help with the rest of its addresses. The cost of each call does not grow with the number of
    domains.
    """

    def __init__(self, mx_hosts: tuple[MxHost, ...], domains: Iterable[DomainQuestions]) -> None:
        self.mx_hosts = mx_hosts
        self.domains = tuple(domains)
        self.watch: WitnessWatch[HostGroup] = WitnessWatch()  # the site's, once it is asked
        self.closing: Closing | None = None
        self.live_sessions = 0
        self.is_cautious = False  # the last session ended without proof of its answers
        self.fruitless_sessions = 0  # in a row
        self.recipients_per_transaction = RECIPIENTS
        self.window = FIRST_WINDOW
        self.session_addresses = 1000  # fewer once the hosts have ended a session by themselves
        self.uses_other_sender = False  # the egress's other MAIL FROM, because the hosts refused the first
        self.may_change_sender = True  # not yet changed in this run
        self._ready = deque(domain for domain in self.domains if domain.open_count)
        self._shared: dict[str, DomainQuestions] = {}
        self._for_own_session: dict[str, DomainQuestions] = {}

    @property
    def is_closed(self) -> bool:
        return self.closing is not None

    def wants_session(self, session_addresses: int) -> bool:
        """Whether there is more to ask than the sessions under way will ask anyway."""
        if self.is_closed:
            return False
        spare = self.live_sessions * min(session_addresses, WORTH_A_SESSION)
        if self._for_own_session and len(self._for_own_session) > self.live_sessions:
            return True
        for domain in chain(self._shared.values(), self._ready):
            spare -= domain.open_count
            if spare < 0:
                return True
        return False

    @property
    def has_more(self) -> bool:
        """Whether a session may still be given a domain."""
        return bool(self._ready or self._shared or self._for_own_session)

    def claim(self, *, for_own_session: bool = False) -> DomainQuestions | None:
        """A domain with something to ask, for one session; None when there is none now.

        ``for_own_session``: the session has asked nothing yet, so it may be the one for a made-up name that is asked
        alone; no other session gets such a domain.
        """
        if self.is_closed:
            return None
        while for_own_session and self._for_own_session:
            domain = self._for_own_session.pop(next(iter(self._for_own_session)))
            if domain.open_count:
                return domain
        while (domain := self._first_shared() or self._first_ready()) is not None:
            if domain.wants_own_session and not for_own_session:
                self.set_aside(domain)
            else:
                return domain
        return None

    def change_sender(self) -> None:
        """The hosts refused our sender: sessions from now on have the egress's other one, for the rest of the run."""
        if self.may_change_sender:
            self.may_change_sender = False
            self.uses_other_sender = not self.uses_other_sender

    def set_aside(self, domain: DomainQuestions) -> None:
        """The next question of ``domain`` needs a session of its own."""
        self._shared.pop(domain.domain, None)
        self._for_own_session[domain.domain] = domain

    def share(self, domain: DomainQuestions) -> None:
        """What one session learnt of ``domain`` is proven: others may help with the rest."""
        if domain.open_count and domain.domain not in self._for_own_session:
            self._shared[domain.domain] = domain

    def release(self, domain: DomainQuestions) -> None:
        """A session is done with ``domain``; what it left goes to the next one."""
        if not domain.open_count or domain.domain in self._shared or domain.domain in self._for_own_session:
            return
        if domain.wants_own_session:
            self.set_aside(domain)
        else:
            self._ready.append(domain)

    def _first_shared(self) -> DomainQuestions | None:
        while self._shared:
            name, domain = next(iter(self._shared.items()))
            if domain.open_count:
                return domain
            del self._shared[name]
        return None

    def _first_ready(self) -> DomainQuestions | None:
        while self._ready:
            domain = self._ready.popleft()
            if domain.open_count:
                return domain
        return None
