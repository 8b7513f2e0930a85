"""Waiting for another process to come to a certain point."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0  # far more than anything here takes, so that a test fails instead of hanging


def wait_until(is_so: Callable[[], object], as_long_as: Callable[[], object] = lambda: True) -> None:
    """Return once ``is_so`` is true.

    Raises:
        AssertionError: ``as_long_as`` turned false before, or a minute passed.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert as_long_as(), "it ended before it came to that"
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.005)
