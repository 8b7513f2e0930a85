"""What every session needs to know, whichever site it talks to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.connection import Timeouts
from ct_pipeline.verification.egress import Egress
from ct_pipeline.verification.probe import Reply

_utc_now = partial(datetime.now, UTC)


@dataclass(frozen=True)
class Surroundings:
    """Who we are, how long we wait, how many sessions may be open, and how replies are read."""

    egress: Egress
    port: int
    timeouts: Timeouts
    slots: asyncio.Semaphore
    read: Callable[[Reply, str], Reading]
    may_ask: Callable[[], bool] = lambda: True  # False while the lane's lock is in doubt
    clock: Callable[[], datetime] = _utc_now
    seed: int = 0
