"""One site of a lane while its batches are under way: what of it is out, and whether it may be handed out on."""

import asyncio
from dataclasses import dataclass, field

from ct_pipeline.verification.site_gate import SiteGate
from ct_pipeline.verification.site_run import SiteRun


@dataclass(slots=True)
class SiteAtWork:
    """A batch is a future: the task of a :class:`SiteRun`, or the commit of addresses that needed no asking."""

    gate: SiteGate | None = None  # None while none of its addresses was to be asked
    runs: dict[asyncio.Future[None], SiteRun] = field(default_factory=dict)
    in_flight: dict[asyncio.Future[None], list[int]] = field(default_factory=dict)  # addresses of each batch
    has_more: bool = False
    is_left_alone: bool = False  # a batch came to nothing, and so would the next one now
    asks_nobody: bool = False
    _ended_turn_count: int = 0  # of runs that were put away

    @property
    def wants_more(self) -> bool:
        """The connections of the site could do with another batch."""
        return self.has_more and not self.is_left_alone and all(run.has_handed_out_all for run in self.runs.values())

    @property
    def held_count(self) -> int:
        """Addresses that are being asked, or whose answers are not committed yet."""
        return sum(len(self.in_flight[batch]) for batch in self.runs)

    @property
    def turn_count(self) -> int:
        """Addresses that were answered or put off since the site is at work."""
        return self._ended_turn_count + sum(run.turn_count for run in self.runs.values())

    def address_ids(self) -> list[int]:
        """All that are out."""
        return [address_id for ids in self.in_flight.values() for address_id in ids]

    def learn_whether_to_go_on(self, turns_before: int) -> None:
        """A batch has ended that began when there had been ``turns_before``: where no turn has come since, be it of
        another batch, the next one would be handed out in vain, again and again."""
        self.is_left_alone = self.turn_count == turns_before

    def put_away(self, batch: asyncio.Future[None]) -> int:
        """Forget a batch that is done. Returns how many of its addresses were held."""
        address_ids = self.in_flight.pop(batch)
        run = self.runs.pop(batch, None)
        if run is None:
            return 0
        self._ended_turn_count += run.turn_count
        return len(address_ids)
