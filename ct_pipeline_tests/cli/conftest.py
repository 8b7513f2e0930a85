"""The command line as a user has it: its own database and state folder, pointed at a small sandbox."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner, Result

from ct_pipeline.cli import app
from ct_pipeline.sandbox.behaviours import Accepts, DomainDns, MailboxBehaviour
from ct_pipeline.sandbox.command_log import read_command_log
from ct_pipeline.sandbox.population import Inhabitants, Mailbox, MailDomain, MailHost, write_inhabitants
from ct_pipeline.sandbox.process import SandboxProcess
from ct_pipeline.settings import Settings

GREYLIST_SECONDS = 2
HOSTS = [
    MailHost("mx.grey.test", "greylists"),
    MailHost("mx.block.test", "blocks_at_recipient"),
    MailHost("mx.closed.test", "blocks_at_connect"),
    MailHost("mx.dead.test", "dead"),
    MailHost("mx.ascii.test", "ascii_only"),
    MailHost("mx.inner.test", "dead", address="10.0.0.1"),
    MailHost("outlook-com.olc.protection.outlook.com", style="outlook"),
    MailHost("mta5.am0.yahoodns.net", "accepts_all", style="yahoo"),
]
DOMAINS = [
    MailDomain("shop.test"),
    MailDomain("all.test", accepts=Accepts.EVERY_NAME),
    MailDomain("mailinator.com", accepts=Accepts.EVERY_NAME),
    MailDomain("xn--bcher-kva.test"),
    MailDomain("outlook.com", mail_hosts=("outlook-com.olc.protection.outlook.com",)),
    MailDomain("yahoo.com", mail_hosts=("mta5.am0.yahoodns.net",)),
    MailDomain("nullmx.test", DomainDns.NULL_MX),
    MailDomain("web.test", DomainDns.NO_MAIL_SERVICE),
    MailDomain("broken.test", DomainDns.SERVFAIL),
]
MAILBOXES = [
    Mailbox("ann@shop.test"),
    Mailbox("info@shop.test"),
    Mailbox("full@shop.test", MailboxBehaviour.FULL),
    # greylisting is remembered for the whole session: each test has a name of its own
    Mailbox("ann@grey.test"),
    Mailbox("bob@grey.test"),
    Mailbox("cid@grey.test"),
    Mailbox("ann@block.test"),
    Mailbox("ann@closed.test"),
    Mailbox("ann@dead.test"),
    Mailbox("ann@inner.test"),
    Mailbox("jörg@ascii.test"),
    Mailbox("ann@xn--bcher-kva.test"),
    Mailbox("ct-sandbox-0001@outlook.com"),
]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    folder = tmp_path_factory.mktemp("sandbox")
    write_inhabitants(Inhabitants(HOSTS, DOMAINS, MAILBOXES), folder / "inhabitants")
    log_path = folder / "commands.jsonl"
    with SandboxProcess(log_path=log_path, folder=folder / "inhabitants", greylist_seconds=GREYLIST_SECONDS) as process:
        yield process
    assert process.data_offences == 0


@dataclass
class CommandLine:
    """``ct-pipeline`` with its settings: called, in this process; or as a process of its own."""

    environment: dict[str, str]
    log_path: Path

    def __call__(self, *arguments: object, **settings: str | None) -> Result:
        """``settings`` are CT_ variables by name, on top of the sandbox's; None unsets one."""
        return CliRunner().invoke(app, [str(word) for word in arguments], env=self._environment(settings))

    def process(self, *arguments: object, **settings: str | None) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in self._environment(settings).items() if value is not None}
        command = [sys.executable, "-m", "ct_pipeline", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def asked(self, domain: str = "") -> list[str]:
        """The addresses that the mail hosts were asked about so far, made-up names left out."""
        known = {mailbox.address for mailbox in MAILBOXES}
        commands = [entry for entry in read_command_log(self.log_path) if entry.command == "RCPT"]
        return [entry.address for entry in commands if entry.address in known and entry.address.endswith(domain)]

    def _environment(self, settings: dict[str, str | None]) -> dict[str, str | None]:
        clean: dict[str, str | None] = dict(os.environ)
        clean |= {name: None for name in os.environ if name.startswith("CT_")}
        return clean | {"COLUMNS": "300"} | self.environment | settings


@pytest.fixture
def cli(sandbox: SandboxProcess, settings_for_tests: Settings) -> CommandLine:
    """Commands that share a fresh ledger."""
    assert settings_for_tests.database_url is not None
    own = {
        "CT_STATE_DIR": str(settings_for_tests.state_dir),
        "CT_DATABASE_URL": settings_for_tests.database_url.get_secret_value(),
    }
    return CommandLine(sandbox.environment | own, sandbox.log_path)


@pytest.fixture(scope="module")
def module_cli(sandbox: SandboxProcess, postgres_url: str) -> Iterator[CommandLine]:
    """Commands that share one ledger for all tests of a file; it has no tables yet."""
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_tests-"))
    name = sql.Identifier(folder.name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(name))
        own = {"CT_STATE_DIR": str(folder), "CT_DATABASE_URL": postgres_url.replace("/postgres?", f"/{folder.name}?")}
        yield CommandLine(sandbox.environment | own, sandbox.log_path)
        connection.execute(sql.SQL("drop database {} with (force)").format(name))
    shutil.rmtree(folder)


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """A state folder that an embedded database can live in: reachable for other users, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="ct_pipeline_tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
