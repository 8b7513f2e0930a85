"""What metadata may show."""

import pytest

from ct_pipeline.orchestration.metadata import count_table, lines, without_addresses


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
