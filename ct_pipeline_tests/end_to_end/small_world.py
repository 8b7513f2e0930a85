"""A few plain mail hosts that take their time, in a process of their own, and the record of what they were asked."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ct_pipeline.sandbox.behaviours import Accepts, MailboxBehaviour
from ct_pipeline.sandbox.command_log import LoggedCommand, read_command_log
from ct_pipeline.sandbox.population import Inhabitants, Mailbox, MailDomain, write_inhabitants
from ct_pipeline.sandbox.process import SandboxProcess
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.vocabulary import Status


@dataclass
class SmallWorld:
    """``truth`` is the status of each address; the log holds every command with the time of its reply."""

    truth: dict[str, Status]
    environment: dict[str, str]
    log_path: Path

    def settings(self, own: Settings, **overrides: object) -> Settings:
        """``own`` state folder and database, pointed at this world."""
        named = {name.removeprefix("CT_").lower(): value for name, value in self.environment.items()}
        return load_settings(**{"state_dir": own.state_dir, "database_url": own.database_url, **named, **overrides})

    def write_contacts(self, path: Path) -> Path:
        path.write_text("".join(f"{line}\n" for line in ("email", *self.truth)))
        return path

    def commands(self) -> list[LoggedCommand]:
        return list(read_command_log(self.log_path))

    def news(self) -> "News":
        """What the hosts are asked from now on."""
        return News(self.log_path, self.log_path.stat().st_size)

    def answers(self) -> dict[str, list[LoggedCommand]]:
        """The definitive answers (2xx and 5xx) to each address of the list, in their order."""
        answers: dict[str, list[LoggedCommand]] = defaultdict(list)
        for command in self.commands():
            if command.command == "RCPT" and command.address in self.truth and command.code // 100 in (2, 5):
                answers[command.address].append(command)
        return answers


@dataclass
class News:
    """The end of a log that is still being written, counted cheaply enough to poll."""

    log_path: Path
    read_bytes: int
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, command: str) -> int:
        with self.log_path.open("rb") as log:
            log.seek(self.read_bytes)
            lines, newline, _ = log.read().rpartition(b"\n")
        self.read_bytes += len(lines + newline)
        self.counts.update(json.loads(line)["command"] for line in lines.splitlines())
        return self.counts[command]


@contextmanager
def small_world(
    folder: Path, *, site_count: int, mailbox_count: int, reply_seconds: float, has_catch_all: bool = False
) -> Iterator[SmallWorld]:
    """``site_count`` sites of two domains and ``mailbox_count`` mailboxes each, every fifth one missing.

    So rare, ten of them hardly ever come in a row by chance, after which an accepted address would be asked again.
    """
    domains, mailboxes = [], []
    for site in range(site_count):
        names = [f"a{site}.test", f"b{site}.test"]
        domains += [MailDomain(name, mail_hosts=(f"mx.site{site}.test",)) for name in names]
        mailboxes += [_mailbox(number, names[number * 2 // mailbox_count]) for number in range(mailbox_count)]
    if has_catch_all:
        domains.append(MailDomain("all.test", mail_hosts=("mx.site0.test",), accepts=Accepts.EVERY_NAME))
        mailboxes += [Mailbox(f"user{n}@all.test", truth_status=Status.CATCH_ALL) for n in range(20)]
    write_inhabitants(Inhabitants([], domains, mailboxes), folder / "inhabitants")
    log_path = folder / "commands.jsonl"
    with SandboxProcess(log_path=log_path, folder=folder / "inhabitants", reply_seconds=reply_seconds) as sandbox:
        yield SmallWorld({box.address: box.truth_status for box in mailboxes}, sandbox.environment, log_path)


def time_of(command: LoggedCommand) -> datetime:
    return datetime.fromisoformat(command.at)


def sessions_without_quit(commands: Collection[LoggedCommand]) -> set[int]:
    """Sessions that asked about somebody and were not ended as they should."""
    asked = {command.session for command in commands if command.command == "RCPT"}
    return asked - {command.session for command in commands if command.command == "QUIT"}


def _mailbox(number: int, domain: str) -> Mailbox:
    if number % 5 == 1:
        return Mailbox(f"user{number}@{domain}", MailboxBehaviour.MISSING, Status.INVALID)
    return Mailbox(f"user{number}@{domain}")
