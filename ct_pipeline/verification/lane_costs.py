"""What a run costs the other side, added up from the pages of the notebook, lane by lane and site by site. Pure.

A probe names its session and the session its site, but a session is written down only when it has ended: what is known
of it until then waits. Memory stays bounded however many sites a lane has; of sites that are dropped for it, the lane's
own counts keep everything.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ct_pipeline.verification.lane_summary import LaneSummary, SiteNote
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import Probe, ProbeKind, Session
from ct_pipeline.verification.site_memory import SiteMemory

SITES_TOLD = 20
SITES_KEPT = 500  # of one lane; twice as many before the least active are dropped
SESSIONS_REMEMBERED = 20_000  # of those that have ended, and of those that have not: far more than are ever open


@dataclass(slots=True)
class _Counts:
    session_count: int = 0
    rcpt_count: int = 0
    random_probe_count: int = 0
    control_probe_count: int = 0
    reply_count: int = 0
    temporary_reply_count: int = 0

    def add_session(self, session: Session) -> None:
        self.session_count += 1
        self.rcpt_count += session.rcpt_count

    def add_probe(self, probe: Probe) -> None:
        kind, code = probe.kind, probe.reply.code
        self.random_probe_count += kind is ProbeKind.RANDOM
        self.control_probe_count += kind is ProbeKind.CONTROL or kind is ProbeKind.WITNESS
        self.reply_count += code > 0
        self.temporary_reply_count += 400 <= code <= 499

    def add_replies(self, others: "_Counts") -> None:
        self.random_probe_count += others.random_probe_count
        self.control_probe_count += others.control_probe_count
        self.reply_count += others.reply_count
        self.temporary_reply_count += others.temporary_reply_count


@dataclass(slots=True)
class _Site:
    counts: _Counts = field(default_factory=_Counts)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    memory: SiteMemory | None = None

    def add(self, session: Session) -> None:
        self.counts.add_session(session)
        self.started_at = min(self.started_at or session.started_at, session.started_at)
        self.ended_at = max(self.ended_at or session.ended_at, session.ended_at)

    @property
    def seconds(self) -> float:
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def is_closed_to_us(self) -> bool:
        return self.memory is not None and self.memory.breaker is not None

    @property
    def rank(self) -> tuple[bool, int, int]:
        return self.is_closed_to_us, self.counts.session_count, self.counts.rcpt_count


@dataclass(slots=True)
class _Lane:
    counts: _Counts = field(default_factory=_Counts)
    sites: dict[tuple[str, str], _Site] = field(default_factory=dict)  # by site and egress

    def site(self, name: str, egress: str) -> _Site:
        if len(self.sites) >= 2 * SITES_KEPT and (name, egress) not in self.sites:
            self.sites = dict(sorted(self.sites.items(), key=lambda item: item[1].rank, reverse=True)[:SITES_KEPT])
        if (site := self.sites.get((name, egress))) is None:
            site = self.sites[name, egress] = _Site()
        return site


class LaneCosts:
    """Feed it every page; :meth:`tell` when a lane is done."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._sessions: dict[int, tuple[_Lane, _Site]] = {}
        self._early: dict[int, _Counts] = {}  # replies in sessions that have not ended

    def add(self, page: Observations) -> None:
        """Everything on this page, which follows the one before."""
        for session in page.sessions:
            self._add_session(session)
        for probe in page.probes:
            self._add_probe(probe)
        for memory in page.site_memories:
            self._lane(memory.lane).site(memory.site, memory.egress).memory = memory

    def tell(self, summary: LaneSummary) -> None:
        """Fill in what is known of the summary's lane, and forget it."""
        lane = self._lanes.pop(summary.lane, _Lane())
        counts = lane.counts
        summary.rcpt_count = counts.rcpt_count
        summary.random_probe_count = counts.random_probe_count
        summary.control_probe_count = counts.control_probe_count
        summary.reply_count = counts.reply_count
        summary.temporary_reply_count = counts.temporary_reply_count
        ranked = sorted(lane.sites.items(), key=lambda item: (*(-rank for rank in item[1].rank), item[0]))
        summary.sites = [_note(*key, site) for key, site in ranked[:SITES_TOLD]]

    def _add_session(self, session: Session) -> None:
        lane = self._lane(session.lane)
        site = lane.site(session.site, session.egress)
        lane.counts.add_session(session)
        site.add(session)
        self._sessions[session.session_id] = lane, site
        _forget_the_oldest(self._sessions)
        if (replies := self._early.pop(session.session_id, None)) is not None:
            lane.counts.add_replies(replies)
            site.counts.add_replies(replies)

    def _add_probe(self, probe: Probe) -> None:
        if (where := self._sessions.get(probe.session_id)) is not None:
            for part in where:
                part.counts.add_probe(probe)
        else:
            self._early.setdefault(probe.session_id, _Counts()).add_probe(probe)
            _forget_the_oldest(self._early)

    def _lane(self, name: str) -> _Lane:
        return self._lanes.setdefault(name, _Lane())


def _forget_the_oldest(by_session: dict[int, Any]) -> None:
    if len(by_session) > SESSIONS_REMEMBERED:
        del by_session[next(iter(by_session))]


def _note(name: str, egress: str, site: _Site) -> SiteNote:
    counts, memory = site.counts, site.memory
    return SiteNote(
        site=name,
        egress=egress,
        session_count=counts.session_count,
        rcpt_count=counts.rcpt_count,
        reply_count=counts.reply_count,
        temporary_reply_count=counts.temporary_reply_count,
        seconds=site.seconds,
        connection_share=memory.share if memory else None,
        breaker=memory.breaker if memory else None,
    )
