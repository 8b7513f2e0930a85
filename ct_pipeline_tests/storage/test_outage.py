"""A database that is away: who waits, for how long, and what is said about it."""

import logging
import threading
from collections.abc import Callable

import psycopg
import pytest

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.storage import outage
from ct_pipeline.storage.outage import Outage

URL = "postgresql://somebody:secret@db.example/ledger"


def failing(times: int) -> Callable[[], str]:
    left = [psycopg.OperationalError("gone\nwith details"), LedgerUnavailableError("away")] * times

    def call() -> str:
        if left:
            raise left.pop()
        return "answer"

    return call


def test_an_outage_is_told_when_it_begins_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0.0)
    seen = Outage(URL)
    assert seen.wait_out(lambda: "answer") == "answer"
    assert caplog.records == []
    assert seen.wait_out(failing(times=2)) == "answer"
    begun, over = (record.getMessage() for record in caplog.records)
    assert begun.startswith("The database at db.example:5432/ledger is away (away).")
    assert "is back after" in over
    assert "secret" not in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(LedgerUnavailableError, match="away"):
        Outage(URL).wait_out(failing(times=1))


def test_a_wait_can_be_ended_from_outside() -> None:
    seen = Outage(URL)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            seen.wait_out(failing(times=10**6))
        except (psycopg.OperationalError, LedgerUnavailableError) as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not seen.is_on:
        pass
    seen.hurry()
    waiting.join(outage.PATIENCE_SECONDS / 2)
    assert len(ended) == 1
