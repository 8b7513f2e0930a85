"""What `verify` shows while it works: a bar on a terminal, a line now and then in a log."""

import contextlib
import threading
import time
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ct_pipeline.errors import LedgerUnavailableError
from ct_pipeline.settings import Settings

JUDGE_EVERY_SECONDS = 2.0
JUDGE_SHARE = 0.1  # of the time at most: counting the verdicts of a long list takes the database seconds
LOG_EVERY_SECONDS = 15.0


class ProgressDisplay:
    """Progress of one round over a pull, or over everything that is due.

    A second thread judges what has come in, so the counts are real verdicts.

    ::

        with ProgressDisplay(settings, pull_id, console) as display:
            display.looking_up()       # then display.looked_up(n), as often as it likes
            display.verifying()        # then display.verified(n)
    """

    def __init__(self, settings: Settings, pull_id: int | None, console: Console) -> None:
        self._settings = settings
        self._pull_id = pull_id
        self._console = console
        self._bar = _Bar(console)
        self._ended = threading.Event()
        self._judge = threading.Thread(target=self._judge_regularly, name="judge", daemon=True)
        self._logged_at = time.monotonic()

    def __enter__(self) -> "ProgressDisplay":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, error_class: object, *_exc: object) -> None:
        self._ended.set()
        if self._judge.is_alive():
            self._judge.join()
        try:
            # the error that brought us here says more than the next one of the same database
            with contextlib.suppress(LedgerUnavailableError) if error_class else contextlib.nullcontext():
                self._judge_once()
        finally:
            if self._console.is_terminal:
                self._bar.stop()

    def looking_up(self) -> None:
        """Domains are looked up from now on."""
        from ct_pipeline.storage.domain_facts import count_domains_to_look_up
        from ct_pipeline.storage.ledger import open_ledger

        with open_ledger(self._settings) as conn:
            count = count_domains_to_look_up(conn, datetime.now(UTC), self._pull_id)
        self._begin("looking up domains", count)

    def looked_up(self, count: int) -> None:
        self._bar.advance_by(count)

    def verifying(self) -> None:
        """Mail hosts are asked from now on."""
        from ct_pipeline.storage.due import lanes_due
        from ct_pipeline.storage.ledger import open_ledger

        with open_ledger(self._settings) as conn:
            due = lanes_due(conn, datetime.now(UTC), self._pull_id)
        self._begin("verifying", sum(due.values()))
        self._judge.start()

    def verified(self, count: int) -> None:
        self._bar.advance_by(count)
        if not self._console.is_terminal and time.monotonic() - self._logged_at > LOG_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            self._console.print(self._bar.as_line(), soft_wrap=True)

    def _begin(self, what: str, total: int) -> None:
        if total:
            self._bar.begin(what, total)
        if total and not self._console.is_terminal:
            self._console.print(f"{what}: {total:,}")

    def _judge_regularly(self) -> None:
        pause = JUDGE_EVERY_SECONDS
        while not self._ended.wait(pause):
            started = time.monotonic()
            with contextlib.suppress(LedgerUnavailableError):  # the last round, which is not here, says so
                self._judge_once()
            pause = max(JUDGE_EVERY_SECONDS, (time.monotonic() - started) / JUDGE_SHARE)

    def _judge_once(self) -> None:
        from ct_pipeline.stages.judge import judge_unjudged
        from ct_pipeline.storage.ledger import open_ledger
        from ct_pipeline.storage.verdicts import reason_counts, verdict_counts
        from ct_pipeline.vocabulary import Reason, Status

        judge_unjudged(self._settings)
        with open_ledger(self._settings) as conn:
            counts = verdict_counts(conn, self._pull_id)
            open_count = reason_counts(conn, self._pull_id, Status.UNKNOWN).get(Reason.NOT_ASKED_YET, 0)
        counts[Status.UNKNOWN] -= open_count
        shown = [f"{status} {count:,}" for status, count in counts.items()]
        self._bar.show_counts(" · ".join([*shown, f"not asked yet {open_count:,}"] if open_count else shown))


class _Bar(Progress):
    """One task, with the counts by status on a line of their own."""

    def __init__(self, console: Console) -> None:
        self._counts = ""  # before the base class, which renders while it is being made
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            _Done(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            expand=True,
            transient=True,
        )
        self._only = self.add_task("starting", total=None)

    def begin(self, what: str, total: int) -> None:
        self.reset(self._only, description=what, total=total, completed=0)

    def advance_by(self, count: int) -> None:
        self.advance(self._only, count)
        task = self.tasks[0]
        if task.total is not None and task.completed > task.total:  # some fell due meanwhile
            self.update(self._only, total=task.completed)

    def show_counts(self, counts: str) -> None:
        self._counts = counts

    def get_renderable(self) -> RenderableType:
        return Group(*self.get_renderables(), Text(self._counts, style="dim"))

    def as_line(self) -> str:
        task = self.tasks[0]
        left = f", {task.time_remaining:,.0f} s left" if task.time_remaining is not None else ""
        counts = f": {self._counts}" if self._counts else ""
        return f"{task.description} {_done(task)}, {_rate(task)}{left}{counts}"


class _Done(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_done(task))


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_rate(task))


def _done(task: Task) -> str:
    total = "?" if task.total is None else f"{task.total:,.0f}"
    return f"{task.completed:,.0f} of {total}"


def _rate(task: Task) -> str:
    speed = task.finished_speed or task.speed
    return f"{speed:,.0f}/s" if speed else "0/s"
