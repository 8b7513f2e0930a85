"""A plan in words, with nobody's address in it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.to_clevertap.changes import Batch
from ct_pipeline.to_clevertap.preview import PlanSummary, Sample, batch_rows, masked, overview, table
from ct_pipeline.vocabulary import BatchState, ChangeKind

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def batch(batch_id: int, **changes: object) -> Batch:
    fields: dict[str, object] = {
        "batch_id": batch_id, "project": "P", "kind": ChangeKind.UNSUBSCRIBE, "state": BatchState.PLANNED,
        "change_count": 1000, "held_because": "", "approved_by": None, "approved_because": None, "approved_at": None,
        "undoes_batch_id": None, "plan_id": 1, "planned_at": NOON, "sending_at": None, "done_at": None,
        "read_back": "",
    }  # fmt: skip
    return Batch(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        ("ann.lee@shop.example", "a•••@s•••.example"),
        ("a@b.co", "a•••@b•••.co"),
        ("Ann@Mail.Shop.CO.UK", "A•••@M•••.uk"),
        ("ann@localhost", "a•••@l•••"),
        ("ann@shop.this is no domain of any kind", "a•••@s•••"),
        ("two@at@shop.test", "t•••@s•••.test"),
        ("not an address", "n•••"),
        ("@", "•••@•••"),
        ("", "•••"),
        ("\x07@\x1b[31m.test", "•••@•••.test"),
    ],
)
def test_masking_leaves_the_first_characters_and_the_top_level_domain(email: str, shown: str) -> None:
    assert masked(email) == shown


@given(st.emails())
def test_no_mask_can_be_read_back(email: str) -> None:
    local_part, _, domain = email.rpartition("@")
    shown = masked(email)
    assert len(local_part) < 3 or local_part not in shown
    assert domain.rpartition(".")[0] not in shown or len(domain.rpartition(".")[0]) == 1


def test_batches_that_agree_are_one_row_to_be_approved_as_it_is() -> None:
    held = {"state": BatchState.HELD, "held_because": "Too many"}
    rows = batch_rows([
        batch(1, **held), batch(2, **held), batch(3, **held, change_count=7),
        batch(4), batch(6), batch(7, kind=ChangeKind.SET_PROPERTIES),
        batch(8, state=BatchState.APPROVED, held_because="Too many", approved_by="Ann", approved_because="looked"),
    ])  # fmt: skip
    assert rows == [
        ("1-3", "unsubscribe 2,007", "held", "Too many"),
        ("4", "unsubscribe 1,000", "planned", ""),
        ("6", "unsubscribe 1,000", "planned", ""),
        ("7", "append columns 1,000", "planned", ""),
        ("8", "unsubscribe 1,000", "approved", "approved by Ann: looked"),
    ]


def test_long_tables_end_in_a_sum() -> None:
    rows = table("provider", {f"p{number:02}": 100 - number for number in range(20)} | {"": 500})
    assert rows[0] == ("provider", "count")
    assert rows[1] == ("(none)", "500")
    assert rows[-1] == ("(others)", str(sum(100 - number for number in range(11, 20))))
    assert table("provider", {}) == []


def test_the_overview_says_how_many_and_why() -> None:
    summary = PlanSummary(1, "P", None, NOON, profile_count=1200, address_count=1100, unsubscribe_count=30)
    summary.by_reason = {"mailbox_not_found": 20, "null_mx": 10}
    summary.policy = ["Unsubscribe."]
    assert overview(summary) == [
        ("audience", "every profile of the project"),
        ("profiles", "1,200 with 1,100 addresses"),
        ("", "Unsubscribe."),
        ("unsubscribe", "30 addresses: mailbox_not_found 20, null_mx 10"),
        ("append", "columns of 0 profiles"),
    ]


def test_a_summary_comes_back_from_json() -> None:
    summary = PlanSummary(1, "P", "vip", NOON, samples=[Sample("a•••@b•••.test", "invalid", "null_mx")])
    summary.held_back = {"why": 3}
    again = PlanSummary(1, "P", "vip", NOON)
    again.take_json({**summary.to_json(), "of_a_later_version": 1})
    assert again == summary
