"""The sandbox as a process: ready line, settings, own folders, end."""

import os
import select
import signal
import smtplib
import subprocess
import sys

import httpx
import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.sandbox.internet import Sandbox, sandbox_mailboxes
from ct_pipeline.sandbox.population import Inhabitants, Mailbox, MailDomain, MailHost, write_inhabitants
from ct_pipeline.sandbox.process import SandboxProcess
from ct_pipeline.settings import load_settings


@pytest.fixture
def tiny(tmp_path):
    folder = tmp_path / "tiny"
    host = MailHost("mx.acme.test", address="127.77.9.9")
    write_inhabitants(Inhabitants([host], [MailDomain("acme.test")], [Mailbox("anna@acme.test")]), folder)
    return folder


def test_its_environment_is_one_that_the_settings_accept(tiny, tmp_path, monkeypatch):
    with SandboxProcess(log_path=tmp_path / "log.jsonl", folder=tiny) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        settings = load_settings()
        with smtplib.SMTP("127.77.9.9", settings.smtp_port, timeout=10) as client:
            client.helo(settings.helo_name)
            client.mail(settings.mail_from)
            assert client.rcpt("anna@acme.test")[0] == 250
            assert client.docmd("DATA")[0] == 554
        assert sandbox.data_offences == 1
    assert settings.nameservers[0].startswith("127.77.0.1:")
    assert settings.connect_timeout_seconds == 3


def test_it_ends_with_the_block_and_frees_its_ports(tiny, tmp_path):
    with SandboxProcess(log_path=tmp_path / "log.jsonl", folder=tiny) as sandbox:
        port, pid = int(sandbox.environment["CT_SMTP_PORT"]), sandbox.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.77.9.9", port, timeout=10)


def test_it_ends_when_the_program_that_started_it_is_killed(tiny, tmp_path):
    starts = (
        "import sys, time, pathlib; from ct_pipeline.sandbox.process import SandboxProcess\n"
        "sandbox = SandboxProcess(log_path=pathlib.Path(sys.argv[1]), folder=pathlib.Path(sys.argv[2])).start()\n"
        "print(sandbox.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", starts, str(tmp_path / "log.jsonl"), str(tiny)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        ended = os.pidfd_open(pid)
        starter.send_signal(signal.SIGKILL)
    try:
        assert wait_readable(ended, seconds=20), "the sandbox outlived its starter"
    finally:
        os.close(ended)


def test_a_taken_port_is_told_to_the_caller(tiny, tmp_path):
    with Sandbox(folder=tiny, smtp_port=0, dns_port=0).run_in_thread() as first:
        process = SandboxProcess(log_path=tmp_path / "log.jsonl", folder=tiny, smtp_port=first.smtp_port)
        with pytest.raises(SettingsError, match=f"--smtp-port {first.smtp_port}"):
            process.start()


def test_the_command_ends_on_interrupt_with_a_summary(tiny):
    command = [
        sys.executable,
        "-m",
        "ct_pipeline.sandbox",
        "--folder",
        str(tiny),
        "--smtp-port",
        "0",
        "--profiles",
        "0",
    ]
    with subprocess.Popen([*command, "--dns", "127.77.0.1:0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("sandbox ready"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert rest == "sandbox ended: 0 sessions, 0 recipients asked, 0 attempts to send a message\n"
    assert process.returncode == 0


def wait_readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_a_clevertap_account_runs_beside_the_mail_world(tiny, tmp_path, monkeypatch):
    profiles = tmp_path / "profiles.json"
    profiles.write_text('[{"identity": "cust-1", "email": "anna@acme.test", "events": {"App Launched": [1790000000]}}]')
    with SandboxProcess(
        log_path=tmp_path / "log.jsonl",
        folder=tiny,
        profile_file=profiles,
        clevertap_log_path=tmp_path / "calls.jsonl",
        settings={"not_found": "404", "wrong_passcode_text": "no"},
    ) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        settings = load_settings()
        assert settings.passcode is not None
        headers = {
            "X-CleverTap-Account-Id": settings.project_id,
            "X-CleverTap-Passcode": settings.passcode.get_secret_value(),
        }
        with httpx.Client(base_url=settings.base_url, headers=headers) as client:
            assert client.get("/1/profile.json?identity=cust-1").json()["record"]["email"] == "anna@acme.test"
            assert client.get("/1/profile.json?identity=cust-2").status_code == 404
        assert sandbox.clevertap.opt_out(identity="cust-1") == 1
        assert sandbox.clevertap.state()[0]["is_reachable"] is False
        assert [request.status for request in sandbox.clevertap.requests] == [200, 404]
    assert settings.timezone == "Asia/Kolkata"
    assert len((tmp_path / "calls.jsonl").read_text().splitlines()) == 2


def test_profiles_of_the_population_and_of_its_crowd(tiny, tmp_path):
    with SandboxProcess(log_path=tmp_path / "log.jsonl", folder=tiny, profile_count=300, seed=2) as sandbox:
        mailboxes = {profile["mailbox"] for profile in sandbox.clevertap.state()} - {None}
    assert mailboxes <= {mailbox.address for mailbox in sandbox_mailboxes(300, tiny, seed=2)}
    assert len(mailboxes) > 200


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"server_errors": 7}, "server_errors: Input should be less than or equal to 1"),
        ({"banana": 1}, "banana: no fault and no switch of the simulator"),
    ],
)
def test_settings_that_do_not_fit_are_told(tiny, tmp_path, settings, fault):
    process = SandboxProcess(log_path=tmp_path / "log.jsonl", folder=tiny, profile_count=5, settings=settings)
    with pytest.raises(SettingsError, match=fault):
        process.start()


def test_a_taken_port_of_the_account_is_told(tiny, tmp_path):
    with Sandbox(folder=tiny, smtp_port=0, dns_port=0, profile_count=5).run_in_thread() as first:
        port = int(first.clevertap.base_url.rpartition(":")[2])
        process = SandboxProcess(log_path=tmp_path / "log", folder=tiny, profile_count=5, clevertap_port=port)
        with pytest.raises(SettingsError, match=f"--clevertap-port {port}"):
            process.start()
