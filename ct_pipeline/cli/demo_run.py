"""The demo's steps, each a Dagster job as a server would run it: pull, verify, judge, plan, approve, push, undo."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from ct_pipeline.cli.demo_account import AccountChange, ProfileState, account_change
from ct_pipeline.cli.demo_report import Graded, Traffic, grade_verdicts, read_traffic
from ct_pipeline.cli.plan import show_plan
from ct_pipeline.cli.undo import show_undo
from ct_pipeline.orchestration.instance import dagster_instance
from ct_pipeline.orchestration.job_runs import JobRuns
from ct_pipeline.orchestration.partitions import covering_range
from ct_pipeline.sandbox.grading import Grade
from ct_pipeline.sandbox.internet import sandbox_mailboxes
from ct_pipeline.sandbox.population import Mailbox
from ct_pipeline.sandbox.process import SandboxProcess
from ct_pipeline.sandbox.truth import truth_on_list
from ct_pipeline.settings import Settings
from ct_pipeline.stages.plan import plan_report
from ct_pipeline.stages.undo import undo_batch
from ct_pipeline.storage.batches import batches
from ct_pipeline.storage.due import lanes_due, next_due_among
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.plans import latest_plan
from ct_pipeline.storage.verdicts import verdict_words
from ct_pipeline.to_clevertap.changes import Batch
from ct_pipeline.vocabulary import BatchState, ChangeKind

AUDIENCE = "everyone"
APPROVER = "the demo"
GROUNDS = "every address of the sandbox has a known truth"
SOONEST_SECONDS = 2.0  # addresses of one host fall due within moments of each other: wait for their company


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demo found out and did, with the truth beside it."""

    graded: list[Graded]
    traffic: Traffic
    pushed: AccountChange  # from before the push until after it
    undone: list[Batch]
    after_undo: AccountChange  # from before the push until after the undo

    @property
    def is_right(self) -> bool:
        """Nobody was judged wrongly, nobody alive was unsubscribed, and the undo restored what it said."""
        return (
            all(entry.grade is not Grade.WRONG for entry in self.graded)
            and not self.pushed.unsubscribed_though_alive
            and not self.pushed.made_profile_count
            and not self.after_undo.unsubscribed - self.pushed.unsubscribed
        )


class DemoRun:
    """Runs the demo on an empty ledger and a sandbox with a CleverTap account."""

    def __init__(self, settings: Settings, sandbox: SandboxProcess, profile_count: int, console: Console) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._console = console
        self._started = time.monotonic()
        self._mailboxes = sandbox_mailboxes(profile_count)

    def run(self, patience_seconds: float) -> DemoOutcome:
        """All steps; ``patience_seconds`` is what the hosts that want to be asked again later are given in all."""
        before = self._sandbox.clevertap.state()
        with dagster_instance(self._settings) as instance:
            runs = JobRuns(instance)
            self._tell(f"job [bold]pull_audience[/bold]: the profiles of the audience '{AUDIENCE}'")
            runs.pull_audience(AUDIENCE)
            listed = _shown_in_exports(before)
            self._mailboxes = truth_on_list(self._mailboxes, listed)
            asked = [mailbox for mailbox in self._mailboxes if mailbox.address in listed]
            graded = self._verify(runs, asked, time.monotonic() + patience_seconds)
            traffic = read_traffic(self._sandbox.log_path)
            self._plan(runs)
            self._tell("job [bold]push[/bold], told to apply: what is owed is sent, with a receipt for every change")
            runs.push(apply=True)
            pushed = self._change_since(before)
            undone = self._undo(runs)
            return DemoOutcome(graded, traffic, pushed, undone, self._change_since(before))

    def _verify(self, runs: JobRuns, mailboxes: Sequence[Mailbox], deadline: float) -> list[Graded]:
        """Until nothing that can be found out is open, or ``deadline`` (monotonic) comes."""
        lane_range = None
        what = "every lane"
        while True:
            self._tell(f"job [bold]verify[/bold]: {what}")
            runs.verify(lane_range)
            runs.judge()
            graded = self._grade(mailboxes)
            left = [entry.truth.address for entry in graded if entry.is_open]
            judged_count = len(graded) - len(left)
            self._tell(f"job [bold]judge[/bold]: {judged_count:,} addresses judged, {len(left):,} to be asked again")
            if not left or not self._wait_until_due(left, deadline):
                return graded
            lane_range, what = self._due_lanes(), "what is due again"

    def _grade(self, mailboxes: Sequence[Mailbox]) -> list[Graded]:
        with open_ledger(self._settings) as conn:
            verdicts = verdict_words(conn, [mailbox.address for mailbox in mailboxes])
        return grade_verdicts(verdicts, mailboxes)

    def _plan(self, runs: JobRuns) -> None:
        self._tell("job [bold]plan[/bold]: what CleverTap should be told; nothing is sent\n")
        runs.plan()
        with open_ledger(self._settings) as conn:
            plan = latest_plan(conn, self._settings.project_id)
        assert plan is not None, "the job has just written one"
        show_plan(plan_report(self._settings, plan.plan_id), self._console)
        self._console.print()
        held = [batch.batch_id for batch in self._batches(BatchState.HELD)]
        if held:
            self._tell("the brake is set low here; a held batch sends nothing, so someone has to look and say so")
            self._tell(f"job [bold]approve_batches[/bold], by '{APPROVER}', because '{GROUNDS}'")
            runs.approve(held, APPROVER, GROUNDS)

    def _undo(self, runs: JobRuns) -> list[Batch]:
        """Takes back one batch of either kind."""
        done = self._batches(BatchState.DONE)
        firsts = [
            min((batch for batch in done if batch.kind is kind), key=lambda batch: batch.batch_id, default=None)
            for kind in (ChangeKind.UNSUBSCRIBE, ChangeKind.SET_PROPERTIES)
        ]
        chosen = [batch for batch in firsts if batch is not None]
        for batch in chosen:
            self._tell(f"batch {batch.batch_id} is to be taken back: who would be restored?\n")
            show_undo(undo_batch(self._settings, batch.batch_id, include_unknown=True, apply=False), self._console)
            self._console.print()
            self._tell("job [bold]undo_batch[/bold], told to apply")
            runs.undo([batch.batch_id], apply=True, include_unknown=True, by=APPROVER)
        return chosen

    def _batches(self, state: BatchState) -> list[Batch]:
        with open_ledger(self._settings) as conn:
            return batches(conn, self._settings.project_id, states=[state])

    def _change_since(self, before: Sequence[ProfileState]) -> AccountChange:
        return account_change(before, self._sandbox.clevertap.state(), self._mailboxes)

    def _wait_until_due(self, addresses: Sequence[str], deadline: float) -> bool:
        """Sleep until one of ``addresses`` is due; False when none is, or not before ``deadline`` (monotonic).

        Others may be due sooner, but what can be found out of them is known: nobody waits for those.
        """
        with open_ledger(self._settings) as conn:
            next_at = next_due_among(conn, addresses)
        if next_at is None:
            return False
        wait_seconds = max((next_at - datetime.now(UTC)).total_seconds(), 0) + SOONEST_SECONDS
        if time.monotonic() + wait_seconds > deadline:
            return False
        self._tell(f"waiting {wait_seconds:.0f} s for hosts that said: try again later")
        time.sleep(wait_seconds)
        return True

    def _due_lanes(self) -> tuple[str, str] | None:
        with open_ledger(self._settings) as conn:
            return covering_range(set(lanes_due(conn, datetime.now(UTC))))

    def _tell(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        self._console.print(f"[dim]{minutes}:{seconds:02d}[/dim]  {text}")


def _shown_in_exports(state: Sequence[ProfileState]) -> set[str]:
    """The mailboxes of those profiles that an export shows: the others have never raised an event."""
    return {profile["mailbox"] for profile in state if profile["events"] and profile["mailbox"]}
