"""What was pulled is taken up: addresses become due, profiles and opt-outs are known."""

import psycopg

from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings
from ct_pipeline.stages.intake import NormalizeSummary, normalize_new_pulls
from ct_pipeline.stages.pull import pull_audience, pull_day
from ct_pipeline.storage.database import connect
from ct_pipeline.storage.pulls import pulls_not_taken_up
from ct_pipeline_tests.stages.pull.connected import COUNT, connected, launched_lately, write_query, yesterday


def profiles(conn: psycopg.Connection) -> list[tuple]:
    return conn.execute(
        "select identifier_kind, identifier, raw_email, address from ledger.profiles "
        "left join ledger.addresses using (address_id) order by 1, 2"
    ).fetchall()


def pull_and_take_up(settings: Settings, name: str = "all") -> NormalizeSummary:
    pull_audience(settings, name)
    return normalize_new_pulls(settings)


def test_addresses_profiles_and_holders_come_into_the_ledger(settings: Settings, conn: psycopg.Connection) -> None:
    summary = pull_and_take_up(settings, "everyone")
    assert (summary.pull_count, summary.row_count, summary.new_address_count) == (1, COUNT, COUNT)
    assert (summary.new_profile_count, summary.new_subscription_event_count) == (COUNT, 0)
    assert pulls_not_taken_up(conn) == []
    row = conn.execute(
        "select count(*) from ledger.holders join ledger.profiles p using (profile_id, address_id) "
        "join ledger.due using (address_id) where next_attempt_at is not null"
    ).fetchone()
    assert row == (COUNT,)
    pull_day(settings, yesterday(settings))
    again = normalize_new_pulls(settings)
    assert (again.row_count, again.new_address_count, again.new_profile_count) == (COUNT, 0, 0)


def test_people_of_every_kind(settings_for_tests: Settings) -> None:
    people = [
        AccountProfile("cust-1", " Ann@Shop.test", properties={"EV Status": "valid", "Plan": "Gold"}),
        AccountProfile("cust-2", "ann@shop.test", phone=4930000000),
        AccountProfile("cust-3", "no address"),
        AccountProfile("cust-4", None),
        AccountProfile(None, "bob@shop.test", object_ids=("__g1", "__g2")),
    ]
    with CleverTapSimulator(people).run_in_thread() as clevertap:
        settings = connected(settings_for_tests, clevertap)
        write_query(settings, "all.json", launched_lately(settings))
        summary = pull_and_take_up(settings)
    assert (summary.row_count, summary.new_address_count, summary.unusable) == (5, 3, {"syntax_error": 1})
    assert settings.database_url is not None
    with connect(settings.database_url.get_secret_value()) as conn:
        assert profiles(conn) == [
            ("identity", "cust-1", " Ann@Shop.test", "ann@shop.test"),
            ("identity", "cust-2", "ann@shop.test", "ann@shop.test"),
            ("identity", "cust-3", "no address", "no address"),
            ("identity", "cust-4", None, None),
            ("objectId", "__g1", "bob@shop.test", "bob@shop.test"),
        ]
        held = conn.execute("select properties from ledger.profiles where identifier = 'cust-1'").fetchone()
        assert held == ({"EV Status": "valid"},)
        assert conn.execute("select count(*) from ledger.unjudged").fetchone() == (1,)


def test_a_profile_that_changes_between_two_pulls(settings_for_tests: Settings) -> None:
    moved, silent, unnamed = (
        AccountProfile("moved", "old@shop.test"),
        AccountProfile("silent", "silent@shop.test"),
        AccountProfile(None, "unnamed@shop.test", object_ids=("__g1",)),
    )
    with CleverTapSimulator([moved, silent, unnamed]).run_in_thread() as clevertap:
        settings = connected(settings_for_tests, clevertap)
        write_query(settings, "all.json", launched_lately(settings))
        pull_and_take_up(settings)
        moved.email, silent.email, unnamed.identity = "new@shop.test", None, "named"
        summary = pull_and_take_up(settings)
    assert (summary.new_address_count, summary.new_profile_count) == (1, 0)
    assert settings.database_url is not None
    with connect(settings.database_url.get_secret_value()) as conn:
        assert profiles(conn) == [
            ("identity", "moved", "new@shop.test", "new@shop.test"),
            ("identity", "named", "unnamed@shop.test", "unnamed@shop.test"),
            ("identity", "silent", None, None),
        ]
        assert conn.execute("select count(distinct profile_id) from ledger.holders").fetchone() == (3,)


def test_opt_outs_and_ways_back_are_known(
    settings: Settings, clevertap: CleverTapSimulator, conn: psycopg.Connection
) -> None:
    clevertap.opt_out(identity="cust-1", properties={"Type": "bounced", "Reason": "550 5.1.1 no such user"})
    clevertap.opt_out(email="user2@shop.test")
    clevertap.opt_in(email="user2@shop.test")
    summary = pull_audience(settings, "everyone")
    assert summary.subscription_event_count == 3
    assert normalize_new_pulls(settings).new_subscription_event_count == 3
    events = conn.execute(
        "select email, identifier, is_resubscribe, type from ledger.subscription_events order by email, is_resubscribe"
    ).fetchall()
    assert events == [
        ("user1@shop.test", "cust-1", False, "bounced"),
        ("user2@shop.test", "cust-2", False, events[1][3]),
        ("user2@shop.test", "cust-2", True, events[2][3]),
    ]
    summaries = conn.execute(
        "select identifier, unsubscribe_event_count from ledger.profiles where unsubscribe_event_count > 0 order by 1"
    ).fetchall()
    assert summaries == [("cust-1", 1), ("cust-2", 2)]
    pull_audience(settings, "everyone")
    assert normalize_new_pulls(settings).new_subscription_event_count == 0


def test_a_pull_without_a_single_email_is_taken_up(settings_for_tests: Settings) -> None:
    with CleverTapSimulator([AccountProfile("cust-1", None)]).run_in_thread() as clevertap:
        settings = connected(settings_for_tests, clevertap)
        write_query(settings, "all.json", launched_lately(settings))
        summary = pull_and_take_up(settings)
        assert (summary.row_count, summary.new_profile_count, summary.new_address_count) == (1, 1, 0)
        assert pull_and_take_up(settings, "everyone").row_count == 0
