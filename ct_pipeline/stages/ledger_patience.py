"""Questions to the ledger that wait for a database which is away, without stopping the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage.outage import Outage

T = TypeVar("T")


async def patiently(outage: Outage, call: Callable[[], Awaitable[T]]) -> T:
    """What ``call`` returns, called again until the database answers. Cancelling ends the wait at once.

    Raises:
        LedgerUnavailableError: the database stays away.
    """
    patience = outage.patience()
    while True:
        try:
            result = await call()
        except LedgerUnavailableError as error:
            await asyncio.sleep(patience.pause_seconds(error))
        else:
            patience.end()
            return result
