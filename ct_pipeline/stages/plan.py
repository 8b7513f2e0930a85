"""Plan what is owed to CleverTap, and approve what a brake holds. Sends nothing.

Owed = policy(verdicts) - receipts - open batches. A plan writes batches of changes for what is owed and in no batch
yet, and withdraws those of earlier plans whose grounds are gone; so a plan after a plan writes nothing new.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from ct_pipeline.clevertap.connection import project_of
from ct_pipeline.errors import AudienceError, ExportError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.plan_properties import plan_properties
from ct_pipeline.stages.plan_unsubscribes import plan_unsubscribes
from ct_pipeline.stages.rules_in_force import rules_version
from ct_pipeline.storage import batches as stored
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.owed import make_members
from ct_pipeline.storage.plan_question import HeldBack, PlanQuestion
from ct_pipeline.storage.plans import audience_counts, keep_summary, lock_planning, plan, record_plan
from ct_pipeline.to_clevertap.changes import Batch
from ct_pipeline.to_clevertap.policy import DOMAIN_REASONS, SECOND_LOOK_UP_AFTER, SYNTAX_REASONS, Policy
from ct_pipeline.to_clevertap.preview import PlanSummary
from ct_pipeline.vocabulary import BatchState, ExportMode


def make_plan(settings: Settings, audience: str | None = None, *, includes_undone: bool = False) -> PlanSummary:
    """Write batches for every change that is owed, to all profiles of the project or to those of one audience.

    Args:
        audience: a name that was pulled; None: every profile.
        includes_undone: plan also what an undo has taken back. Left out otherwise, until the verdict rests on another
            reason.

    Raises:
        SettingsError: no project, or a policy that makes no sense.
        AudienceError: the audience was never pulled.
        LedgerUnavailableError: the database does not answer.
    """
    started = time.monotonic()
    policy = Policy.from_settings(settings)
    project = project_of(settings)
    now = datetime.now(UTC)
    rules = rules_version(settings)
    question = _question(policy, project, audience, rules, now, includes_undone=includes_undone)
    with open_ledger(settings) as conn, open_ledger(settings) as reader:
        lock_planning(conn, project)
        summary = _begin(conn, settings, policy, question, now)
        plan_unsubscribes(conn, policy, question, summary)
        plan_properties(reader, conn, policy, question, summary)
        summary.withdrawn_count = sum(summary.withdrawn.values())
        summary.seconds = time.monotonic() - started
        keep_summary(conn, summary.plan_id, summary.to_json())
        summary.batches = stored.batches(conn, project, plan_id=summary.plan_id)
    return summary


def plan_report(settings: Settings, plan_id: int) -> PlanSummary:
    """An earlier plan: its numbers as they were then, its batches as they are now.

    Raises:
        ExportError: there is no such plan of this project.
    """
    project = project_of(settings)
    with open_ledger(settings) as conn:
        known = plan(conn, plan_id)
        if known is None or known.project != project:
            raise ExportError(f"There is no plan {plan_id} of the project {project}.")
        summary = PlanSummary(plan_id, project, known.audience, known.planned_at)
        summary.take_json(known.summary)
        summary.is_preview = settings.export_mode is ExportMode.PREVIEW
        summary.batches = stored.batches(conn, project, plan_id=plan_id)
    return summary


def approve(settings: Settings, batch_ids: Sequence[int], by: str, because: str) -> list[Batch]:
    """Let held batches go; all of them or none. Who did it, and why, stays with them.

    Raises:
        ExportError: a blank name or reason, an unknown batch, or one that is not held; the text names its state.
    """
    project = project_of(settings)
    by, because = " ".join(by.split()), " ".join(because.split())
    if not by or not because:
        raise ExportError("An approval needs a name and a reason: who answers for it, and what was looked at.")
    wanted = sorted(set(batch_ids))
    if not wanted:
        raise ExportError("Name the batches to approve; `ct-pipeline plan` and `ct-pipeline status` list them.")
    with open_ledger(settings) as conn, conn.transaction():
        _check_approvable(conn, project, wanted)
        approved = stored.approve(conn, project, wanted, by, because, datetime.now(UTC))
        if missing := [batch_id for batch_id in wanted if batch_id not in approved]:
            raise ExportError(f"Batch {missing[0]} has just been changed by another process; nothing was approved.")
        found = [stored.batch(conn, batch_id) for batch_id in wanted]
    return [batch for batch in found if batch is not None]


def _check_approvable(conn: psycopg.Connection, project: str, batch_ids: Sequence[int]) -> None:
    faults: list[str] = []
    for batch_id in batch_ids:
        batch = stored.batch(conn, batch_id)
        if batch is None or batch.project != project:
            faults.append(f"There is no batch {batch_id} of the project {project}.")
        elif batch.state is not BatchState.HELD:
            faults.append(f"Batch {batch_id} is {_state_words(batch)}; only held batches are approved.")
    if faults:
        raise ExportError("\n".join([*faults[:5], "Nothing was approved."]))


def _state_words(batch: Batch) -> str:
    if batch.state is BatchState.APPROVED:
        return f"approved already, by {batch.approved_by}"
    if batch.state is BatchState.PLANNED:
        return "planned and needs no approval"
    if batch.state is BatchState.SENDING:
        return "being sent"
    return "done"


def _begin(
    conn: psycopg.Connection, settings: Settings, policy: Policy, question: PlanQuestion, now: datetime
) -> PlanSummary:
    with conn.transaction():
        if not make_members(conn, question.project, question.audience):
            raise AudienceError(
                f"The audience {question.audience!r} was never pulled from the project {question.project}. "
                f"Run `ct-pipeline pull --audience {question.audience}` first."
            )
        counts = audience_counts(conn)
        plan_id = record_plan(conn, question.project, question.audience, policy.to_json(), now)
    summary = PlanSummary(plan_id, question.project, question.audience, now)
    summary.profile_count, summary.address_count = counts.profile_count, counts.address_count
    summary.by_status = counts.by_status
    if counts.soft_bounce_count:
        summary.held_back[HeldBack.BOUNCES_SOFTLY] = counts.soft_bounce_count
    summary.policy = policy.words()
    summary.is_preview = settings.export_mode is ExportMode.PREVIEW
    return summary


def _question(
    policy: Policy, project: str, audience: str | None, rules: str, now: datetime, *, includes_undone: bool
) -> PlanQuestion:
    return PlanQuestion(
        project=project,
        audience=audience,
        unsubscribe_reasons=tuple(map(str, policy.unsubscribe_reasons)) if policy.unsubscribes else (),
        domain_reasons=tuple(map(str, DOMAIN_REASONS)),
        second_look_up_after=SECOND_LOOK_UP_AFTER,
        syntax_reasons=tuple(map(str, SYNTAX_REASONS)),
        fresh_since=now - policy.fresh_for,
        rules_version=rules,
        includes_undone=includes_undone,
    )
