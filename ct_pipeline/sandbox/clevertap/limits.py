"""How many calls of each kind may be in flight at once (3.3). There are no limits by time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST_IN_FLIGHT = {
    "upload": 15,
    "profiles": 3,
    "events": 3,
    "profile count": 3,
    "event count": 3,
    "delete": 3,
    "demerge": 3,
}
"""By API; subscribe and disassociate have no limit."""


class InFlight:
    """Counts the calls under way, and keeps the highest count of each API in ``most``."""

    def __init__(self, most: Counter[str]) -> None:
        self._now: Counter[str] = Counter()
        self._most = most

    @contextmanager
    def call(self, api: str) -> Iterator[bool]:
        """Whether there is room for this call, which lasts as long as the block."""
        self._now[api] += 1
        self._most[api] = max(self._most[api], self._now[api])
        try:
            yield self._now[api] <= MOST_IN_FLIGHT.get(api, self._now[api])
        finally:
            self._now[api] -= 1
