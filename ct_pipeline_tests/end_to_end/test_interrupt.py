"""``ct-pipeline verify`` is stopped midway: it ends in order, and the same call goes on without asking anyone twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ct_pipeline.sandbox.command_log import LoggedCommand
from ct_pipeline.settings import load_settings
from ct_pipeline.storage.embedded_postgres import embedded_is_running
from ct_pipeline_tests.end_to_end.pipeline import statuses
from ct_pipeline_tests.end_to_end.small_world import SmallWorld, sessions_without_quit, small_world
from ct_pipeline_tests.end_to_end.verifiers import ROOT
from ct_pipeline_tests.end_to_end.waiting import wait_until

ENDS_WITHIN_SECONDS = 60  # a command that hangs; one that works takes two or three
MIDWAY = 150  # of 600 addresses


@pytest.mark.parametrize(
    ("interrupt", "exit_status"),
    [
        pytest.param(lambda pid: os.killpg(pid, signal.SIGINT), 130, id="Ctrl-C"),  # the terminal tells the group
        pytest.param(lambda pid: os.kill(pid, signal.SIGTERM), 143, id="SIGTERM"),
    ],
)
def test_an_interrupted_call_ends_in_order_and_the_next_one_goes_on(
    interrupt: Callable[[int], None], exit_status: int, state_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    with small_world(tmp_path, site_count=2, mailbox_count=300, reply_seconds=0.02) as world:
        contacts = world.write_contacts(tmp_path / "contacts.csv")
        with verifying(contacts, out, world, state_folder, tmp_path / "first.txt") as first:
            heard = world.news()
            wait_until(lambda: heard.count("RCPT") >= MIDWAY, lambda: first.poll() is None)
            interrupt(first.pid)
            assert first.wait(ENDS_WITHIN_SECONDS) == exit_status
        before = world.commands()
        assert "Stopped." in (tmp_path / "first.txt").read_text()
        assert not out.exists()
        wait_until(lambda: not sessions_without_quit(world.commands()))
        assert len(world.answers()) < len(world.truth), "it was interrupted midway"
        assert not embedded_is_running(load_settings(state_dir=state_folder, database_url=None))
        assert processes_that_use(state_folder) == []

        with verifying(contacts, out, world, state_folder, tmp_path / "second.txt") as second:
            assert second.wait(ENDS_WITHIN_SECONDS) == 0, (tmp_path / "second.txt").read_text()
        assert statuses(out) == world.truth
        asked_twice = {address for address, answers in world.answers().items() if len(answers) > 1}
        assert asked_twice <= unsettled(before)
        assert processes_that_use(state_folder) == []


def test_ctrl_c_works_where_the_shell_has_told_the_command_to_ignore_it(state_folder: Path, tmp_path: Path) -> None:
    with small_world(tmp_path, site_count=1, mailbox_count=300, reply_seconds=0.02) as world:
        contacts = world.write_contacts(tmp_path / "contacts.csv")
        # as `command &` in a script does
        with verifying(
            contacts, tmp_path / "out.csv", world, state_folder, tmp_path / "said.txt", ignoring=signal.SIGINT
        ) as process:
            heard = world.news()
            wait_until(lambda: heard.count("RCPT"), lambda: process.poll() is None)
            process.send_signal(signal.SIGINT)
            assert process.wait(ENDS_WITHIN_SECONDS) == 130
        wait_until(lambda: not sessions_without_quit(world.commands()))


@contextmanager
def verifying(
    contacts: Path, out: Path, world: SmallWorld, state_folder: Path, said: Path, ignoring: signal.Signals | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """``ct-pipeline verify`` as the leader of a process group, with what it says in a file."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CT_")}
    own |= world.environment | {"CT_STATE_DIR": str(state_folder), "CT_SMTP_CONCURRENCY": "4"}
    command = [sys.executable, "-c", "from ct_pipeline.cli import app; app()", "verify", str(contacts), "-o", str(out)]
    handler = signal.signal(ignoring, signal.SIG_IGN) if ignoring else None
    try:
        with said.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=own, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
    finally:
        if ignoring:
            signal.signal(ignoring, handler)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def unsettled(commands: list[LoggedCommand]) -> set[str]:
    """Accepted addresses of domains that were not asked anything else: whether they are catch-alls is not known yet."""
    rcpts = [command for command in commands if command.command == "RCPT"]
    asked = Counter(command.address.partition("@")[2] for command in rcpts)
    return {rcpt.address for rcpt in rcpts if rcpt.code == 250 and asked[rcpt.address.partition("@")[2]] == 1}


def processes_that_use(state_folder: Path) -> list[str]:
    """Command lines of the processes that were started with this state folder, the database's too."""
    mark = os.fsencode(f"CT_STATE_DIR={state_folder}")
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has ended, or is somebody else's
    return found
