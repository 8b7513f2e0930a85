"""A small CleverTap account in this process, and settings that are connected with it."""

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest

from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.pull import pull_audience
from ct_pipeline.stages.pull_reading import PullProgress
from ct_pipeline.storage.lake import Lake
from ct_pipeline.storage.pulls import pull as recorded_pull

PAGE_SIZE = 23
COUNT = 120
GOLD = '{"common_profile_properties": {"profile_fields": [{"name": "Plan", "operator": "equals", "value": "Gold"}]}}'


def connected(settings: Settings, clevertap: CleverTapSimulator, **more: object) -> Settings:
    """``settings`` with the connection to ``clevertap``, and ``more`` on top."""
    assert settings.database_url is not None
    account = {name.removeprefix("CT_").lower(): value for name, value in clevertap.environment.items()}
    own: dict[str, object] = {
        "state_dir": settings.state_dir,
        "database_url": settings.database_url.get_secret_value(),
        "page_size": PAGE_SIZE,
    }
    return load_settings(**(own | account | more))


def people(count: int, **more: object) -> list[AccountProfile]:
    """Profiles ``cust-0``, ``cust-1`` … with an address each."""
    return [
        AccountProfile(f"cust-{number}", f"user{number}@shop.test", **more)  # pyright: ignore[reportArgumentType]
        for number in range(count)
    ]


def yesterday(settings: Settings) -> date:
    """The day before today, where the account lives; its noon is when :func:`people` launched the app at the latest."""
    return datetime.now(settings.zone).date() - timedelta(days=1)


def midday(day: date, settings: Settings) -> datetime:
    return datetime.combine(day, time(12), settings.zone)


def write_query(settings: Settings, name: str, text: str) -> Path:
    """A file of an audience."""
    settings.audiences_dir.mkdir(exist_ok=True)
    path = settings.audiences_dir / name
    path.write_text(text)
    return path


def launched_lately(settings: Settings) -> str:
    """The query for whoever launched the app within a month, as it stands in a file."""
    last = yesterday(settings)
    first = last - timedelta(days=30)
    return json.dumps({"event_name": "App Launched", "from": f"{first:%Y%m%d}", "to": f"{last:%Y%m%d}"})


def pulled_rows(settings: Settings, conn: psycopg.Connection, pull_id: int) -> pl.DataFrame:
    """What the lake holds of a pull."""
    known = recorded_pull(conn, pull_id)
    assert known is not None
    return Lake(settings.lake_dir).scan_pull(known.lake_path).collect()


def opened(clevertap: CleverTapSimulator) -> int:
    """How often an export of profiles was opened."""
    return clevertap.log.count("POST", "/1/profiles.json")


def pages(clevertap: CleverTapSimulator) -> int:
    """How often a page of profiles was asked for."""
    return clevertap.log.count("GET", "/1/profiles.json")


class InterruptionError(Exception):
    """Whatever ends a run in the middle."""


def interrupting(*_args: object, **_kwargs: object) -> int:
    raise InterruptionError


def interrupt_after(page_count: int) -> Callable[[PullProgress], None]:
    def on_page(progress: PullProgress) -> None:
        if progress.page_count == page_count:
            raise InterruptionError

    return on_page


def interrupted(settings: Settings, after_pages: int = 3) -> None:
    """A pull of everyone that ends in the middle."""
    with pytest.raises(InterruptionError):
        pull_audience(settings, "everyone", interrupt_after(after_pages))
