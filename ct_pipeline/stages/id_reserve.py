"""Identifiers drawn ahead, so that no session waits for the database, also while it is away."""

from collections import deque
from collections.abc import Awaitable, Callable

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage.probes import ID_BLOCK
from ct_pipeline.verification.notebook import Kind

# Sessions go on for ten seconds after the database was last heard of; this is what the fastest engine uses meanwhile.
RESERVES: dict[Kind, int] = {"session": 20_000, "probe": 100_000}


class IdReserve:
    """``draw`` gets so many fresh identifiers of a kind from the ledger."""

    def __init__(self, draw: Callable[[Kind, int], Awaitable[list[int]]]) -> None:
        self._draw = draw
        self._blocks: dict[Kind, deque[list[int]]] = {kind: deque() for kind in RESERVES}
        self.has_plenty = False  # new sessions may begin: those that run still need some

    async def fill(self) -> None:
        """Draw what is missing."""
        for kind, blocks in self._blocks.items():
            missing = RESERVES[kind] // ID_BLOCK - len(blocks)
            if missing > 0:
                ids = await self._draw(kind, missing * ID_BLOCK)
                blocks.extend(ids[start : start + ID_BLOCK] for start in range(0, len(ids), ID_BLOCK))
        self._look()

    def take(self, kind: Kind) -> list[int]:
        """A block of them.

        Raises:
            LedgerUnavailableError: the reserve is used up, because the database has been away.
        """
        if not self._blocks[kind]:
            raise LedgerUnavailableError(
                f"No identifier is left for a {kind}: the database has not given any for long."
            )
        block = self._blocks[kind].popleft()
        self._look()
        return block

    def _look(self) -> None:
        self.has_plenty = all(len(blocks) * ID_BLOCK > RESERVES[kind] // 10 for kind, blocks in self._blocks.items())
