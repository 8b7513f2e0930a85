"""Profiles: the newest read wins, under the identifier that writes use."""

import json
from datetime import datetime, timedelta

import polars as pl
import psycopg
import pytest

from ct_pipeline.from_clevertap.profile_rows import PROFILE_SCHEMA
from ct_pipeline.storage.addresses import take_up
from ct_pipeline.storage.profiles import ProfilesTakenUp, take_up_profiles
from ct_pipeline.storage.pulls import PROFILES, ledger_audience, record_pull
from ct_pipeline_tests.storage.records import DAY, HOUR, NOON, pull_rows

PROJECT = "TEST-1"
MINUTE = timedelta(minutes=1)
NAMES = ["EV Status", "EV Safe To Send"]


def profile(
    identifier: str | None = "cust-1",
    email: str | None = "ann@x.test",
    *,
    kind: str = "identity",
    objects: tuple[str, ...] = ("o1",),
    properties: dict[str, object] | None = None,
    unsubscribed: tuple[int, datetime | None] = (0, None),
) -> dict[str, object]:
    return {
        "raw_email": email,
        "identifier_kind": kind if identifier else None,
        "identifier": identifier,
        "object_ids": objects,
        "unsubscribe_event_count": unsubscribed[0],
        "unsubscribe_event_at": unsubscribed[1],
        "properties": json.dumps(properties or {}),
        "other_fields": "{}",
    }


def anonymous(object_id: str = "o1", email: str | None = "ann@x.test", **more: object) -> dict[str, object]:
    objects = more.pop("objects", (object_id,))
    return profile(object_id, email, kind="objectId", objects=objects, **more)  # pyright: ignore[reportArgumentType]


def pulled(
    conn: psycopg.Connection, *profiles: dict[str, object], at: datetime = NOON, now: datetime | None = None
) -> ProfilesTakenUp:
    """A pull of these profiles, read ``at``, taken up."""
    rows = [{"row_number": number, "fetched_at": at, **each} for number, each in enumerate(profiles, start=1)]
    frame = pl.DataFrame(rows, schema=PROFILE_SCHEMA)
    audience = ledger_audience(PROJECT, "everyone")
    sha256 = str(conn.execute("select count(*) from ledger.pulls").fetchone())
    pull_id = record_pull(
        conn, audience, PROFILES, "everyone", sha256, "p", frame.height, 0, "email", {}, at, project=PROJECT
    )
    return taken_up(conn, pull_id, frame, now or max(at, NOON))


def taken_up(conn: psycopg.Connection, pull_id: int, frame: pl.DataFrame, now: datetime) -> ProfilesTakenUp:
    """As the stage does it."""
    with_email = frame.drop_nulls("raw_email")
    if with_email.height:
        addresses = pull_rows(*with_email["raw_email"]).with_columns(with_email["row_number"])
        take_up(conn, pull_id, ledger_audience(PROJECT, "everyone"), addresses, NOON, has_holders=False)
    else:
        addresses = pl.DataFrame(schema={"row_number": pl.Int64, "address": pl.String})
    people = frame.join(addresses.select("row_number", "address"), on="row_number", how="left")
    return take_up_profiles(conn, pull_id, PROJECT, people, NAMES, now)


def stored(conn: psycopg.Connection) -> list[tuple]:
    return conn.execute(
        "select identifier_kind, identifier, raw_email, address from ledger.profiles "
        "left join ledger.addresses using (address_id) order by 1, 2"
    ).fetchall()


def properties(conn: psycopg.Connection) -> dict[str, object]:
    row = conn.execute("select properties from ledger.profiles").fetchone()
    assert row is not None
    return row[0]


def holders(conn: psycopg.Connection) -> list[tuple]:
    """Pull, row, and under which identifier the profile is known now."""
    return conn.execute(
        "select h.pull_id, row_number, identifier from ledger.holders h left join ledger.profiles using (profile_id) "
        "order by 1, 2"
    ).fetchall()


def test_profiles_and_those_who_hold_an_address_are_kept(conn: psycopg.Connection) -> None:
    at = NOON - DAY
    taken = pulled(
        conn,
        profile("cust-1", " Ann@X.test", unsubscribed=(2, at)),
        anonymous("o7", "ann@x.test"),
        profile("cust-2", None),
        profile(None, "bob@x.test"),
    )
    assert taken == ProfilesTakenUp(new_count=3, renewed_count=0, replaced_count=0)
    assert stored(conn) == [
        ("identity", "cust-1", " Ann@X.test", "ann@x.test"),
        ("identity", "cust-2", None, None),
        ("objectId", "o7", "ann@x.test", "ann@x.test"),
    ]
    assert holders(conn) == [(1, 1, "cust-1"), (1, 2, "o7"), (1, 4, None)]
    row = conn.execute(
        "select project, unsubscribe_event_count, unsubscribe_event_at, seen_at from ledger.profiles order by 1, 2 desc"
    ).fetchone()
    assert row == (PROJECT, 2, at, NOON)


def test_taking_up_the_same_pull_again_changes_nothing(conn: psycopg.Connection) -> None:
    frame = pl.DataFrame(
        [
            {"row_number": 1, "fetched_at": NOON, **profile("cust-1")},
            {"row_number": 2, "fetched_at": NOON, **anonymous()},
        ],
        schema=PROFILE_SCHEMA,
    )
    audience = ledger_audience(PROJECT, "everyone")
    pull_id = record_pull(conn, audience, PROFILES, "everyone", "00", "p", 2, 0, "email", {}, NOON, project=PROJECT)
    results = []
    for _ in range(3):
        taken_up(conn, pull_id, frame, NOON)
        results.append((conn.execute("select * from ledger.profiles").fetchall(), holders(conn)))
    assert results[0] == results[1] == results[2]
    assert stored(conn) == [("identity", "cust-1", "ann@x.test", "ann@x.test")]


def test_a_profile_read_again_may_have_changed_its_address(conn: psycopg.Connection) -> None:
    pulled(conn, profile(email="ann@x.test"))
    assert pulled(conn, profile(email="Ann@new.test"), at=NOON + DAY) == ProfilesTakenUp(0, 1, 0)
    assert stored(conn) == [("identity", "cust-1", "Ann@new.test", "ann@new.test")]
    assert holders(conn) == [(1, 1, "cust-1"), (2, 1, "cust-1")]


def test_a_profile_read_again_may_have_lost_its_email(conn: psycopg.Connection) -> None:
    pulled(conn, profile(email="ann@x.test"))
    pulled(conn, profile(email=None), at=NOON + DAY)
    assert stored(conn) == [("identity", "cust-1", None, None)]


def test_two_profiles_share_an_address(conn: psycopg.Connection) -> None:
    pulled(conn, profile("cust-1", "ann@x.test", objects=("o1",)), profile("cust-2", "ANN@x.test", objects=("o2",)))
    assert stored(conn) == [
        ("identity", "cust-1", "ann@x.test", "ann@x.test"),
        ("identity", "cust-2", "ANN@x.test", "ann@x.test"),
    ]


def test_a_pull_older_than_the_newest_read_changes_nothing(conn: psycopg.Connection) -> None:
    pulled(conn, profile(email="new@x.test", properties={"EV Status": "valid"}), at=NOON)
    before = conn.execute("select * from ledger.profiles").fetchall()
    older = pulled(
        conn,
        profile(email="old@x.test", properties={"EV Status": "x"}, unsubscribed=(1, NOON)),
        at=NOON - HOUR,
    )
    assert older == ProfilesTakenUp(0, 0, 0)
    assert conn.execute("select * from ledger.profiles").fetchall() == before


def test_a_clock_that_runs_ahead_does_not_shut_out_later_reads(conn: psycopg.Connection) -> None:
    pulled(conn, profile(email="ann@x.test"), at=NOON + 90 * DAY, now=NOON)
    pulled(conn, profile(email="bob@x.test"), at=NOON + HOUR, now=NOON + HOUR)
    assert stored(conn) == [("identity", "cust-1", "bob@x.test", "bob@x.test")]


# -- one profile under several names ---


def test_a_profile_that_gets_an_identity_later_stays_the_same_profile(conn: psycopg.Connection) -> None:
    pulled(conn, anonymous("o1"))
    known = conn.execute("select profile_id from ledger.profiles").fetchone()
    taken = pulled(conn, profile("cust-1", objects=("o1", "o2")), at=NOON + DAY)
    assert taken.replaced_count == 1
    assert stored(conn) == [("identity", "cust-1", "ann@x.test", "ann@x.test")]
    assert conn.execute("select profile_id from ledger.profiles").fetchone() == known
    assert holders(conn) == [(1, 1, "cust-1"), (2, 1, "cust-1")]


def test_an_identity_gathers_all_profiles_of_its_devices(conn: psycopg.Connection) -> None:
    pulled(conn, anonymous("o1"), anonymous("o2", "bob@x.test"), anonymous("o3", "cid@x.test"))
    conn.execute(
        'update ledger.profiles set properties = \'{"EV Status": "written"}\', properties_at = %s '
        "where identifier = 'o2'",
        (NOON + DAY - MINUTE,),
    )
    conn.execute(
        "insert into ledger.changes (batch_id, project, kind, profile_id) "
        "select 1, project, 'set_properties', profile_id from ledger.profiles where identifier = 'o2'"
    )
    taken = pulled(conn, profile("cust-1", "ann@x.test", objects=("o1", "o2")), at=NOON + DAY)
    assert taken.replaced_count == 2
    assert [row[1] for row in stored(conn)] == ["cust-1", "o3"]
    assert holders(conn) == [(1, 1, "cust-1"), (1, 2, "cust-1"), (1, 3, "o3"), (2, 1, "cust-1")]
    # what was written a minute before the read is believed more than the read
    assert conn.execute("select properties from ledger.profiles where identifier = 'cust-1'").fetchone() == (
        {"EV Status": "written"},
    )
    changed = conn.execute("select p.identifier from ledger.changes c join ledger.profiles p using (profile_id)")
    assert changed.fetchall() == [("cust-1",)]


def test_a_known_identity_takes_over_a_device_that_was_anonymous(conn: psycopg.Connection) -> None:
    pulled(conn, profile("cust-1", objects=("o1",)), anonymous("o2", "ann@home.test"))
    pulled(conn, profile("cust-1", objects=("o1", "o2")), at=NOON + DAY)
    assert [row[1] for row in stored(conn)] == ["cust-1"]
    assert holders(conn) == [(1, 1, "cust-1"), (1, 2, "cust-1"), (2, 1, "cust-1")]


def test_both_may_come_in_one_pull(conn: psycopg.Connection) -> None:
    pulled(conn, anonymous("o1"), profile("cust-1", objects=("o1",)))
    assert [row[1] for row in stored(conn)] == ["cust-1"]
    assert holders(conn) == [(1, 1, "cust-1"), (1, 2, "cust-1")]


def test_an_anonymous_read_that_is_newer_than_the_identity_is_not_replaced(conn: psycopg.Connection) -> None:
    pulled(conn, anonymous("o1"), at=NOON)
    pulled(conn, profile("cust-1", objects=("o1",)), at=NOON - HOUR)
    assert [row[1] for row in stored(conn)] == ["cust-1", "o1"]


def test_a_profile_without_identity_is_one_though_its_devices_change_places(conn: psycopg.Connection) -> None:
    one, other = anonymous("o1", objects=("o1", "o2")), anonymous("o2", objects=("o2", "o1"))
    pulled(conn, one)
    pulled(conn, other, at=NOON + DAY)
    assert [row[1] for row in stored(conn)] == ["o2"]
    assert holders(conn) == [(1, 1, "o2"), (2, 1, "o2")]


def test_two_reads_at_once_that_claim_each_other_leave_one_profile(conn: psycopg.Connection) -> None:
    pulled(conn, anonymous("o1", objects=("o1", "o2")), anonymous("o2", objects=("o2", "o1")))
    assert [row[1] for row in stored(conn)] == ["o1"]
    assert holders(conn) == [(1, 1, "o1"), (1, 2, "o1")]


def test_another_project_has_profiles_of_its_own(conn: psycopg.Connection) -> None:
    pulled(conn, anonymous("o1"))
    conn.execute("update ledger.profiles set project = 'TEST-2'")
    pulled(conn, profile("cust-1", objects=("o1",)), at=NOON + DAY)
    assert [row[1] for row in stored(conn)] == ["cust-1", "o1"]


# -- properties ---


def test_only_our_own_properties_are_kept_whatever_their_capitals(conn: psycopg.Connection) -> None:
    pulled(conn, profile(properties={"ev STATUS": "valid", "Plan": "gold", "EV Safe To Send": True, "x": "EV Status"}))
    assert properties(conn) == {"EV Status": "valid", "EV Safe To Send": True}


def test_what_we_wrote_is_believed_for_an_hour(conn: psycopg.Connection) -> None:
    pulled(conn, profile(properties={}))
    written_at = NOON + DAY
    conn.execute(
        'update ledger.profiles set properties = \'{"EV Status": "invalid"}\', properties_at = %s', (written_at,)
    )
    pulled(conn, profile(properties={"EV Status": "valid"}), at=written_at + HOUR - MINUTE)
    assert properties(conn) == {"EV Status": "invalid"}
    pulled(conn, profile(properties={}), at=written_at + HOUR)
    assert properties(conn) == {}


@pytest.mark.parametrize(
    "value", ['say "no"', "tab\there", "back\\slash", "line\nbreak", "é☃", 12, 1.5, ["a", "b"], None]
)
def test_any_value_of_a_property_is_kept_as_it_came(conn: psycopg.Connection, value: object) -> None:
    pulled(conn, profile(properties={"EV Status": value}))
    assert properties(conn) == {"EV Status": value}
