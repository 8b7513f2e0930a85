"""How long to wait before a call is repeated, and how often it is (pure).

CleverTap publishes no advice beyond "try later". The figures follow what its own examples and working clients do:
1.5 s after "too many concurrent requests", 2 to 15 s while an export or a count is being prepared.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from ``first_seconds`` to ``longest_seconds``, at most ``waits`` of them."""

    first_seconds: float
    longest_seconds: float
    waits: int

    def wait_seconds(self, number: int, random: Random, asked_seconds: float | None = None) -> float | None:
        """Seconds before repetition ``number`` (the first is 0), or None: it is not repeated again.

        Half of the wait is random, so that callers who failed together do not come back together. What the server
        asked for is waited at least, but never more than the longest wait.
        """
        if number >= self.waits:
            return None
        doubled = min(self.longest_seconds, self.first_seconds * 2.0 ** min(number, 60))
        wait = doubled * random.uniform(0.5, 1.0)
        return max(wait, min(asked_seconds or 0.0, self.longest_seconds))


@dataclass(frozen=True, slots=True)
class Patience:
    """How patiently each kind of answer is taken."""

    trouble: Backoff = Backoff(1.0, 60.0, 7)  # 5xx, HTML, timeouts, lost connections: about two minutes
    busy: Backoff = Backoff(1.5, 60.0, 20)  # others use the account's few slots as well: about a quarter of an hour
    not_ready: Backoff = Backoff(2.0, 15.0, 120)  # an export is prepared: about 20 minutes
    counting: Backoff = Backoff(1.0, 15.0, 60)  # a count is computed: about 10 minutes


HURRIED = Patience(Backoff(0.5, 1.0, 1), Backoff(1.0, 3.0, 3), Backoff(0.5, 2.0, 3), Backoff(0.5, 2.0, 3))
"""For someone who waits in front of a screen."""
