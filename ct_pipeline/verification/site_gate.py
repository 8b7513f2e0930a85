"""What the runs of one site share while they go on side by side: its pace, and the news that it has changed."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ct_pipeline.verification.pace import SitePace


@dataclass
class SiteGate:
    """The pace of one site, and who waits for it."""

    pace: SitePace
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
