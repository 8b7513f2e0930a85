"""Where everything stands, from pulls to receipts, and what a user does next. Asks only the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from ct_pipeline.settings import Settings
from ct_pipeline.storage.backlog import due_backlog
from ct_pipeline.storage.batches import batch, batches
from ct_pipeline.storage.changes import doubtful_batch
from ct_pipeline.storage.costs import SiteCost, TotalCost, busiest_sites, what_verifying_cost
from ct_pipeline.storage.due import DueAgain, due_again, lanes_due
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.plans import latest_plan
from ct_pipeline.storage.push_lock import is_pushing
from ct_pipeline.storage.site_memory import OpenBreaker, open_breakers
from ct_pipeline.storage.standing import (
    BegunPull,
    LastPull,
    ReceiptCount,
    begun_pulls,
    domains_never_looked_up,
    judged_since,
    last_pulls,
    profile_counts,
    receipt_counts,
)
from ct_pipeline.storage.verdicts import unjudged_backlog, verdict_counts
from ct_pipeline.to_clevertap.changes import Batch
from ct_pipeline.to_clevertap.preview import batch_rows
from ct_pipeline.verification.lane_summary import WaitingCount
from ct_pipeline.verification.unwelcome import what_to_do
from ct_pipeline.vocabulary import BatchState, ChangeKind, ExportMode
from ct_pipeline.vocabulary import Status as VerdictStatus

PULLS_SHOWN = 10
SITES_SHOWN = 3
DONE_BATCHES_SHOWN = 50  # of unsubscribes and of properties each: an undo needs their numbers
OPEN_STATES = (BatchState.PLANNED, BatchState.HELD, BatchState.APPROVED, BatchState.SENDING)


@dataclass(slots=True)
class Status:
    """Everything that a user asks for; ``next_steps`` are sentences, the most urgent first."""

    project: str  # empty: no CleverTap project is set
    applies: bool  # whether a push sends without being told to
    pulls: list[LastPull] = field(default_factory=list[LastPull])
    begun_pulls: list[BegunPull] = field(default_factory=list[BegunPull])
    profile_count: int = 0
    with_email_count: int = 0
    statuses: dict[VerdictStatus, int] = field(default_factory=dict[VerdictStatus, int])
    due_now_count: int = 0
    due: DueAgain | None = None
    waiting: list[WaitingCount] = field(default_factory=list[WaitingCount])  # the most urgent first
    breakers: list[OpenBreaker] = field(default_factory=list[OpenBreaker])  # those that most wait for first
    cost: TotalCost | None = None
    busiest_sites: list[SiteCost] = field(default_factory=list[SiteCost])
    unknown_domain_count: int = 0  # never looked up
    unjudged_count: int = 0
    planned_at: datetime | None = None  # of the last plan
    is_plan_stale: bool = False  # verdicts have come since
    open_batches: list[Batch] = field(default_factory=list[Batch])
    done_batches: list[Batch] = field(default_factory=list[Batch])  # the last few, the newest last
    receipts: list[ReceiptCount] = field(default_factory=list[ReceiptCount])
    is_pushing: bool = False
    doubtful_batch: Batch | None = None  # whose properties were not found in CleverTap; ``read_back`` tells
    next_steps: list[str] = field(default_factory=list[str])

    def batches_in(self, *states: BatchState) -> list[Batch]:
        """The open batches in these states."""
        return [one for one in self.open_batches if one.state in states]


def status(settings: Settings) -> Status:
    """What the ledger knows now.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    now = datetime.now(UTC)
    project = settings.project_id
    found = Status(project, settings.export_mode is ExportMode.APPLY)
    with open_ledger(settings) as conn:
        found.pulls = last_pulls(conn, project, PULLS_SHOWN)
        found.statuses = verdict_counts(conn)
        found.due = due_again(conn, None, now)
        found.due_now_count = sum(lanes_due(conn, now).values())
        found.waiting = due_backlog(conn)
        found.breakers = open_breakers(conn, now)
        found.cost = what_verifying_cost(conn)
        found.busiest_sites = busiest_sites(conn, SITES_SHOWN) if found.cost.session_count else []
        found.unknown_domain_count = domains_never_looked_up(conn)
        found.unjudged_count = unjudged_backlog(conn).count
        if project:
            # One that was refused at once, such as for a wrong passcode, has nothing to go on from.
            found.begun_pulls = [begun for begun in begun_pulls(conn, project) if begun.record_count]
            found.profile_count, found.with_email_count = profile_counts(conn, project)
            plan = latest_plan(conn, project)
            if plan is not None:
                found.planned_at = plan.planned_at
                found.is_plan_stale = judged_since(conn, plan.planned_at)
            found.open_batches = batches(conn, project, OPEN_STATES)
            found.done_batches = _done_batches(conn, project)
            found.receipts = receipt_counts(conn, project)
            found.is_pushing = is_pushing(conn, project)
            doubtful_id = doubtful_batch(conn, project)
            found.doubtful_batch = batch(conn, doubtful_id) if doubtful_id is not None else None
    found.next_steps = list(_next_steps(found))
    return found


def _done_batches(conn: psycopg.Connection, project: str) -> list[Batch]:
    both = (ChangeKind.UNSUBSCRIBE, ChangeKind.RESUBSCRIBE), (ChangeKind.SET_PROPERTIES,)
    found = [batches(conn, project, [BatchState.DONE], DONE_BATCHES_SHOWN, kinds=kinds) for kinds in both]
    return sorted((one for some in found for one in some), key=lambda one: one.batch_id)


def _next_steps(found: Status) -> Iterator[str]:
    if not found.project:
        yield (
            "No CleverTap project is connected. Set CT_PROJECT_ID, CT_PASSCODE and CT_REGION, then look with "
            "`ct-pipeline doctor`. Without one, `ct-pipeline verify FILE -o OUT` verifies a contact file."
        )
        if found.due_now_count or found.unknown_domain_count:
            yield from _verify_steps(found)
        yield from _breaker_steps(found)
        return
    yield from _pull_steps(found)
    yield from _verify_steps(found)
    yield from _breaker_steps(found)
    yield from _export_steps(found)


def _pull_steps(found: Status) -> Iterator[str]:
    for begun in found.begun_pulls:
        source = f" ({begun.source_name})" if begun.source_name != begun.audience else ""
        yield (
            f"The pull of {begun.audience}{source} is not complete; it has {begun.record_count:,} "
            "records so far. Unless it still runs, the same `ct-pipeline pull` goes on from there."
        )
    if not any(pull.is_profiles for pull in found.pulls) and not found.begun_pulls:
        yield "No profile has been pulled yet: `ct-pipeline pull` reads everyone with an email."
    elif any(not pull.is_taken_up for pull in found.pulls):
        yield "A pull is not taken up yet: the same `ct-pipeline pull` does it."


def _verify_steps(found: Status) -> Iterator[str]:
    if found.due_now_count or found.unknown_domain_count:
        domains = _counted(found.unknown_domain_count, "domain to be looked up", "domains to be looked up")
        addresses = _counted(found.due_now_count, "address to be asked", "addresses to be asked")
        what = [addresses] * bool(found.due_now_count) + [domains] * bool(found.unknown_domain_count)
        yield f"{' and '.join(what)}: `ct-pipeline verify` does it."


def _breaker_steps(found: Status) -> Iterator[str]:
    """What to do about sites that turned us away: once for each thing to do."""
    told: dict[str, list[str]] = {}
    for breaker in found.breakers:
        if breaker.waiting_count:
            told.setdefault(what_to_do(breaker.note.reason), []).append(breaker.site)
    for what, sites in told.items():
        more = f" and {len(sites) - 1:,} more" if len(sites) > 1 else ""
        yield f"{sites[0]}{more} turned us away. {what}"


def _export_steps(found: Status) -> Iterator[str]:
    if found.profile_count and (found.planned_at is None or found.is_plan_stale or found.unjudged_count):
        since = "There are verdicts since the last plan" if found.planned_at else "Nothing is planned yet"
        yield f"{since}: `ct-pipeline plan` shows what would change in CleverTap, and sends nothing."
    if held := found.batches_in(BatchState.HELD):
        names = " ".join(name for name, *_ in batch_rows(held))
        changes = sum(one.change_count for one in held)
        yield (
            f"{_counted(changes, 'change is', 'changes are')} held by a brake: the open batches say why. If right: "
            f'`ct-pipeline approve {names} --because "what you looked at"`.'
        )
    if found.is_pushing:
        yield "A push is under way."
    elif sendable := found.batches_in(BatchState.PLANNED, BatchState.APPROVED, BatchState.SENDING):
        begun = " (some were begun and interrupted: what CleverTap has answered is kept)" * any(
            one.state is BatchState.SENDING for one in sendable
        )
        left = sum(one.change_count - sum(one.outcomes.values()) for one in sendable)
        how = (
            "`ct-pipeline push` sends them"
            if found.applies
            else ("`ct-pipeline push` shows what would be sent, `ct-pipeline push --apply` sends it")
        )
        yield f"{_counted(left, 'change is', 'changes are')} ready to be sent{begun}: {how}."
    if found.doubtful_batch is not None:
        yield (
            f"Batch {found.doubtful_batch.batch_id}: {found.doubtful_batch.read_back} "
            "No more properties are written until they are found there."
        )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def nothing_to_do(found: Status) -> str:
    """What to say when there is no next step."""
    first_at = found.due.first_at if found.due else None
    when = f" The next address is due at {first_at:%Y-%m-%d %H:%M} UTC." if first_at else ""
    return f"Nothing is to be done now.{when}"
