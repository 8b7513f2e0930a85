"""Channel Unsubscribed events are kept once, however often they are read."""

import polars as pl
import psycopg

from ct_pipeline.from_clevertap.profile_rows import SUBSCRIPTION_EVENT_SCHEMA
from ct_pipeline.storage.subscription_events import keep_subscription_events
from ct_pipeline_tests.storage.records import HOUR, NOON


def events(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SUBSCRIPTION_EVENT_SCHEMA, orient="row")


ANN = ("ann@x.test", NOON, "identity", "cust-1", False, "account", "bounced", "550 5.1.1\tno such user\\")


def test_events_come_back_as_they_were_kept(conn: psycopg.Connection) -> None:
    unnamed = ("bob@x.test", NOON, None, None, True, None, None, None)
    assert keep_subscription_events(conn, "TEST-1", 7, events(ANN, unnamed)) == 2
    stored = conn.execute("select * from ledger.subscription_events order by email").fetchall()
    assert stored == [
        ("TEST-1", *ANN, 7),
        ("TEST-1", "bob@x.test", NOON, "", "", True, "", "", "", 7),
    ]


def test_an_event_read_again_is_the_same_event(conn: psycopg.Connection) -> None:
    later = (ANN[0], NOON + HOUR, *ANN[2:])
    assert keep_subscription_events(conn, "TEST-1", 7, events(ANN, ANN)) == 1
    assert keep_subscription_events(conn, "TEST-1", None, events(ANN, later)) == 1
    assert keep_subscription_events(conn, "TEST-2", None, events(ANN)) == 1
    assert keep_subscription_events(conn, "TEST-2", None, events()) == 0
