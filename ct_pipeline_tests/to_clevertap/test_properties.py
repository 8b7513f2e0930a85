"""Verdicts as profile properties: names, values, and only what differs."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.clevertap.properties import MAX_VALUE_BYTES, as_date, check_property_name
from ct_pipeline.settings import load_settings
from ct_pipeline.to_clevertap.policy import Policy
from ct_pipeline.to_clevertap.properties import (
    DELETE,
    all_property_names,
    differences,
    properties_of,
    property_name,
    property_names,
    verdict_fields,
)
from ct_pipeline.verdicts.columns import LIST_COLUMNS, LIST_SCHEMA

ALL_COLUMNS = ",".join(LIST_SCHEMA.names())
AT = datetime(2026, 11, 2, 10, 0, 0, 999_999, tzinfo=UTC)


def policy(columns: str = ALL_COLUMNS, prefix: str = "EV") -> Policy:
    return Policy.from_settings(load_settings(append_columns=columns, property_prefix=prefix))


def verdict_row(**changes: object) -> pl.DataFrame:
    row = {
        "address": "ann@a.test", "status": "invalid", "reason": "mailbox_not_found", "safe_to_send": "no",
        "clearout_code": 406, "bounce_type": "hard", "score": 2, "score_basis": "invalid 2",
        "verdict_text": "It does not exist.", "is_disposable": False, "is_free": True, "is_role": False,
        "is_gibberish": False, "suggested_email": None, "canonical_email": None, "provider": "a.test",
        "mx_record": "mx.a.test", "is_catch_all_domain": None, "smtp_code": 550, "smtp_enhanced": "5.1.1",
        "smtp_text": "no such user", "elapsed_ms": 140, "attempt_count": 2, "verified_at": AT, "next_check_at": None,
        "rule": "rule",
    }  # fmt: skip
    schema = {
        "suggested_email": pl.String,
        "canonical_email": pl.String,
        "is_catch_all_domain": pl.Boolean,
        "next_check_at": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame([{**row, **changes}], schema_overrides=schema)


@pytest.mark.parametrize(
    ("prefix", "column", "name"),
    [
        ("EV", "safe_to_send", "EV Safe To Send"),
        ("ev_", "safe_to_send", "ev_safe_to_send"),
        ("ev-", "status", "ev-status"),
        ("Email Check", "smtp_code", "Email Check SMTP Code"),
        (" EV ", "mx_record", "EV MX Record"),
    ],
)
def test_names(prefix: str, column: str, name: str) -> None:
    assert property_name(prefix, column) == name


def test_every_column_has_a_name_of_its_own_that_clevertap_takes() -> None:
    names = all_property_names(load_settings())
    assert len(set(names)) == len(LIST_COLUMNS)
    for name in names:
        check_property_name(name)
    assert list(property_names(policy()).values()) == names


def test_values_are_as_the_api_wants_them() -> None:
    (values,) = properties_of(verdict_row(), policy())
    assert values == {
        "EV Email": "ann@a.test", "EV Status": "invalid", "EV Reason": "mailbox_not_found", "EV Safe To Send": "no",
        "EV Bounce Type": "hard", "EV Is Disposable": False, "EV Is Free": True, "EV Is Role": False,
        "EV Suggested Email": None, "EV Provider": "a.test", "EV MX Record": "mx.a.test", "EV SMTP Code": 550,
        "EV SMTP Reply": "5.1.1 no such user", "EV Attempts": 2, "EV Verified At": as_date(AT),
        "EV Next Check At": None, "EV Verdict Text": "It does not exist.", "EV Rule": "rule", "EV Clearout Code": 406,
        "EV Clearout Reason": "Mailbox not found", "EV Score": 2, "EV Score Basis": "invalid 2",
        "EV Is Gibberish": False, "EV Is Catch All Domain": None, "EV Canonical Email": None, "EV Account": "ann",
        "EV Domain": "a.test", "EV Time Taken Ms": 140,
    }  # fmt: skip


def test_long_text_is_cut_at_a_character_and_blank_text_is_nothing() -> None:
    (values,) = properties_of(verdict_row(smtp_text="ü" * 600, provider=""), policy("smtp_reply,provider"))
    reply = values["EV SMTP Reply"]
    assert isinstance(reply, str)
    assert MAX_VALUE_BYTES - 1 <= len(reply.encode()) <= MAX_VALUE_BYTES
    assert reply.endswith("ü")
    assert values["EV Provider"] is None


def test_only_the_fields_of_the_chosen_columns_are_needed() -> None:
    chosen = policy("status,smtp_reply")
    assert verdict_fields(chosen.columns) == ["status", "smtp_enhanced", "smtp_text"]
    rows = verdict_row().select(verdict_fields(chosen.columns))
    assert properties_of(rows, chosen) == [{"EV Status": "invalid", "EV SMTP Reply": "5.1.1 no such user"}]


def test_an_unjudged_row_says_so() -> None:
    fields = verdict_fields(policy().columns)
    rows = pl.DataFrame({name: [None] for name in fields}, schema=verdict_row().select(fields).schema)
    (values,) = properties_of(rows, policy())
    assert {name: value for name, value in values.items() if value is not None} == {
        "EV Status": "unknown",
        "EV Reason": "not_asked_yet",
        "EV Safe To Send": "unknown",
        "EV Bounce Type": "none",
    }


@pytest.mark.parametrize(
    ("wanted", "held", "changes"),
    [
        ({"a": "x"}, {}, {"a": "x"}),
        ({"a": "x"}, {"a": "x", "other": 1}, {}),
        ({"a": "x"}, {"a": "y"}, {"a": "x"}),
        ({"a": None}, {}, {}),
        ({"a": None}, {"a": "y"}, {"a": DELETE}),
        ({"a": True}, {"a": True}, {}),
        ({"a": True}, {"a": "True"}, {}),
        ({"a": True}, {"a": 1}, {"a": True}),
        ({"a": 1}, {"a": True}, {"a": 1}),
        ({"a": 550}, {"a": "550"}, {}),
        ({"a": 550}, {"a": 550.0}, {}),
        ({"a": "550"}, {"a": 550}, {}),
        ({"a": "$D_1767225600"}, {"a": "$D_1767225600"}, {}),
        ({"a": "$D_1767225600"}, {"a": 1767225600}, {}),
        ({"a": "$D_1767225600"}, {"a": "$D_1767225601"}, {"a": "$D_1767225600"}),
        ({"a": "x"}, {"a": ["x"]}, {"a": "x"}),
        ({"a": "x"}, {"a": None}, {"a": "x"}),
    ],
)
def test_only_differences_are_sent(wanted: dict, held: dict, changes: dict) -> None:
    assert differences(wanted, held) == changes


VALUES = st.one_of(st.none(), st.text(max_size=5), st.booleans(), st.integers(-5, 5))
HELD = st.dictionaries(
    st.sampled_from("abcd"), st.one_of(VALUES.filter(lambda value: value is not None), st.floats(0, 9))
)


@given(st.dictionaries(st.sampled_from("abcd"), VALUES), HELD)
def test_what_was_sent_differs_no_more(wanted: dict, held: dict) -> None:
    changes = differences(wanted, held)
    after = {**held, **changes}
    after = {name: value for name, value in after.items() if value != DELETE}
    assert differences(wanted, after) == {}
    assert {name: after[name] for name in after if name not in changes} == {
        name: value for name, value in held.items() if name not in changes
    }


@pytest.mark.parametrize(
    "shown",
    [
        "$D_1764000000",
        "1764000000",
        1764000000.0,
        1764000000000,
        "1764000000000",
        "2025-11-24T16:00:00Z",
        "2025-11-24T16:00:00.000+00:00",
        "2025-11-24T21:30:00+05:30",
        "2025-11-24 21:30:00",
        "2025-11-24",
        "20251124",
    ],
)
def test_a_time_is_not_sent_again_in_whichever_notation_it_comes_back(shown: object) -> None:
    assert differences({"EV Verified At": "$D_1764000000"}, {"EV Verified At": shown}) == {}
    later = {"EV Verified At": f"$D_{1764000000 + 3 * 86_400 + 1}"}
    assert differences(later, {"EV Verified At": shown}) == later


def test_a_host_whose_words_look_like_a_time_spoils_nothing() -> None:
    wanted = {"EV SMTP Text": "$D_ 550 no such user"}
    assert differences(wanted, {"EV SMTP Text": "2025-11-24"}) == wanted


@pytest.mark.parametrize("shown", ["yesterday", "", "2025-11-24T16:00:01Z", "2025-11-24 21:30:01", True, None, 17])
def test_another_time_or_none_is_sent_again(shown: object) -> None:
    wanted = {"EV Verified At": "$D_1764000000"}
    assert differences(wanted, {"EV Verified At": shown}) == wanted
