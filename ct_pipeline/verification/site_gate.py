"""What the runs of one site share while they go on side by side: its pace, what is known of its hosts, and the news
that either has changed."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ct_pipeline.verification.dialer import Dialer
from ct_pipeline.verification.pace import SitePace


@dataclass
class SiteGate:
    """The pace of one site and the way to its hosts, and who waits for them."""

    pace: SitePace
    dialer: Dialer
    _waiting: set[asyncio.Event] = field(default_factory=set)

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
