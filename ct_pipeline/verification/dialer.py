"""Which of a group's hosts a session is opened with, and what is remembered of those that could not be reached."""

import math
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

from ct_pipeline.verification.connection import Connection, Refusal, open_connection
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.probe import Reply
from ct_pipeline.verification.surroundings import Surroundings

MAX_DIALS = 6  # connections tried before a group of domains counts as unreachable for now
ADDRESSES_PER_HOST = 2  # tried before the next host has its turn; the others come last


class Attempt(NamedTuple):
    """One try to open a session, and what came of it."""

    host: str
    address: str
    started_at: datetime
    outcome: Connection | Refusal
    was_dialled: bool = True  # False: it was found unreachable earlier in this run
    is_backup: bool = False  # the group has hosts that are preferred to this one


class Dialer:
    """Opens sessions with the hosts of one site. Remembers, for one run, which addresses are not worth another try.

    ``refused_sessions`` names, by address, the session that found it unreachable.
    """

    def __init__(self, around: Surroundings, site: str) -> None:
        self.refused_sessions: dict[str, int] = {}
        self._around = around
        self._seed = f"{around.seed}:{site}"
        self._turn = 0
        self._unreachable: dict[str, Reply] = {}
        self._avoided: set[str] = set()
        self._tls_is_broken: set[str] = set()

    async def dial(
        self,
        group: HostGroup,
        note: Callable[[Attempt], None],
        is_only_full: Callable[[str], bool],
        connect_again: Callable[[], Awaitable[None]],
    ) -> Attempt | None:
        """Try the hosts in turn until a session comes about; ``note`` is told of each attempt that came to nothing.

        Where a host ``is_only_full``, those that are less preferred are not tried: it talks to us, and a backup may
        accept any name. Each TCP connection after the first waits for ``connect_again``; what that raises ends the
        search.
        """
        around = self._around
        dial_count = 0
        endpoints = self._endpoints(group)
        best = min((preference for preference, _, _ in endpoints), default=0)
        worst = math.inf
        for preference, host, address in endpoints:
            if preference > worst:
                continue
            started_at = around.clock()
            if (known := self._unreachable.get(address)) is not None:
                note(Attempt(host, address, started_at, Refusal(known), was_dialled=False))
                continue
            if dial_count == MAX_DIALS:
                break
            if dial_count:
                await connect_again()
                started_at = around.clock()
            dial_count += 1
            use_tls = address not in self._tls_is_broken
            outcome = await open_connection(
                address,
                around.port,
                host,
                around.egress.envelope.helo_name,
                around.timeouts,
                around.egress.source_address,
                proxy=around.egress.proxy,
                use_tls=use_tls,
                connect_again=connect_again,
            )
            attempt = Attempt(host, address, started_at, outcome, is_backup=preference > best)
            if isinstance(outcome, Connection):
                if outcome.tls_failed:
                    self._tls_is_broken.add(address)
                return attempt
            note(attempt)
            if outcome.is_ours:
                break  # nothing is learnt of the host, and no other one would fare better
            self._unreachable[address] = outcome.reply
            if is_only_full(address):
                worst = preference
        return None

    def forgive(self, group: HostGroup) -> None:
        """The hosts of ``group`` are reachable after all, only not over so many connections at once."""
        for mx in group.mx_hosts:
            for address in mx.addresses:
                self._unreachable.pop(address, None)

    def avoid(self, address: str) -> None:
        """Sessions at ``address`` come to nothing: try the other hosts first."""
        self._avoided.add(address)

    def _endpoints(self, group: HostGroup) -> list[tuple[int, str, str]]:
        """(preference, host, address) in the order to try them."""
        hosts = list(group.mx_hosts)
        if len(hosts) > 1:
            self._turn += 1
            dice = random.Random(f"{self._seed}:{self._turn}")  # noqa: S311 - spreads load, hides nothing
            hosts.sort(key=lambda mx: (mx.preference, dice.random()))
        first = [(mx.preference, mx.host, address) for mx in hosts for address in mx.addresses[:ADDRESSES_PER_HOST]]
        rest = [(mx.preference, mx.host, address) for mx in hosts for address in mx.addresses[ADDRESSES_PER_HOST:]]
        if not self._avoided:
            return first + rest
        return sorted(first + rest, key=lambda endpoint: endpoint[2] in self._avoided)
