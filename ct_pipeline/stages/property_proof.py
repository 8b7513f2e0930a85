"""The proof that properties arrive: a sample is read back before many are written, and once more at the end."""

import asyncio
import random
from collections.abc import Sequence

from ct_pipeline.clevertap.client import CleverTap
from ct_pipeline.settings import Settings
from ct_pipeline.stages.push_clerk import Clerk
from ct_pipeline.storage.changes import doubtful_batch, newest_of_their_profiles, note_read_back
from ct_pipeline.to_clevertap.changes import MAX_BATCH_CHANGES, Change
from ct_pipeline.to_clevertap.push_summary import PushedBatch
from ct_pipeline.to_clevertap.read_back import SAMPLE_PROFILES, ReadBack, judge_sample, sample

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0


class PropertyProof:
    """Of one push. ``doubt`` says what was missing; no property batch is begun then."""

    def __init__(self, settings: Settings, clerk: Clerk, clevertap: CleverTap, project: str) -> None:
        self.is_given = False
        self.doubt = ""
        self._patience_seconds = settings.read_back_seconds
        self._clerk = clerk
        self._clevertap = clevertap
        self._project = project
        self._has_looked_back = False
        self._later: list[tuple[PushedBatch, Change]] = []

    async def may_begin(self) -> bool:
        """Whether properties may be written: what an earlier push had written and missed must be there by now."""
        if not self._has_looked_back:
            self._has_looked_back = True
            doubtful = await self._clerk.do(doubtful_batch, self._project)
            if doubtful is not None:
                changes = await self._clerk.do(newest_of_their_profiles, doubtful, MAX_BATCH_CHANGES)
                await self._judge(doubtful, changes)
        return not self.doubt

    async def read_back(self, pushed: PushedBatch, processed: Sequence[Change]) -> None:
        """Look for what was written just now; a batch of which nothing was taken proves nothing."""
        if not processed:
            return
        found = await self._judge(pushed.batch_id, processed)
        pushed.read_back = found.words
        self.is_given = self.is_given or found.is_stored

    def remember(self, pushed: PushedBatch, processed: Sequence[Change]) -> None:
        """One change of a batch that went without a proof of its own, to be looked at in the end."""
        if processed:
            self._later.append((pushed, random.choice(processed)))  # noqa: S311 - a sample
            if len(self._later) > SAMPLE_PROFILES:
                self._later.pop(random.randrange(SAMPLE_PROFILES))  # noqa: S311 - the last batch always stays

    async def look_again(self) -> None:
        """The sample at the end of a push."""
        for pushed, change in self._later:
            if not self.doubt:
                found = await self._judge(pushed.batch_id, [change])
                pushed.read_back = found.words
        self._later.clear()

    async def _judge(self, batch_id: int, changes: Sequence[Change]) -> ReadBack:
        found = await self._read(sample(changes))
        await self._clerk.do(note_read_back, batch_id, found.words, found.is_stored)
        if not found.is_stored:
            self.doubt = f"Batch {batch_id}: {found.words} No more properties are written until they are found there."
        return found

    async def _read(self, changes: Sequence[Change]) -> ReadBack:
        """What the profiles hold, as soon as that is what was written; at the latest when patience ends."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            profiles = await asyncio.gather(*(self._clevertap.profile(c.identifier) for c in changes if c.identifier))
            found = judge_sample(list(zip(changes, profiles, strict=True)))
            if found.is_stored or loop.time() >= deadline:
                return found
            await asyncio.sleep(min(pause, max(0.0, deadline - loop.time())))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
