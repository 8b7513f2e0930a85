"""A pull that is stopped in mid-export goes on from its last saved page: the log of the simulated API shows it."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ct_pipeline.sandbox.process import SandboxProcess
from ct_pipeline.settings import Settings
from ct_pipeline_tests.end_to_end.waiting import wait_until

SEED = 20261123
PROFILE_COUNT = 1500
PAGE_SIZE = 23
KILL_COUNT = 6


@pytest.fixture
def account(tmp_path: Path) -> Iterator[SandboxProcess]:
    people = [{"identity": f"cust-{number}", "email": f"user{number}@shop.test"} for number in range(PROFILE_COUNT)]
    (tmp_path / "profiles.json").write_text(json.dumps(people))
    with SandboxProcess(
        log_path=tmp_path / "smtp.jsonl",
        profile_file=tmp_path / "profiles.json",
        clevertap_log_path=tmp_path / "calls.jsonl",
        settings={"answer_seconds": 0.02},
    ) as sandbox:
        yield sandbox


@pytest.fixture
def start_pull(account: SandboxProcess, settings_for_tests: Settings) -> Callable[[], "subprocess.Popen[str]"]:
    assert settings_for_tests.database_url is not None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CT_")}
    environment |= account.environment
    environment |= {
        "CT_STATE_DIR": str(settings_for_tests.state_dir),
        "CT_DATABASE_URL": settings_for_tests.database_url.get_secret_value(),
        "CT_PAGE_SIZE": str(PAGE_SIZE),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "ct_pipeline", "pull"]
    return lambda: subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def asked(log_path: Path, method: str) -> int:
    """How often an export of profiles was opened (POST), or a page of it given (GET)."""
    wanted = (method, "/1/profiles.json", 200)
    lines = log_path.read_text().splitlines() if log_path.exists() else []
    calls = (json.loads(line) for line in lines if line.endswith("}"))
    return sum((call["method"], call["path"], call["status"]) == wanted for call in calls)


def saved_pages(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("select page_count from ledger.open_pulls").fetchone()
    assert row is not None, "nothing is under way"
    return row[0]


def test_killed_pulls_lose_no_page_and_read_at_most_one_again(
    start_pull: Callable[[], "subprocess.Popen[str]"], ledger_url: str, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    calls = tmp_path / "calls.jsonl"
    saved = 0
    for _ in range(KILL_COUNT):
        kill_in_mid_export(start_pull(), calls, more_pages=dice.randint(1, 6))
        saved, before = saved_pages(ledger_url), saved
        assert saved >= before
    assert saved > 0
    survivor = start_pull()
    said, _ = survivor.communicate(timeout=120)
    assert survivor.returncode == 0, said
    assert "gone on from where it was interrupted" in said
    assert f"{PROFILE_COUNT:,} in " in said

    assert asked(calls, "POST") == 1, "the export was never opened again"
    with psycopg.connect(ledger_url) as conn:
        known = conn.execute("select count(*), count(distinct address_id) from ledger.profiles").fetchone()
        assert known == (PROFILE_COUNT, PROFILE_COUNT)
        assert conn.execute("select count(*) from ledger.open_pulls").fetchone() == (0,)
        recorded = conn.execute("select row_count from ledger.pulls where taken_up_at is not null").fetchall()
    assert recorded == [(PROFILE_COUNT,)]
    # what a pull had been given and not yet saved when it was killed: one page each at most
    page_count = int(said.partition(f"{PROFILE_COUNT:,} in ")[2].split()[0]) - 1  # the last one is of events
    assert page_count <= asked(calls, "GET") <= page_count + KILL_COUNT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_pull_says_so_and_goes_on(
    start_pull: Callable[[], "subprocess.Popen[str]"], tmp_path: Path, number: signal.Signals
) -> None:
    calls = tmp_path / "calls.jsonl"
    process = start_pull()
    wait_until(lambda: asked(calls, "GET") >= 3, lambda: process.poll() is None)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (
        128 + number,
        "Stopped. The pages that came are kept; the same call goes on from here.\n",
    )
    said, _ = start_pull().communicate(timeout=120)
    assert "gone on from where it was interrupted" in said
    assert asked(calls, "POST") == 1


def kill_in_mid_export(process: "subprocess.Popen[str]", calls: Path, more_pages: int) -> None:
    target = asked(calls, "GET") + more_pages
    wait_until(lambda: asked(calls, "GET") >= target, lambda: process.poll() is None)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the pull is to outlive the kills: give the account more profiles"
    assert process.stdout is not None
    process.stdout.close()
