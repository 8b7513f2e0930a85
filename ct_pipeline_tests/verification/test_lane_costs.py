"""What a run costs the other side, added up from pages in whatever order they tell of probes and sessions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ct_pipeline.verification import lane_costs
from ct_pipeline.verification.lane_costs import LaneCosts
from ct_pipeline.verification.lane_summary import LaneSummary
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import Probe, ProbeKind, Reply, Session, Stage
from ct_pipeline.verification.site_memory import BreakerNote, SiteMemory
from ct_pipeline.vocabulary import Reason

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def session(session_id: int, site: str = "x.test", lane: str = "small-01", at: datetime = NOON) -> Session:
    return Session(session_id, lane, site, "mx", "192.0.2.1", "h", "", at, at + 2 * SECOND, 5, 3, False, "done")


def probe(session_id: int, kind: ProbeKind = ProbeKind.MAILBOX, code: int = 250) -> Probe:
    reply = Reply(Stage.RCPT, code, None, "")
    return Probe(1, session_id, kind, None, "x.test", reply, Reason.ACCEPTED, "rule", NOON, 1)


def told(costs: LaneCosts, lane: str = "small-01") -> LaneSummary:
    summary = LaneSummary(lane)
    costs.tell(summary)
    return summary


def test_probes_are_counted_with_the_lane_of_their_session_whichever_page_comes_first() -> None:
    costs = LaneCosts()
    costs.add(Observations(probes=[probe(1), probe(1, ProbeKind.RANDOM, 550), probe(2, code=450)]))
    costs.add(Observations(sessions=[session(1), session(2, "y.test", at=NOON + SECOND), session(3, lane="google")]))
    costs.add(Observations(probes=[probe(2, ProbeKind.CONTROL), probe(1, ProbeKind.SESSION, 0), probe(3)]))
    summary = told(costs)
    assert (summary.rcpt_count, summary.random_probe_count, summary.control_probe_count) == (6, 1, 1)
    assert (summary.reply_count, summary.temporary_reply_count) == (4, 1)
    assert [(s.site, s.session_count, s.rcpt_count, s.reply_count, s.temporary_reply_count) for s in summary.sites] == [
        ("x.test", 1, 3, 2, 0), ("y.test", 1, 3, 2, 1),
    ]  # fmt: skip
    assert told(costs, "google").reply_count == 1


def test_a_lane_that_was_told_begins_anew() -> None:
    costs = LaneCosts()
    costs.add(Observations([session(1)]))
    assert told(costs).rcpt_count == 3
    assert told(costs).rcpt_count == 0


def test_the_time_of_a_site_is_from_its_first_session_to_its_last() -> None:
    costs = LaneCosts()
    costs.add(Observations([session(1, at=NOON + 4 * SECOND), session(2)]))
    (site,) = told(costs).sites
    assert site.seconds == 6


def test_sites_that_turned_us_away_come_first() -> None:
    costs = LaneCosts()
    note = BreakerNote(Reason.PROBER_BLOCKED, "no", NOON, NOON + SECOND)
    memory = SiteMemory("default", "shut.test", "small-01", NOON, 0.25, breaker=note)
    costs.add(Observations([session(1), session(2), session(3, "shut.test")], site_memories=[memory]))
    costs.add(Observations(site_memories=[replace(memory, site="x.test", breaker=None, share=0.5)]))
    shut, other = told(costs).sites
    assert (shut.site, shut.breaker, shut.connection_share) == ("shut.test", note, 0.25)
    assert (other.site, other.breaker, other.connection_share, other.session_count) == ("x.test", None, 0.5, 2)


def test_many_sites_take_bounded_memory_and_none_of_their_counts_is_lost() -> None:
    costs = LaneCosts()
    costs.add(Observations([session(1, "busy.test"), session(2, "busy.test")]))
    count = 3 * lane_costs.SITES_KEPT
    costs.add(Observations([session(number, f"site{number}.test") for number in range(10, 10 + count)]))
    kept = costs._lanes["small-01"].sites
    assert len(kept) <= 2 * lane_costs.SITES_KEPT
    summary = told(costs)
    assert summary.rcpt_count == 3 * (count + 2)
    assert len(summary.sites) == lane_costs.SITES_TOLD
    assert summary.sites[0].site == "busy.test"
