"""An asynchronous context for code that has no event loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager


@contextmanager
def run_in_thread(context: AbstractAsyncContextManager[object], name: str) -> Iterator[None]:
    """Enter ``context`` in the event loop of a new thread, and leave it there when the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_enter(context), loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(_leave(context), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _enter(context: AbstractAsyncContextManager[object]) -> None:
    await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[object]) -> None:
    await context.__aexit__(None, None, None)
