"""What the demo found, against the truth that only the sandbox knows."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from ct_pipeline.sandbox.behaviours import Decidable
from ct_pipeline.sandbox.command_log import read_command_log
from ct_pipeline.sandbox.grading import Grade, grade
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.vocabulary import Status

if TYPE_CHECKING:
    from ct_pipeline.cli.demo_run import DemoOutcome

MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Graded:
    """One address of the sandbox, its verdict, and how the two compare."""

    truth: Mailbox
    status: str
    reason: str
    grade: Grade

    @property
    def is_open(self) -> bool:
        """Whether the truth can be found out and the verdict does not know it yet."""
        return self.truth.decidable is not Decidable.NO and self.status == Status.UNKNOWN


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the mail hosts have seen."""

    session_count: int
    rcpt_count: int
    data_offence_count: int


def grade_verdicts(verdicts: Mapping[str, tuple[str, str]], mailboxes: Sequence[Mailbox]) -> list[Graded]:
    """Every address of ``mailboxes`` with its verdict (status, reason); one that has none is wrong."""
    graded = []
    for mailbox in mailboxes:
        status, reason = verdicts.get(mailbox.address, ("missing", "missing"))
        graded.append(Graded(mailbox, status, reason, grade(mailbox, status, reason)))
    return graded


def read_traffic(command_log: Path) -> Traffic:
    """Counts from the mail hosts' own log."""
    sessions, rcpt_count, offence_count = set(), 0, 0
    for command in read_command_log(command_log):
        sessions.add((command.host, command.session))
        rcpt_count += command.command == "RCPT"
        offence_count += command.offence
    return Traffic(len(sessions), rcpt_count, offence_count)


def print_report(console: Console, graded: Sequence[Graded], traffic: Traffic) -> None:
    console.print(_confusion_table(graded))
    wrong = [entry for entry in graded if entry.grade is Grade.WRONG]
    late = [entry for entry in wrong if entry.is_open]
    claimed = [entry for entry in wrong if not entry.is_open]
    undecidable = [entry for entry in graded if entry.grade is Grade.UNDECIDABLE]
    if claimed:
        console.print(_fault_table("[bold red]Wrong[/bold red]", claimed))
    if late:
        console.print(_fault_table("[bold red]Not found out in time[/bold red]", late))
    if undecidable:
        console.print(_undecidable_table(undecidable))
    console.print(_numbers(graded, traffic))


def print_account(console: Console, outcome: "DemoOutcome", elapsed_seconds: float) -> None:
    """What the push and the undo did to the account, read from the simulator and not from the ledger."""
    pushed, left = outcome.pushed, outcome.after_undo
    table = _number_table("The account, as CleverTap holds it")
    table.add_row(f"{len(pushed.unsubscribed):,}", "addresses unsubscribed")
    table.add_row(f"{len(pushed.unsubscribed_though_alive):,}", "of them that should not have been")
    table.add_row(
        f"{len(pushed.still_subscribed_though_dead):,}",
        "dead ones left subscribed: domains without mail, or without anyone accepted, are believed a day later",
    )
    table.add_row(f"{pushed.profiles_with_new_properties:,}", "profiles with new properties")
    table.add_row(f"{pushed.made_profile_count:,}", "profiles made by a write that named nobody")
    names = " and ".join(str(batch.batch_id) for batch in outcome.undone)
    table.add_row(f"{len(pushed.unsubscribed - left.unsubscribed):,}", f"subscribed again by undoing batch {names}")
    restored = pushed.profiles_with_new_properties - left.profiles_with_new_properties
    table.add_row(f"{restored:,}", "profiles that have their old properties again")
    minutes, seconds = divmod(round(elapsed_seconds), 60)
    table.add_row(f"{minutes}:{seconds:02d}", "minutes, from the start of the database")
    console.print()
    console.print(table)


def _confusion_table(graded: Sequence[Graded]) -> Table:
    table = Table(title="Truth, and verdicts beside it", title_justify="left")
    table.add_column("truth  \\  verdict")
    counts = Counter((entry.truth.truth_status, entry.status) for entry in graded)
    statuses = [*Status, *sorted({status for _, status in counts} - set(Status))]
    for status in statuses:
        table.add_column(status, justify="right")
    for truth in Status:
        cells = []
        for status in statuses:
            count = counts[truth, status]
            style = "green" if truth == status else "red"
            cells.append(f"[{style}]{count}[/{style}]" if count else "·")
        table.add_row(truth, *cells)
    return table


def _fault_table(title: str, faults: Sequence[Graded]) -> Table:
    table = Table(title=f"{title}: {len(faults)} addresses", title_justify="left")
    for column in ("truth", "verdict"):
        table.add_column(column)
    table.add_column("addresses", justify="right")
    table.add_column("one of them", overflow="fold")
    groups: dict[tuple[str, str], list[Graded]] = defaultdict(list)
    for fault in faults:
        truth = f"{fault.truth.truth_status}, {fault.truth.truth_reason}"
        groups[truth, f"{fault.status}, {fault.reason}"].append(fault)
    for group, members in sorted(groups.items(), key=lambda item: -len(item[1]))[:MOST_SHOWN]:
        table.add_row(*group, str(len(members)), members[0].truth.address)
    return table


def _undecidable_table(undecidable: Sequence[Graded]) -> Table:
    table = Table(title="Nobody can tell, so: unknown", title_justify="left")
    table.add_column("reason")
    table.add_column("addresses", justify="right")
    for reason, count in Counter(entry.reason for entry in undecidable).most_common():
        table.add_row(reason, str(count))
    return table


def _numbers(graded: Sequence[Graded], traffic: Traffic) -> Table:
    grades = Counter(entry.grade for entry in graded)
    table = _number_table("The verdicts")
    table.add_row(f"{len(graded):,}", "addresses of the project")
    table.add_row(f"{grades[Grade.RIGHT]:,}", "judged right")
    table.add_row(f"{grades[Grade.WRONG]:,}", "judged wrong")
    table.add_row(f"{grades[Grade.UNDECIDABLE]:,}", "that nobody can tell, judged unknown")
    table.add_row(f"{traffic.session_count:,}", f"SMTP sessions: {traffic.session_count / len(graded):.2f} an address")
    table.add_row(f"{traffic.rcpt_count:,}", f"RCPT commands: {traffic.rcpt_count / len(graded):.2f} an address")
    table.add_row(f"{traffic.data_offence_count:,}", "attempts to send a message")
    return table


def _number_table(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right", style="bold")
    table.add_column()
    return table
