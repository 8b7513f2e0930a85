"""Approving what a brake holds: only that, all or none, and never without a name and a reason."""

import pytest

from ct_pipeline.errors import ExportError
from ct_pipeline.stages.plan import approve, make_plan
from ct_pipeline.vocabulary import BatchState
from ct_pipeline_tests.stages.planning import World

UNSUBSCRIBE = {"export_actions": "unsubscribe"}


def test_only_held_batches_are_approved_with_a_name_and_a_reason(world: World) -> None:
    settings = world.with_settings(unsubscribe_share_limit=0, **UNSUBSCRIBE)
    world.person("gone@a.test", "mailbox_not_found")
    (first,) = make_plan(settings).held_batches
    world.person("lost@a.test", "mailbox_not_found")
    (second,) = make_plan(settings).held_batches
    for by, because in (("", "why"), ("Ann", " \n")):
        with pytest.raises(ExportError, match="name and a reason"):
            approve(settings, [first.batch_id], by, because)
    with pytest.raises(ExportError, match="no batch 999"):
        approve(settings, [first.batch_id, 999], "Ann", "why")
    assert len(world.batches(BatchState.HELD)) == 2, "all or none"
    (approved,) = approve(settings, [first.batch_id], "Ann", "  a sample was\nlooked at ")
    assert (approved.state, approved.approved_by, approved.approved_because) == (
        BatchState.APPROVED, "Ann", "a sample was looked at",
    )  # fmt: skip
    with pytest.raises(ExportError, match="approved already, by Ann"):
        approve(settings, [first.batch_id, second.batch_id], "Bob", "why")
    world.push()
    with pytest.raises(ExportError, match="is done"):
        approve(settings, [first.batch_id], "Bob", "why")


def test_a_batch_of_another_project_is_not_approved(world: World) -> None:
    world.person("gone@a.test", "mailbox_not_found")
    settings = world.with_settings(unsubscribe_share_limit=0, **UNSUBSCRIBE)
    (held,) = make_plan(settings).held_batches
    with pytest.raises(ExportError, match=f"no batch {held.batch_id} of the project OTHER-1"):
        approve(world.with_settings(project_id="OTHER-1"), [held.batch_id], "Ann", "why")
