"""How a command that works for long is stopped: Ctrl-C, or SIGTERM from whoever started it."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import typer


@contextlib.contextmanager
def stopped_by_signals(say: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM both interrupt the block, which ends what it has begun; then ``say`` is called.

    The exit status is the shells': 130 after Ctrl-C, 143 after SIGTERM. Ctrl-C works also where a shell started us in
    the background, with interrupts ignored.
    """
    received = [signal.SIGINT]

    def terminate(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        # Passed on as Ctrl-C: asyncio cancels its main task for that, where an exception would tear up its loop.
        signal.raise_signal(signal.SIGINT)

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except KeyboardInterrupt:
        say()
        raise typer.Exit(128 + received[-1]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
