"""A lane that may hold only a few addresses at once still gets through all of them, and asks nobody twice."""

from pathlib import Path

import pytest

from ct_pipeline.domains.lanes import lane_keys
from ct_pipeline.domains.providers import load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages import lane_worker
from ct_pipeline.stages.domains import look_up_domains
from ct_pipeline.stages.verify import verify_lanes
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline_tests.end_to_end.pipeline import take_in, verdicts
from ct_pipeline_tests.end_to_end.small_world import small_world

AT_ONCE = 10


@pytest.mark.parametrize(("sites", "mailboxes"), [(1, 150), (30, 5)], ids=["one large site", "many small ones"])
def test_a_list_many_times_larger_than_what_is_held_at_once(
    settings_for_tests: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sites: int, mailboxes: int
) -> None:
    monkeypatch.setattr(lane_worker, "ADDRESSES_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(lane_worker, "LANE_ADDRESSES_AT_LEAST", AT_ONCE)
    with small_world(tmp_path, site_count=sites, mailbox_count=mailboxes, reply_seconds=0) as world:
        settings = world.settings(settings_for_tests)
        pull_id = take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        look_up_in_one_lane(settings)
        summaries = verify_lanes(settings, lane_keys(load_providers()))
        assert sum(summary.asked_count for summary in summaries) == len(world.truth)
        assert {address for address, answers in world.answers().items() if len(answers) > 1} == set()
        assert verdicts(settings, pull_id, tmp_path / "out.csv") == world.truth


def test_what_falls_due_meanwhile_is_taken_up(
    settings_for_tests: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some addresses become due only after the sweep has passed them."""
    monkeypatch.setattr(lane_worker, "ADDRESSES_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(lane_worker, "LANE_ADDRESSES_AT_LEAST", AT_ONCE)
    with small_world(tmp_path, site_count=8, mailbox_count=10, reply_seconds=0.08) as world:
        settings = world.settings(settings_for_tests, smtp_concurrency=2)
        take_in(settings, world.write_contacts(tmp_path / "contacts.csv"))
        look_up_in_one_lane(settings)
        with open_ledger(settings) as conn:
            conn.execute("update ledger.due set next_attempt_at = now() + interval '1.5 s' where address_id % 3 = 0")
        summaries = verify_lanes(settings, lane_keys(load_providers()))
        assert sum(summary.due_count for summary in summaries) == 0
        assert world.answers().keys() >= set(world.truth)


def look_up_in_one_lane(settings: Settings) -> None:
    look_up_domains(settings)
    with open_ledger(settings) as conn:
        conn.execute("update ledger.domains set lane = 'small-00'")
