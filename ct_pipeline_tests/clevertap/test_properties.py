"""Names and values of properties: what CleverTap takes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.clevertap.properties import FORBIDDEN_CHARACTERS, as_date, check_property_name, fitting_value


@pytest.mark.parametrize(
    "name", ["EV Status", "EV Safe To Send", "ev_score", "a-b", "x" * 120, "ä" * 60, "MSGs", "Nickname"]
)
def test_names_that_fit(name: str) -> None:
    check_property_name(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        (" EV", "begins or ends"),
        ("EV\t", "begins or ends"),
        ("x" * 121, "121 bytes"),
        ("ä" * 61, "122 bytes"),
        ("E\nV", "holds"),
        ("Email", "CleverTap's own"),
        ("eMAIL", "CleverTap's own"),
        ("Identity", "CleverTap's own"),
        ("MSG-email", "CleverTap's own"),
        ("msg-dndEmail", "CleverTap's own"),
        ("category-unsubscribe", "CleverTap's own"),
        ("Timezone", "CleverTap's own"),
        *((f"EV{character}x", "use letters, digits") for character in FORBIDDEN_CHARACTERS),
    ],
)
def test_names_that_do_not_fit_are_told_why(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_property_name(name)


@given(st.text(max_size=600))
def test_values_are_cut_at_a_character_and_only_where_they_have_to(value: str) -> None:
    fitting = fitting_value(value)
    assert len(fitting.encode()) <= 512
    if value.isprintable() and len(value.encode()) <= 512:
        assert fitting == value
    elif value.isprintable():
        assert value.startswith(fitting)
        assert len(fitting.encode()) > 508


def test_a_date_is_unix_seconds_of_a_time_with_a_zone() -> None:
    assert as_date(datetime(2026, 1, 1, tzinfo=UTC)) == "$D_1767225600"
    assert as_date(datetime(2026, 1, 1, 5, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=5.5)))) == "$D_1767225600"
    with pytest.raises(ValueError, match="zone"):
        as_date(datetime(2026, 1, 1))  # noqa: DTZ001
