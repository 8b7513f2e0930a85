"""What the demo found, against the truth that only the sandbox knows."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from ct_pipeline.sandbox.command_log import read_command_log
from ct_pipeline.sandbox.grading import Grade, grade
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.vocabulary import Status

MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Graded:
    """One address of the sandbox, its verdict in the list file, and how the two compare."""

    truth: Mailbox
    status: str
    reason: str
    grade: Grade

    @property
    def is_open(self) -> bool:
        """Whether the truth can be found out and the verdict does not know it yet."""
        return self.truth.decidable and self.status == Status.UNKNOWN


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the mail hosts have seen."""

    session_count: int
    rcpt_count: int
    data_offence_count: int


def grade_list(list_file: Path, population: Sequence[Mailbox]) -> list[Graded]:
    """Every address of ``population`` with the verdict that the list file gives it; one that is missing is wrong."""
    rows = pl.read_csv(list_file, infer_schema=False)
    # The contact file has a column `email` of its own, so the normalized address stands beside it.
    address = "ct_email" if "ct_email" in rows.columns else "email"
    verdicts = {row[0]: (row[1], row[2]) for row in rows.select(address, "status", "reason").iter_rows()}
    graded = []
    for mailbox in population:
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


def print_report(console: Console, graded: Sequence[Graded], traffic: Traffic, elapsed_seconds: float) -> None:
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
    console.print(_numbers(graded, traffic, elapsed_seconds))


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


def _numbers(graded: Sequence[Graded], traffic: Traffic, elapsed_seconds: float) -> Table:
    grades = Counter(entry.grade for entry in graded)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right", style="bold")
    table.add_column()
    minutes, seconds = divmod(round(elapsed_seconds), 60)
    table.add_row(str(len(graded)), "addresses in the sandbox")
    table.add_row(str(grades[Grade.RIGHT]), "judged right")
    table.add_row(str(grades[Grade.WRONG]), "judged wrong")
    table.add_row(str(grades[Grade.UNDECIDABLE]), "that nobody can tell, judged unknown")
    table.add_row(str(traffic.session_count), f"SMTP sessions: {traffic.session_count / len(graded):.2f} an address")
    table.add_row(str(traffic.rcpt_count), f"RCPT commands: {traffic.rcpt_count / len(graded):.2f} an address")
    table.add_row(str(traffic.data_offence_count), "attempts to send a message")
    table.add_row(f"{minutes}:{seconds:02d}", "minutes, from the start of the database")
    return table
