"""What the running sessions have observed and the ledger does not hold yet."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from ct_pipeline.verification.probe import CatchAllFact, Probe, Session, Turn
from ct_pipeline.verification.site_memory import SiteMemory

Kind = Literal["session", "probe"]


@dataclass(slots=True)
class Observations:
    """One batch for the ledger, to be committed as a whole."""

    sessions: list[Session] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    catch_all_facts: list[CatchAllFact] = field(default_factory=list)
    site_memories: list[SiteMemory] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        kinds = (self.sessions, self.probes, self.turns, self.catch_all_facts, self.site_memories)
        return sum(map(len, kinds))


class Notebook:
    """Collects observations between commits. ``take_ids`` gives the next identifiers of ``session`` or ``probe``."""

    def __init__(self, take_ids: Callable[[Kind], Iterable[int]]) -> None:
        self.page = Observations()
        self._take_ids = take_ids
        self._ids: dict[str, Iterator[int]] = {}

    def tear_off(self) -> Observations:
        """Everything noted since the last call."""
        page, self.page = self.page, Observations()
        return page

    def new_session_id(self) -> int:
        return self._next_id("session")

    def new_probe_id(self) -> int:
        return self._next_id("probe")

    def _next_id(self, what: Kind) -> int:
        identifier = next(self._ids.get(what, iter(())), None)
        if identifier is None:
            self._ids[what] = iter(self._take_ids(what))
            identifier = next(self._ids[what])
        return identifier
