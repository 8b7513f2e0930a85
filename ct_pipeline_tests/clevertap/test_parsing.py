"""Records as the API returns them, with every oddity that was met, and ones that a hostile server would make up."""

import contextlib
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.clevertap.json_bodies import parse_json
from ct_pipeline.clevertap.parsing import event_of, profile_of
from ct_pipeline.clevertap.records import EventSummary, Identifier
from ct_pipeline.vocabulary import IdentifierKind

ZONE = ZoneInfo("Asia/Kolkata")
IDENTITY, OBJECT_ID = IdentifierKind.IDENTITY, IdentifierKind.OBJECT_ID
RECORD = {
    "identity": "cust-1001",
    "all_identities": ["cust-1001", "mira@example.net"],
    "email": " Mira@Example.net ",
    "name": "Mira Example",
    "phone": 4930000000,
    "profileData": {"Customer Type": "Gold", "visits": 7, "Tags": ["a", "b"]},
    "events": {"Channel Unsubscribed": {"count": 1, "first_seen": 1764547200, "last_seen": 1767139200}},
    "platformInfo": [
        {"platform": "iOS", "objectId": "-1a0638", "ls": 1767139200},
        {"platform": "Web", "objectId": "a8ffcbc9"},
        {"platform": "Web", "objectId": "a8ffcbc9"},
    ],
    "df": "unknown",
}
DEVICE = {"platformInfo": [{"objectId": "-1a0638"}]}


def test_a_whole_record() -> None:
    profile = profile_of(RECORD)
    assert profile.identifier == Identifier(IDENTITY, "cust-1001")
    assert profile.object_ids == ("-1a0638", "a8ffcbc9")
    assert profile.all_identities == ("cust-1001", "mira@example.net")
    assert profile.email == " Mira@Example.net ", "as CleverTap holds it"
    assert profile.properties == RECORD["profileData"]
    first, last = datetime(2025, 12, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)
    assert profile.events == {"Channel Unsubscribed": EventSummary(1, first, last)}
    assert profile.rest["phone"] == 4930000000
    assert profile.rest["df"] == "unknown"


@pytest.mark.parametrize(
    ("identity", "all_identities"),
    [
        (None, ()),
        ("", ()),
        ("  ", ()),
        ("[id1 id2]", ("id1", "id2")),
        ("[id1]", ("id1",)),
        ("[]", ()),
        ("null", ("null",)),
        ("Undefined", ("Undefined",)),
        (0, ("0",)),
        ("-1", ("-1",)),
        ("x" * 1024, ()),
        (True, ()),
        (1.5, ()),
        (["a"], ()),
        ({"a": 1}, ()),
        ("nul\x00", ()),
        ("half \ud83d", ()),
    ],
)
def test_an_identity_that_is_no_single_plain_one_is_not_written_by(
    identity: object, all_identities: tuple[str, ...]
) -> None:
    profile = profile_of({"identity": identity} | DEVICE)
    assert profile.identifier == Identifier(OBJECT_ID, "-1a0638")
    assert profile.all_identities == all_identities
    assert profile_of({"identity": identity}).identifier is None


@pytest.mark.parametrize("identity", ["a b", "[a", "a]", "ü@example.net", "x" * 1023, " a", "0x0", "none of it"])
def test_other_identities_are_written_by_as_they_are(identity: str) -> None:
    assert profile_of({"identity": identity} | DEVICE).identifier == Identifier(IDENTITY, identity)
    assert profile_of({"identity": 17}).identifier == Identifier(IDENTITY, "17")


def test_an_anonymous_profile_is_written_by_its_device() -> None:
    profile = profile_of({"platformInfo": [None, {}, {"objectId": 5}, {"objectId": "a b"}, {"objectId": "ok"}]})
    assert profile.identifier == Identifier(OBJECT_ID, "ok")
    assert profile.email is None
    assert profile_of({"objectId": "top"} | DEVICE).object_ids == ("top", "-1a0638")


@pytest.mark.parametrize("email", [None, "", " ", 5, ["a@b"], {"a": 1}, True])
def test_an_email_that_is_no_text_is_none(email: object) -> None:
    assert profile_of({"identity": "a", "email": email}).email is None


def test_records_that_make_no_sense_are_told_without_their_content() -> None:
    deep: object = "x"
    for _ in range(50):
        deep = {"a": deep}
    for record in (
        None,
        [],
        "mira@example.net",
        7,
        {"email": "mira" * 2000 + "@example.net"},
        {"email": "mira\x00@example.net"},
        {"email": "mira\udcff@example.net"},
        {"profileData": {"deep": deep}},
        {"profileData": {"number": 10**400}},
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            profile_of(record)
        assert "mira" not in str(caught.value)


def test_odd_fields_are_left_out() -> None:
    odd = {
        "identity": "a",
        "profileData": ["x"],
        "events": {
            "A": None,
            "B": {"count": "7", "last_seen": "never"},
            "C": {"count": -1, "first_seen": True, "last_seen": 10**30},
            "D": {"count": 2, "first_seen": "1764547200", "last_seen": 1764547200000},
        },
        "platformInfo": "none",
        "all_identities": "[a b]",
    }
    profile = profile_of(odd)
    at = datetime(2025, 12, 1, tzinfo=UTC)
    assert profile.properties == {}
    assert profile.events == {
        "B": EventSummary(0, None, None),
        "C": EventSummary(0, None, None),
        "D": EventSummary(2, at, at),
    }
    assert profile.all_identities == ("a", "b")


def test_text_that_no_database_can_hold_is_mended_in_properties() -> None:
    body = b'{"identity":"a","profileData":{"k\xff":["x\\u0000y","\\ud83d","\xc3\xa4 \\ud83d\\ude00"]}}'
    properties = profile_of(parse_json(body)).properties
    (values,) = properties.values()
    assert values == ["x\ufffdy", "\ufffd", "ä 😀"]
    json.dumps(properties, ensure_ascii=False).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from([*RECORD, "objectId", "ts", "profile", "event_props"])


@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_any_record_is_read_or_told_to_be_odd(record: dict[str, object]) -> None:
    try:
        profile = profile_of(record)
    except ValueError:
        pass
    else:
        assert profile.email is None or profile.email.encode()
        stored = json.dumps([profile.properties, profile.rest, list(profile.all_identities)], ensure_ascii=False)
        assert "\x00" not in stored
        stored.encode()
        if profile.identifier is not None:
            assert profile.identifier.value in (*profile.all_identities, *profile.object_ids)
    with contextlib.suppress(ValueError):
        assert event_of(record, ZONE).happened_at.tzinfo is UTC


def test_times_of_events_are_told_in_the_zone_of_the_project() -> None:
    at = datetime(2026, 1, 15, 8, 34, 16, tzinfo=UTC)
    for ts in (20260115140416, "20260115140416", 1768466056, 1768466056000):
        assert event_of({"ts": ts}, ZONE).happened_at == at
    for ts in (None, "", 0, True, 20261515140416, "x", 2026, [], 10**20):
        with pytest.raises(ValueError, match="time"):
            event_of({"ts": ts}, ZONE)


def test_an_event_says_whose_it_is() -> None:
    profile = {"objectId": "__g9", "email": "mira@example.net", "identity": "cust-1001"}
    event = event_of({"profile": profile, "ts": 20260115140416, "event_props": {"Type": "bounced"}}, ZONE)
    assert event.identifier == Identifier(IDENTITY, "cust-1001")
    assert (event.object_id, event.email, event.properties) == ("__g9", "mira@example.net", {"Type": "bounced"})
    nobody = event_of({"ts": 20260115140416}, ZONE)
    assert (nobody.identifier, nobody.object_id, nobody.email) == (None, None, None)
    with pytest.raises(ValueError, match="its profile"):
        event_of({"profile": "x", "ts": 20260115140416}, ZONE)


def test_an_hour_that_comes_twice_is_told_with_both_times() -> None:
    in_new_york = ZoneInfo("America/New_York")  # clocks are set back at 2:00 on 1 November 2026
    event = event_of({"ts": 20261101013000}, in_new_york)
    assert event.happened_at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert event.or_at == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    for once in (20261101005959, 20261101020000, 20260308023000):  # the last one never was
        assert event_of({"ts": once}, in_new_york).or_at is None
