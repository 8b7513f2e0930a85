"""The ledger, as a push uses it: one thing at a time, in a thread of its own, so that calls in flight never wait."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, Self, TypeVar

import psycopg

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings
from ct_pipeline.storage.changes import keep_receipts
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.to_clevertap.changes import Receipt

RESCUE_PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)

P = ParamSpec("P")
T = TypeVar("T")


class Clerk:
    """Whoever works on the push's connection, which also holds the project's lock. Use it as ``async with``."""

    def __init__(self, settings: Settings, conn: psycopg.Connection) -> None:
        self._settings = settings
        self._conn = conn
        self._thread = ThreadPoolExecutor(1, "push-clerk")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # what was begun is ended: a transaction torn up would take the connection with it
        await asyncio.to_thread(self._thread.shutdown)

    async def do(self, work: Callable[Concatenate[psycopg.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``work`` on the push's connection.

        Raises:
            LedgerUnavailableError: the connection is lost, and with it the right to push.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, lambda: work(self._conn, *args, **kwargs)
            )
        except psycopg.OperationalError as error:
            said = str(error).partition("\n")[0].strip()
            raise LedgerUnavailableError(f"The connection to the database was lost: {said}. Push again.") from error

    async def keep(self, receipts: Sequence[Receipt], refused: Sequence[int] = ()) -> None:
        """Keep what CleverTap has answered, over another connection if this one is lost: it is true all the same.

        Raises:
            LedgerUnavailableError: the connection is lost; the text says whether the receipts are kept.
        """
        try:
            await self.do(keep_receipts, receipts, refused)
        except LedgerUnavailableError as error:
            if await self._rescue(receipts, refused):
                text = f"{error} What CleverTap had answered is kept."
            else:
                text = f"{error} {len(receipts):,} answers could not be kept: these changes will be sent again."
            raise LedgerUnavailableError(text) from error

    async def _rescue(self, receipts: Sequence[Receipt], refused: Sequence[int]) -> bool:
        for pause in RESCUE_PAUSES_SECONDS:
            await asyncio.sleep(pause)
            try:
                await asyncio.to_thread(self._keep_elsewhere, receipts, refused)
            except LedgerUnavailableError:
                continue
            return True
        return False

    def _keep_elsewhere(self, receipts: Sequence[Receipt], refused: Sequence[int]) -> None:
        with open_ledger(self._settings) as conn:
            keep_receipts(conn, receipts, refused)
