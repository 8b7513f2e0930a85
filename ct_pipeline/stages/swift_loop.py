"""uvloop's event loop, which an interrupt leaves as it leaves asyncio's own.

Dagster ends a run by a signal whose handler raises. asyncio's loop lets that out; uvloop takes it for a fault of some
callback, reports it, and goes on.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import uvloop

T = TypeVar("T")


class SwiftLoop:
    """Like :class:`asyncio.Runner`: ``with SwiftLoop() as loop``, and :meth:`run` as often as you like."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._interruption: BaseException | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` returns.

        Raises:
            BaseException: what ``work``, or a signal handler meanwhile, has raised. After the latter ``work`` is left
                as it is, and ended with the block.
        """
        try:
            return self._runner.run(work)
        except RuntimeError:
            if self._interruption is None:
                raise
            interruption, self._interruption = self._interruption, None
            raise interruption from None

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._runner.get_loop().set_exception_handler(self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()

    def _hear(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, Exception):
            loop.default_exception_handler(context)
        else:
            self._interruption = error
            loop.stop()
