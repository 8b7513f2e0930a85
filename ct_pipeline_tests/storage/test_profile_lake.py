"""Pages of a pull under way become one table, each profile once."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ct_pipeline.from_clevertap.profile_rows import PROFILE_SCHEMA, SUBSCRIPTION_EVENT_SCHEMA
from ct_pipeline.storage import open_pages
from ct_pipeline.storage.lake import Lake
from ct_pipeline.storage.open_pages import OpenPages
from ct_pipeline.storage.open_pulls import ReadingKind
from ct_pipeline_tests.storage.records import NOON


def page(number: int, *names: str | None, email: str = "{}@x.test") -> pl.DataFrame:
    rows = [
        {
            "raw_email": email.format(name or "nobody"),
            "identifier_kind": name and "identity",
            "identifier": name,
            "object_ids": [f"o-{name}", "o"],
            "unsubscribe_event_count": 0,
            "fetched_at": NOON + timedelta(minutes=number),
            "properties": '{"a":"b\\"c"}',
            "other_fields": "{}",
        }
        for name in names
    ]
    return pl.DataFrame(rows, schema=PROFILE_SCHEMA)


def events(*emails: str) -> pl.DataFrame:
    rows = [(email, NOON, "identity", "x", False, "", "", "") for email in emails]
    return pl.DataFrame(rows, schema=SUBSCRIPTION_EVENT_SCHEMA, orient="row")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def pages(lake: Lake) -> OpenPages:
    return OpenPages(lake.root, "a-pull")


def saved(pages: OpenPages, *frames: pl.DataFrame) -> int:
    for number, frame in enumerate(frames):
        kind = (
            ReadingKind.PROFILES
            if "identifier" in frame.columns and "raw_email" in frame.columns
            else ReadingKind.EVENTS
        )
        pages.save(number, kind, frame, [])
    return len(frames)


def test_each_profile_is_there_once_as_it_was_read_last(lake: Lake, pages: OpenPages) -> None:
    count = saved(pages, page(0, "ann", "bob"), page(1), page(2, "cid", "ann", "ann"), page(3, "bob"))
    pulled = lake.write_profile_pull("a-pull", pages, count)
    rows = lake.scan_pull(pulled.path).collect()
    assert rows.schema == PROFILE_SCHEMA
    assert rows.select("row_number", "identifier").rows() == [(1, "cid"), (2, "ann"), (3, "bob")]
    assert [(at - NOON).seconds // 60 for at in rows["fetched_at"]] == [2, 2, 3]
    assert pulled.profile_count == 3


def test_what_a_pull_holds_is_counted(lake: Lake, pages: OpenPages) -> None:
    without_email = page(1, "cid").with_columns(raw_email=pl.lit(None, pl.String))
    count = saved(pages, page(0, "ann", None, None), without_email, events("ann@x.test", "ann@x.test", "bob@x.test"))
    pages.save(count, ReadingKind.PROFILES, page(2), ["no JSON object", "nested too deeply"])
    pulled = lake.write_profile_pull("a-pull", pages, count + 1)
    assert (pulled.profile_count, pulled.with_email_count, pulled.without_identifier_count) == (3, 2, 1)
    assert (pulled.subscription_event_count, pulled.set_aside_count) == (2, 2)
    assert [frame.height for frame in lake.iterate_subscription_events(pulled.path)] == [2]
    kept = pl.read_csv(lake.set_aside_path(pulled.path))
    assert kept.rows() == [(4, "no JSON object", None), (4, "nested too deeply", None)]


def test_an_identity_and_an_object_id_of_the_same_name_are_two_profiles(lake: Lake, pages: OpenPages) -> None:
    other = page(1, "ann").with_columns(identifier_kind=pl.lit("objectId"))
    assert lake.write_profile_pull("a-pull", pages, saved(pages, page(0, "ann"), other)).profile_count == 2


def test_profiles_that_nothing_names_are_told_apart_by_their_email(lake: Lake, pages: OpenPages) -> None:
    count = saved(pages, page(0, None), page(1, None, email="other@x.test"), page(2, None))
    assert lake.write_profile_pull("a-pull", pages, count).profile_count == 2


def test_an_empty_pull_is_a_pull_and_each_reading_is_one_of_its_own(lake: Lake, pages: OpenPages) -> None:
    first = lake.write_profile_pull("a-pull", pages, saved(pages, page(0)))
    assert first.profile_count == 0
    assert lake.scan_pull(first.path).collect().schema == PROFILE_SCHEMA
    assert list(lake.iterate_subscription_events(first.path)) == []
    assert lake.write_profile_pull("another", pages, 1).sha256 != first.sha256


def test_pages_that_the_ledger_does_not_count_are_not_there(lake: Lake, pages: OpenPages) -> None:
    saved(pages, page(0, "ann"), page(1, "bob"))
    assert lake.write_profile_pull("a-pull", pages, 1).profile_count == 1
    # the process that wrote page 1 died before it was counted, and the next one reads something else there
    pages.save(1, ReadingKind.EVENTS, events("ann@x.test"), [])
    again = lake.write_profile_pull("a-pull", pages, 2)
    assert (again.profile_count, again.subscription_event_count) == (1, 1)


def test_missing_pages_are_noticed(lake: Lake, pages: OpenPages) -> None:
    assert pages.has(0)
    saved(pages, page(0, "ann"), page(1, "bob"))
    assert pages.has(2)
    assert not pages.has(3)
    pages.remove()
    assert not pages.has(1)
    pages.remove()


def test_many_profiles_are_told_apart_in_portions(
    lake: Lake, pages: OpenPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_pages, "KEYS_AT_ONCE", 7)
    monkeypatch.setattr(open_pages, "ROW_GROUP_ROWS", 13)
    names = [f"n{number * 17 % 83}" for number in range(400)]
    count = saved(pages, *(page(start, *names[start : start + 9]) for start in range(0, 400, 9)))
    pulled = lake.write_profile_pull("a-pull", pages, count)
    rows = lake.scan_pull(pulled.path).collect()
    last = sorted({name: position for position, name in enumerate(names)}.items(), key=lambda pair: pair[1])
    assert rows["identifier"].to_list() == [name for name, _ in last]
    assert rows["row_number"].to_list() == list(range(1, 84))


def test_only_the_owner_may_look_at_the_pages(lake: Lake, pages: OpenPages) -> None:
    saved(pages, page(0, "ann"))
    assert lake.root.stat().st_mode & 0o077 == 0
