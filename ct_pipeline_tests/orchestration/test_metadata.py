"""What metadata may show."""

from datetime import UTC, datetime

import pytest
from dagster import TableMetadataValue

from ct_pipeline.orchestration.metadata import count_table, lines, without_addresses
from ct_pipeline.orchestration.site_metadata import turned_away_table
from ct_pipeline.storage.site_memory import OpenBreaker
from ct_pipeline.verification.dialogue import STOP_REASONS
from ct_pipeline.verification.site_memory import BreakerNote


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no profile eve@acme.test here", "no profile ••• here"),
        ('"Eve" <eve@acme.test>, bob@x', '"Eve" <•••>, •••'),
        ("user@@acme.test", "user@@acme.test"),
        ("batch 7: 12 of 12 @ noon", "batch 7: 12 of 12 @ noon"),
    ],
)
def test_what_others_wrote_is_shown_without_addresses(text: str, shown: str) -> None:
    assert without_addresses(text) == shown


def test_tables_and_lines_hold_no_address() -> None:
    table = count_table("CleverTap said", {"unknown eve@acme.test": 2})
    assert "@" not in str(table)
    assert lines(["was eve@acme.test.", "", "so"]) == "was •••; so"
    assert lines([]) == "-"


def test_the_table_of_those_who_turned_us_away_says_in_a_few_words_what_to_do() -> None:
    at = datetime(2026, 11, 2, 12, tzinfo=UTC)
    notes = [BreakerNote(reason, "eve@acme.test is not welcome", at, at) for reason in STOP_REASONS]
    table = turned_away_table([OpenBreaker("small-07", "x.test", "default", note, 3) for note in notes])
    assert isinstance(table, TableMetadataValue)
    rows = [record.data for record in table.records]
    assert {row["their words"] for row in rows} == {"••• is not welcome"}
    assert all(0 < len(str(row["what to do"])) <= 25 for row in rows)
