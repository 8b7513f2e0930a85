"""What the runs of one site share while they go on side by side: its pace, what is known of its hosts, and the news
that either has changed. Every TCP connection to the site passes here."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ct_pipeline.verification.dialer import Dialer
from ct_pipeline.verification.pace import SitePace

STOP_NOTICED_SECONDS = 1.0  # a session that waits to dial once more is not waited for longer


class NoMoreConnectionsError(Exception):
    """Nothing more may be asked of the site; a session was looking for a host that answers."""


@dataclass
class SiteGate:
    """The pace of one site and the way to its hosts, and who waits for them."""

    pace: SitePace
    dialer: Dialer
    _waiting: set[asyncio.Event] = field(default_factory=set)

    async def connect_again(self, clock: Callable[[], datetime], may_go_on: Callable[[], bool]) -> None:
        """Return when a session that has dialled in vain may dial once more, which is counted.

        Raises:
            NoMoreConnectionsError: it may not any more.
        """
        while may_go_on():
            if (delay := self.pace.connect_delay(now := clock())) <= 0:
                self.pace.connect_again(now)
                return
            await asyncio.sleep(min(delay, STOP_NOTICED_SECONDS))
        raise NoMoreConnectionsError

    @contextlib.contextmanager
    def news(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever a session of the site has ended, for the length of the block."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)

    def tell(self) -> None:
        """Something has changed for everyone who waits."""
        for event in self._waiting:
            event.set()
