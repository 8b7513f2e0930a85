"""A responder in a process of its own, so that its work is not counted as ours: started, asked over a pipe, ended."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self


class OwnProcess:
    """Runs ``serve(pipe)`` between ``with`` and its end.

    ``serve`` sends its port through the pipe once it listens. After that it answers whatever :meth:`ask` sends.
    """

    def __init__(self, serve: Callable[[Connection], None]) -> None:
        self._serve = serve
        self.port = 0

    def __enter__(self) -> Self:
        self._pipe, theirs = multiprocessing.Pipe()
        # Spawned: a fork would carry a copy of our memory, and be charged for it.
        self._process = multiprocessing.get_context("spawn").Process(target=self._serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that a responder that dies is an EOFError here
        self.port = self._pipe.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()
        self._pipe.close()

    def ask(self, question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()
