"""Profiles as rows: everything that CleverTap said is kept, what writes need in columns of its own."""

import json
from datetime import UTC, datetime

from ct_pipeline.clevertap.parsing import profile_of
from ct_pipeline.clevertap.records import Profile
from ct_pipeline.from_clevertap.profile_pages import profile_rows
from ct_pipeline.from_clevertap.profile_rows import PROFILE_SCHEMA

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
ANN = {
    "identity": "cust-1",
    "all_identities": ["cust-1", "shop-1"],
    "email": " Ann@X.test",
    "name": "Ann",
    "phone": 4930000000,
    "profileData": {"Plan": "Gold", "visits": 7, "Tags": ["a", "é\u2028"], "EV Status": "valid"},
    "events": {"channel unsubscribed": {"count": 2, "first_seen": 1764547200, "last_seen": 1767139200}},
    "platformInfo": [{"platform": "iOS", "objectId": "-1a"}, {"platform": "Web", "objectId": "b2"}],
}


def test_a_profile_becomes_a_row() -> None:
    frame = profile_rows([profile_of(ANN)], NOON)
    assert frame.schema == PROFILE_SCHEMA
    (row,) = frame.rows(named=True)
    assert (row["row_number"], row["raw_email"], row["fetched_at"]) == (None, " Ann@X.test", NOON)
    assert (row["identifier_kind"], row["identifier"], row["object_ids"]) == ("identity", "cust-1", ["-1a", "b2"])
    assert row["unsubscribe_event_count"] == 2
    assert row["unsubscribe_event_at"] == datetime.fromtimestamp(1767139200, UTC)
    assert json.loads(row["properties"]) == ANN["profileData"]
    other = json.loads(row["other_fields"])
    assert (other["name"], other["phone"], other["all_identities"]) == ("Ann", 4930000000, ["cust-1", "shop-1"])
    assert other["events"]["channel unsubscribed"]["last_seen_at"] == "2025-12-31T00:00:00+00:00"
    assert len(other["platformInfo"]) == 2


def test_properties_of_mixed_types_stand_in_one_page() -> None:
    profiles = [
        profile_of(ANN | {"profileData": {"x": value}}) for value in ("text", 1, 2.5, True, None, ["a"], {"b": 1})
    ]
    rows = profile_rows(profiles, NOON)
    assert [json.loads(text)["x"] for text in rows["properties"]] == ["text", 1, 2.5, True, None, ["a"], {"b": 1}]


def test_a_profile_is_written_to_by_its_device_when_it_has_no_identity() -> None:
    (row,) = profile_rows([profile_of({key: ANN[key] for key in ("email", "platformInfo")})], NOON).rows(named=True)
    assert (row["identifier_kind"], row["identifier"]) == ("objectId", "-1a")
    assert (row["unsubscribe_event_count"], row["unsubscribe_event_at"], row["properties"]) == (0, None, "{}")


def test_a_profile_that_nothing_can_be_done_for_is_left_out() -> None:
    nobody = Profile(identifier=None, object_ids=(), all_identities=(), email=None)
    nameless = Profile(identifier=None, object_ids=(), all_identities=(), email="ann@x.test")
    assert profile_rows([nobody, nameless], NOON)["raw_email"].to_list() == ["ann@x.test"]
    assert profile_rows([], NOON).schema == PROFILE_SCHEMA
