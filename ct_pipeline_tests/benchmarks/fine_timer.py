"""Calls that come when they should: event loops count in whole milliseconds, so that the replies of many sessions leave
together and whoever they go to has a queue that no network would have made."""

import asyncio
import ctypes
import heapq
import os
import time
from collections.abc import Callable
from itertools import count
from typing import Any

# Linux, timerfd_create(2); Python has it from 3.13 on.
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC = 1
_ABSOLUTE_TIME = 1


class _Setting(ctypes.Structure):
    """``struct itimerspec``: a timer that rings once has an interval of 0."""

    _fields_ = (("interval", ctypes.c_long * 2), ("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class FineTimer:
    """Belongs to the running event loop, for as long as that runs."""

    def __init__(self) -> None:
        self._descriptor = _LIBC.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._calls: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()  # calls of the same moment keep their order
        asyncio.get_running_loop().add_reader(self._descriptor, self._ring)

    def call_later(self, seconds: float, callback: Callable[..., None], *arguments: Any) -> None:
        """``callback(*arguments)`` in so many ``seconds``, within some 0.1 ms."""
        at = time.monotonic() + seconds
        heapq.heappush(self._calls, (at, next(self._number), callback, arguments))
        if self._calls[0][0] == at:
            self._set(at)

    def _ring(self) -> None:
        while self._calls and self._calls[0][0] <= time.monotonic():
            _, _, callback, arguments = heapq.heappop(self._calls)
            callback(*arguments)
        self._set(self._calls[0][0] if self._calls else 0.0)  # 0 stops it; either way it has not rung any more

    def _set(self, at: float) -> None:
        seconds = int(at)
        setting = _Setting((0, 0), seconds, int((at - seconds) * 1e9))
        if _LIBC.timerfd_settime(self._descriptor, _ABSOLUTE_TIME, ctypes.byref(setting), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
