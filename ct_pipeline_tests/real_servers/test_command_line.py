"""``ct-pipeline verify`` on a CSV, as a person runs it, against real mail servers and a database it starts itself."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ct_pipeline_tests.real_servers.real_server import RealServer, public_folder


@pytest.fixture
def command_environment(pipeline_environment: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CT_")}
    return inherited | pipeline_environment


def test_verify_writes_the_list_with_verdicts(
    command_environment: dict[str, str], postfix: RealServer, exim: RealServer
) -> None:
    addresses = [address for server in (postfix, exim) for address in server.live_addresses + server.dead_addresses]
    live = {*postfix.live_addresses, *exim.live_addresses}
    with public_folder() as folder:
        source, out = folder / "contacts.csv", folder / "verified.csv"
        with source.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("Name", "E-mail"))
            rows.writerows((f"person {number}", address) for number, address in enumerate(addresses))
        run = ct_pipeline("verify", source, "-o", out, environment=command_environment, state=folder / "state")
        assert run.returncode == 0, run.stdout
        with out.open(newline="") as file:
            verdicts = list(csv.DictReader(file))
    assert [row["E-mail"] for row in verdicts] == addresses
    assert [row["Name"] for row in verdicts] == [f"person {number}" for number in range(len(addresses))]
    assert [row["status"] for row in verdicts] == ["valid" if email in live else "invalid" for email in addresses]


def test_check_tells_one_address_in_words(command_environment: dict[str, str], postfix: RealServer) -> None:
    with public_folder() as folder:
        dead = postfix.dead_addresses[0]
        run = ct_pipeline("check", dead, environment=command_environment, state=folder / "state")
    assert run.returncode == 0, run.stdout
    assert dead in run.stdout
    assert "invalid" in run.stdout.lower()
    assert "5.1.1" in run.stdout


def ct_pipeline(*arguments: str | Path, environment: dict[str, str], state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from ct_pipeline.cli import app; app()", *map(str, arguments)],
        env=environment | {"CT_STATE_DIR": str(state), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=180,
    )
