"""Signs of life of a long step in the log of its run: one line now and then, since every line is kept for good."""

import time
from collections.abc import Callable

import dagster as dg

EVERY_SECONDS = 30.0


class Progress:
    """Logs what ``say`` is told, at most every ``every_seconds``."""

    def __init__(self, context: dg.AssetExecutionContext, every_seconds: float = EVERY_SECONDS) -> None:
        self._context = context
        self._every_seconds = every_seconds
        self._said_at = time.monotonic()

    def say(self, words: Callable[[], str]) -> None:
        """Log ``words``, which are only made up when they are due."""
        now = time.monotonic()
        if now - self._said_at >= self._every_seconds:
            self._said_at = now
            self._context.log.info(words())
