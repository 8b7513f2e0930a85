"""The unsubscribes of a plan: withdraw what lost its grounds, find what is owed, brake, write batches."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import TypeVar

import psycopg

from ct_pipeline.storage import owed, plans
from ct_pipeline.storage.batches import add_batch, hold, withdraw
from ct_pipeline.storage.plan_question import HeldBack, PlanQuestion
from ct_pipeline.storage.subscription_evidence import subscription_evidence
from ct_pipeline.to_clevertap.brakes import (
    BRAKE_WINDOW,
    SMALL_PROVIDERS,
    ProviderCount,
    ProviderRate,
    WeekShare,
    next_rates,
    pooled,
    provider_brakes,
    share_brake,
    with_approvals,
)
from ct_pipeline.to_clevertap.policy import Policy
from ct_pipeline.to_clevertap.preview import PlanSummary, Sample, masked, top
from ct_pipeline.to_clevertap.subscription import subscription_of
from ct_pipeline.vocabulary import BatchState, ChangeKind, Subscription, SubscriptionSource

EVIDENCE_ADDRESSES = 20_000
SAMPLE_COUNT = 10
PROVIDERS_KEPT = 50

Prior = tuple[str, Subscription, SubscriptionSource]
Row = TypeVar("Row")


class _ProviderBrakes:
    """The brakes of this plan's providers. ``braked``: provider, or the pool of small ones → why."""

    def __init__(self, conn: psycopg.Connection, project: str, limit: float) -> None:
        counts = [ProviderCount(*row) for row in plans.provider_counts(conn, project)]
        self.counts = pooled(counts)
        known = {row.provider: ProviderRate(*row) for row in plans.provider_rates(conn, project)}
        self.accepted = with_approvals(known, plans.approved_providers(conn, project))
        self.braked = provider_brakes(self.counts, self.accepted, limit)
        large = {count.provider for count in self.counts}
        self._small = [count.provider for count in counts if count.provider and count.provider not in large]

    def members(self, name: str) -> list[str]:
        """The providers that a brake is about."""
        return self._small if name == SMALL_PROVIDERS else [name]

    def all_members(self) -> list[str]:
        return [provider for name in self.braked for provider in self.members(name)]


def plan_unsubscribes(conn: psycopg.Connection, policy: Policy, question: PlanQuestion, summary: PlanSummary) -> None:
    """Write the batches into the ledger and the numbers into ``summary``.

    Brakes are worked out and batches written in one transaction: no part of a plan is there without its brakes.
    """
    project = question.project
    brakes = _ProviderBrakes(conn, project, policy.provider_jump_limit)
    _withdraw(conn, question, summary, brakes)
    if not policy.unsubscribes:
        return
    with conn.transaction():
        owed.make_members(conn, project, question.audience)
        owed.find_owed(conn, question)
        for part in _parts(owed.owed_with_evidence(conn, project)):
            owed.keep_priors(conn, _priors(conn, project, part))
        shares = _shares(conn, question, summary)
        holding = _write_batches(conn, summary, brakes, share_brake(shares, policy.unsubscribe_share_limit))
        if why := share_brake(shares[:1], policy.unsubscribe_share_limit):
            # The limit is the week's: what waits of earlier plans is as much a part of it as what this one adds.
            hold(conn, project, ChangeKind.UNSUBSCRIBE, _words([why]))
        rates = next_rates(brakes.counts, brakes.accepted, brakes.braked, holding, summary.planned_at)
        plans.keep_provider_rates(conn, project, (_rate_row(rate) for rate in rates))
        _sum_up(conn, summary)


def _withdraw(conn: psycopg.Connection, question: PlanQuestion, summary: PlanSummary, brakes: _ProviderBrakes) -> None:
    """Take out of open batches what would not be planned any more, and what now has to wait for a brake."""
    project = question.project
    grounds = dict(owed.lost_grounds(conn, question))
    for part in _parts([row for row in owed.open_spellings(conn, project) if row[0] not in grounds]):
        known = _priors(conn, project, [owed.Spelling(raw_email, address_id) for _, raw_email, address_id in part])
        gone = {raw_email for raw_email, subscription, _ in known if subscription is Subscription.UNSUBSCRIBED}
        grounds |= {change_id: HeldBack.IS_UNSUBSCRIBED.value for change_id, email, _ in part if email in gone}
    for change_id, provider in owed.open_of_providers(conn, project, brakes.all_members()):
        grounds.setdefault(change_id, f"waits for the brake of {provider}")
    withdrawn = withdraw(conn, grounds.items(), summary.planned_at)
    _add(summary.withdrawn, Counter(grounds[change_id] for change_id in withdrawn))


def _priors(conn: psycopg.Connection, project: str, part: Iterable[owed.Spelling]) -> list[Prior]:
    evidence = subscription_evidence(conn, project, part)
    return [(raw_email, *subscription_of(known)) for raw_email, known in evidence.items()]


def _shares(conn: psycopg.Connection, question: PlanQuestion, summary: PlanSummary) -> list[WeekShare]:
    of_project, of_audience = plans.week_shares(conn, question.project, BRAKE_WINDOW, summary.planned_at)
    shares = [WeekShare("the project's", *of_project)]
    return shares if question.audience is None else [*shares, WeekShare("the audience's", *of_audience)]


def _write_batches(
    conn: psycopg.Connection, summary: PlanSummary, brakes: _ProviderBrakes, share_words: str
) -> frozenset[str]:
    """Write the batches, those of each braked provider by themselves; the providers whose brake holds one."""
    holding: set[str] = set()
    for name, why in brakes.braked.items():
        words = _words([why, share_words])
        if _write(conn, summary, brakes.members(name), held_because=words, held_provider=name):
            holding.add(name)
            summary.brakes.append(_words([why]))
    if _write(conn, summary, brakes.all_members(), of_others=True, held_because=_words([share_words])) and share_words:
        summary.brakes.append(_words([share_words]))
    return frozenset(holding)


def _write(
    conn: psycopg.Connection,
    summary: PlanSummary,
    providers: list[str],
    *,
    held_because: str,
    held_provider: str = "",
    of_others: bool = False,
) -> int:
    count = 0
    for changes in owed.owed_changes(conn, providers, of_others=of_others):
        add_batch(
            conn,
            project=summary.project,
            kind=ChangeKind.UNSUBSCRIBE,
            changes=changes,
            planned_at=summary.planned_at,
            state=BatchState.HELD if held_because else BatchState.PLANNED,
            held_because=held_because,
            held_provider=held_provider,
            plan_id=summary.plan_id,
        )
        count += len(changes)
    return count


def _sum_up(conn: psycopg.Connection, summary: PlanSummary) -> None:
    counts = owed_by_reason, owed_by_provider = Counter[str](), Counter[str]()
    for reason, provider, count in plans.owed_counts(conn):
        for counter, name in zip(counts, (reason, provider), strict=True):
            counter[name] += count
    summary.by_reason = dict(owed_by_reason.most_common())
    summary.by_provider = top(owed_by_provider, PROVIDERS_KEPT)
    summary.unsubscribe_count = owed_by_reason.total()
    summary.samples = [
        Sample(masked(raw_email), status, reason) for raw_email, status, reason in owed.owed_samples(conn, SAMPLE_COUNT)
    ]
    _add(summary.held_back, plans.held_back_counts(conn))


def _words(reasons: Iterable[str]) -> str:
    return ". ".join(reason[0].upper() + reason[1:] for reason in reasons if reason)


def _rate_row(rate: ProviderRate) -> plans.RateRow:
    return plans.RateRow(*astuple(rate))


def _parts(rows: list[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(rows), EVIDENCE_ADDRESSES):
        yield rows[start : start + EVIDENCE_ADDRESSES]


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count
