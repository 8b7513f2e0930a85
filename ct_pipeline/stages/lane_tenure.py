"""Whether a lane is known to be ours: a lock in Postgres is lost with its connection, without a word.

While that is in doubt no new RCPT is started. It ends when the lock is confirmed, or taken again; a lane that another
process has taken meanwhile is given up.
"""

import asyncio
import contextlib
import time

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage.lanes import LaneLock

CONFIRM_EVERY_SECONDS = 3.0
TRUSTED_SECONDS = 10.0  # DESIGN: without a confirmed lock for this long, no new RCPT


class LaneTenure:
    """The right to work on one lane, from :meth:`begin` to :meth:`end`."""

    def __init__(self, lock: LaneLock) -> None:
        self.is_lost = False  # another process works on the lane
        self._lock = lock
        self._confirmed_at = time.monotonic()
        self._keeper: asyncio.Task[None] | None = None
        self._taking: asyncio.Future[bool] | None = None

    async def begin(self) -> bool:
        """Take the lane; False when another run works on it.

        Raises:
            LedgerUnavailableError: the database does not answer.
        """
        asked_at = time.monotonic()
        # A thread cannot be cancelled: whoever gives up waiting for it may get the lane all the same.
        self._taking = asyncio.ensure_future(asyncio.to_thread(self._lock.acquire))
        if not await asyncio.shield(self._taking):
            return False
        self._confirmed_at = asked_at
        self._keeper = asyncio.create_task(self._confirm_regularly())
        return True

    def is_sure(self) -> bool:
        """Whether a new RCPT may be started now."""
        return not self.is_lost and time.monotonic() - self._confirmed_at < TRUSTED_SECONDS

    async def confirm(self) -> bool:
        """Ask whose the lane is; False when another process has taken it.

        Raises:
            LedgerUnavailableError: the database does not answer.
        """
        asked_at = time.monotonic()
        if await asyncio.to_thread(self._lock.confirm):
            self._confirmed_at = asked_at
        else:
            self.is_lost = True
        return not self.is_lost

    async def end(self) -> None:
        """Give the lane back."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._taking is not None:
            await asyncio.gather(self._taking, return_exceptions=True)
        await asyncio.to_thread(self._lock.release)

    async def _confirm_regularly(self) -> None:
        while not self.is_lost:
            await asyncio.sleep(CONFIRM_EVERY_SECONDS)
            with contextlib.suppress(LedgerUnavailableError):  # in doubt, until it answers
                await self.confirm()
