"""One site of a lane while its batches are under way: what of it is out, and whether it may be handed out on."""

import asyncio
from dataclasses import dataclass, field

from ct_pipeline.verification.site_gate import SiteGate
from ct_pipeline.verification.site_run import SiteRun


@dataclass(slots=True)
class Batch:
    """Addresses that were handed out together. ``run`` asks them, once it has begun; some need no asking."""

    address_ids: list[int]
    is_asked: bool
    run: SiteRun | None = None

    @property
    def has_handed_out_all(self) -> bool:
        """None of its addresses waits for a session."""
        return not self.is_asked or (self.run is not None and self.run.has_handed_out_all)


@dataclass(slots=True)
class SiteAtWork:
    """A batch is done with its future: the task that asks it, or the commit of what needed no asking."""

    gate: SiteGate | None = None  # None while none of its addresses was asked
    batches: dict[asyncio.Future[None], Batch] = field(default_factory=dict)
    has_more: bool = False
    is_left_alone: bool = False  # a batch came to nothing, and so would the next one now
    asks_nobody: bool = False
    _ended_turn_count: int = 0  # of runs that were put away

    @property
    def wants_more(self) -> bool:
        """The connections of the site could do with another batch."""
        may_go_on = self.has_more and not self.is_left_alone
        return may_go_on and all(batch.has_handed_out_all for batch in self.batches.values())

    @property
    def held_count(self) -> int:
        """Addresses that are being asked, or whose answers are not committed yet."""
        return sum(len(batch.address_ids) for batch in self.batches.values() if batch.is_asked)

    @property
    def turn_count(self) -> int:
        """Addresses that were answered or put off since the site is at work."""
        return self._ended_turn_count + sum(batch.run.turn_count for batch in self.batches.values() if batch.run)

    def address_ids(self) -> list[int]:
        """All that are out."""
        return [address_id for batch in self.batches.values() for address_id in batch.address_ids]

    def learn_whether_to_go_on(self, turns_before: int) -> None:
        """A batch has ended that began when there had been ``turns_before``: where no turn has come since, be it of
        another batch, the next one would be handed out in vain, again and again."""
        self.is_left_alone = self.turn_count == turns_before

    def put_away(self, done: asyncio.Future[None]) -> int:
        """Forget a batch that is done. Returns how many of its addresses were held."""
        batch = self.batches.pop(done)
        if batch.run is not None:
            self._ended_turn_count += batch.run.turn_count
        return len(batch.address_ids) if batch.is_asked else 0
