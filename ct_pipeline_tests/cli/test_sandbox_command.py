"""``ct-pipeline sandbox``: its settings work as they are printed, and faults are told."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from ct_pipeline.sandbox.clevertap.remote import RemoteClevertap
from ct_pipeline_tests.cli.conftest import CommandLine


def test_the_printed_settings_point_the_pipeline_at_it(cli: CommandLine, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ct_pipeline", "sandbox", "--smtp-port", "0", "--dns", "127.77.0.9:0"]
    command += ["--profiles", "500", "--clevertap-port", "0"]
    command += ["--contacts", str(tmp_path / "contacts.csv"), "--log", str(tmp_path / "log.jsonl")]
    with subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed: dict[str, str | None] = {}
        try:
            for line in process.stdout:
                if line.startswith("sandbox ready"):
                    break
                name, _, value = line.removeprefix("export ").strip().partition("=")
                printed[name] = value.strip("'")
            result = cli("check", "ct-sandbox-0001@gmail.com", **printed)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stdout.read().startswith("sandbox ended: 1 sessions, ")
    assert printed["CT_PROJECT_ID"] == "SBX-777-4Z7Z"
    assert {"CT_PASSCODE", "CT_REGION", "CT_BASE_URL", "CT_TIMEZONE"} < set(printed)
    assert "ct-sandbox-0001@gmail.com  valid" in result.stdout
    assert (tmp_path / "contacts.csv").read_text().startswith("name,country,email\n")


def test_faults_are_told(cli: CommandLine, tmp_path: Path) -> None:
    wrong = cli("sandbox", "--dns", "banana")
    assert wrong.exit_code == 2
    assert "'banana' is not ip or ip:port, such as 127.77.0.1:5353" in wrong.stderr
    outside = cli("sandbox", "--dns", "192.0.2.1:53")
    assert outside.exit_code == 2
    assert "192.0.2.1 is no loopback address" in outside.stderr
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.77.0.9", 0))
        port = taken.getsockname()[1]
        busy = cli("sandbox", "--smtp-port", "0", "--dns", f"127.77.0.9:{port}", "--profiles", "0")
    assert busy.exit_code == 2
    assert f"--dns 127.77.0.9:{port}: " in busy.stderr
    assert "Choose another port" in busy.stderr
    nowhere = cli(
        "sandbox", "--profiles", "0", "--smtp-port", "0", "--dns", "127.77.0.9:0", "--log", tmp_path / "no" / "log"
    )
    assert (nowhere.exit_code, nowhere.stderr) == (2, f"{tmp_path / 'no' / 'log'}: No such file or directory\n")


def test_faults_of_the_account_are_told(cli: CommandLine, tmp_path: Path) -> None:
    ports = ("--smtp-port", "0", "--dns", "127.77.0.9:0", "--clevertap-port", "0")
    unknown = cli("sandbox", *ports, "--faults", "banana")
    assert (unknown.exit_code, "'banana' is none of none, mild, harsh" in unknown.stderr) == (2, True)
    shapeless = cli("sandbox", *ports, "--set", "banana")
    assert (shapeless.exit_code, "'banana' is not NAME=VALUE" in shapeless.stderr) == (2, True)
    misfit = cli("sandbox", *ports, "--set", "server_errors=7")
    assert (misfit.exit_code, misfit.stderr) == (2, "server_errors: Input should be less than or equal to 1\n")
    missing = cli("sandbox", *ports, "--profile-file", tmp_path / "none.csv")
    assert (missing.exit_code, missing.stderr) == (2, f"{tmp_path / 'none.csv'}: No such file or directory\n")


def test_own_profiles_faults_and_switches_reach_the_account(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("identity,email,Plan\nanna,anna@acme.test,Gold\n")
    command = [sys.executable, "-m", "ct_pipeline", "sandbox", "--smtp-port", "0", "--dns", "127.77.0.9:0"]
    command += ["--clevertap-port", "0", "--profile-file", str(tmp_path / "people.csv"), "--faults", "mild"]
    command += ["--set", "not_found=404", "--set", "count_polls=7", "--clevertap-log", str(tmp_path / "calls.jsonl")]
    with subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = line = ""
        try:
            for line in process.stdout:
                if line.startswith("export CT_BASE_URL="):
                    address = line.partition("=")[2].strip()
                if line.startswith("sandbox ready"):
                    break
            (anna,) = RemoteClevertap(address).state()
            settings = RemoteClevertap(address).set_faults()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "1 profiles, 1 of them with an email" in line
    assert (anna["identity"], anna["properties"]) == ("anna", {"Plan": "Gold"})
    assert (settings["not_found"], settings["count_polls"], settings["not_ready_fetches"]) == ("404", 7, 1)
    assert (tmp_path / "calls.jsonl").read_text() == ""
