"""Domains of one site that share the same mail hosts, so that one session can serve them all. Pure."""

from collections import deque
from collections.abc import Iterable

from ct_pipeline.domains.facts import MxHost
from ct_pipeline.verification.questions import DomainQuestions


class HostGroup:
    """Deals domains out to sessions.

    Until the first answers about a domain are proven it belongs to one session; then it is shared, and as many sessions
    as the site allows may help with the rest of its addresses.
    """

    def __init__(self, mx_hosts: tuple[MxHost, ...], domains: Iterable[DomainQuestions]) -> None:
        self.mx_hosts = mx_hosts
        self.domains = tuple(domains)
        self.is_closed = False  # nothing more is asked of these hosts in this run
        self.fruitless_sessions = 0
        self._ready = deque(self.domains)
        self._shared: dict[str, DomainQuestions] = {}

    def open_count(self) -> int:
        """Questions that a new session could ask now."""
        if self.is_closed:
            return 0
        return sum(domain.open_count for domain in (*self._ready, *self._shared.values()))

    def claim(self) -> DomainQuestions | None:
        """A domain with something to ask, for one session; None when there is none now."""
        if self.is_closed:
            return None
        for name, domain in list(self._shared.items()):
            if domain.open_count:
                return domain
            del self._shared[name]
        while self._ready:
            domain = self._ready.popleft()
            if domain.open_count:
                return domain
        return None

    def share(self, domain: DomainQuestions) -> None:
        """What one session learnt of ``domain`` is proven: others may help with the rest."""
        if domain.open_count:
            self._shared[domain.domain] = domain

    def release(self, domain: DomainQuestions) -> None:
        """A session is done with ``domain``; what it left goes to the next one."""
        if domain.open_count and domain.domain not in self._shared:
            self._ready.append(domain)
