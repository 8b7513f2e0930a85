"""Everything at once: hosts that misbehave, verifiers that are killed, a database that comes and goes.

Some thousand addresses are verified by ``ct-pipeline verify``, which is called again whenever it has ended, in whatever
way. In the end every address is right or due, and nothing that a host had said a second before a kill was asked again.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ct_pipeline.errors import CtPipelineError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.storage.embedded_postgres import start_embedded, stop_embedded
from ct_pipeline.storage.migrations import upgrade
from ct_pipeline.vocabulary import Status
from ct_pipeline_tests.end_to_end.asked_again import Answer, Life, asked_again
from ct_pipeline_tests.end_to_end.chaos_world import ROOT, ChaosWorld, Plan, chaos_world
from ct_pipeline_tests.end_to_end.waiting import wait_until

SEED = 20261128
PLAN = Plan(seed=SEED, address_count=3000, domain_count=40, host_count=25, reply_seconds=0.03)
# How often each happens, and how long after a verifier's first question. Kills take those that have something to lose;
# test_kill.py has the younger ones.
MISHAPS = {"SIGKILL": (4, 1.5, 3.0), "crash": (2, 1.0, 2.5), "SIGTERM": (2, 0.0, 1.5), "restart": (2, 0.0, 1.5)}
MOST_ROUNDS = 14  # undisturbed ones, after the mishaps
ENDS_WITHIN_SECONDS = 120  # a verifier that hangs; one that works takes some seconds

TEMPORARY = {"connection_lost", "command_timeout", "out_of_step", "server_trouble", "rate_limited", "prober_blocked",
             "greylisted", "policy_refused", "not_asked_yet", "connection_refused", "cannot_verify"}  # fmt: skip


class Chaos:
    """Calls the command, and lets mishaps happen to it."""

    def __init__(self, world: ChaosWorld, state_folder: Path, folder: Path) -> None:
        self.world = world
        self.lives: list[Life] = []
        self.embedded = load_settings(state_dir=state_folder, database_url=None)
        self.url = start_embedded(self.embedded)
        upgrade(self.url)
        self.contacts, self.out, self.said = folder / "contacts.csv", folder / "out.csv", folder / "said.txt"
        self.contacts.write_text("".join(f"{line}\n" for line in ("email", *world.plan.truth())))
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("CT_")}
        self._environment |= world.environment | {
            "CT_STATE_DIR": str(state_folder),
            "CT_DATABASE_URL": self.url,
            "CT_SMTP_CONCURRENCY": "6",  # slow enough for the work to outlast the mishaps
            "CT_SESSION_ADDRESSES": "20",
        }

    def live(self, mishap: str = "", after_seconds: float = 0.0) -> int:
        """Run one verifier to its end; returns its exit status. The mishap happens so long after its first question."""
        offset = self.world.log_path.stat().st_size
        life = Life(time.time())
        self.lives.append(life)
        with self.verifying() as process:
            if mishap:
                wait_until(lambda: self.world.answers_since(offset) or process.poll() is not None)
                time.sleep(after_seconds)
                if process.poll() is None:
                    life.mishap, life.mishap_at = mishap, time.time()
                    DOING[mishap](self, process)
            return process.wait(ENDS_WITHIN_SECONDS)

    @contextmanager
    def verifying(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-c", "from ct_pipeline.cli import app; app()"]
        command += ["verify", str(self.contacts), "-o", str(self.out)]
        with self.said.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=said, stderr=said, start_new_session=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def restart_database(self, _process: object) -> None:
        stop_embedded(self.embedded)
        start_embedded(self.embedded)

    def crash_database(self, _process: object) -> None:
        postmaster = int((self.embedded.postgres_dir / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{postmaster}").exists())
        wait_until(lambda: starts(self.embedded))  # its children take a moment to notice, and hold on to its memory

    def pull_forward(self) -> None:
        """What is due later is due now, as often as need be."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "update ledger.due set next_attempt_at = now(), attempt_count = 0 where next_attempt_at > now()"
            )
            connection.execute(
                "update ledger.site_memories set breaker_until_at = now() where breaker_until_at > now()"
            )

    def held_locks(self) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
        assert row is not None
        return row[0]

    def rows(self) -> list[dict[str, str]]:
        with self.out.open(newline="") as file:
            return list(csv.DictReader(file))


def starts(embedded: Settings) -> bool:
    try:
        start_embedded(embedded)
    except CtPipelineError:
        return False
    return True


DOING: dict[str, Callable[[Chaos, subprocess.Popen[bytes]], None]] = {
    "SIGKILL": lambda _chaos, process: process.kill(),
    "SIGTERM": lambda _chaos, process: process.terminate(),
    "restart": Chaos.restart_database,
    "crash": Chaos.crash_database,
}
# A signal may come when the work is done, and a database be back before anybody has missed it.
EXIT_STATUSES = {"SIGKILL": {-9, 0}, "SIGTERM": {143, -15, 0}, "restart": {0, 1}, "crash": {0, 1}, "": {0}}


def test_chaos_ends_with_every_address_right_or_due(state_folder: Path, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    mishaps = [mishap for mishap, (times, _, _) in MISHAPS.items() for _ in range(times)]
    dice.shuffle(mishaps)
    with chaos_world(PLAN, tmp_path) as world:
        chaos = Chaos(world, state_folder, tmp_path)
        truth = world.plan.truth()
        for mishap in mishaps:
            status = chaos.live(mishap, dice.uniform(*MISHAPS[mishap][1:]))
            assert status in EXIT_STATUSES[chaos.lives[-1].mishap], chaos.said.read_text()
            if status == 0:
                assert wrong(chaos.rows(), truth) == []
            chaos.pull_forward()
        for _ in range(MOST_ROUNDS):
            assert chaos.live() == 0, chaos.said.read_text()
            assert wrong(chaos.rows(), truth) == []
            if all(is_mute(row["email"]) for row in chaos.rows() if row["status"] == "unknown"):
                break
            chaos.pull_forward()

        rows = chaos.rows()
        assert {row["email"] for row in rows} == truth.keys()
        assert [row["email"] for row in rows if row["status"] == "unknown" and not is_mute(row["email"])] == []
        assert chaos.held_locks() == 0
        assert Counter(life.mishap for life in chaos.lives if life.mishap).total() >= len(mishaps) - 3, "too few hit"
        repeated = asked_again(world.notes(), chaos.lives)
        tell(chaos, rows, repeated)
        assert [answer for answer in repeated if answer.is_kept] == []


def wrong(rows: list[dict[str, str]], truth: dict[str, Status]) -> list[dict[str, str]]:
    """Rows that are neither right nor honestly due."""
    return [row for row in rows if row["status"] != truth[row["email"]] and not is_honestly_due(row)]


def is_honestly_due(row: dict[str, str]) -> bool:
    return row["status"] == "unknown" and row["reason"] in TEMPORARY and bool(row["next_check_at"])


def is_mute(address: str) -> bool:
    return "@mute" in address


def tell(chaos: Chaos, rows: list[dict[str, str]], repeated: list[Answer]) -> None:
    noted = Counter(noted.what for noted in chaos.world.notes())
    print(
        f"seed {SEED}; mishaps: {Counter(life.mishap for life in chaos.lives)}; {noted['said']} questions in "
        f"{noted['begin']} sessions; verdicts: {Counter(row['status'] for row in rows)}; "
        f"{len(repeated)} answers were asked for again"
    )
