"""Brakes: when unsubscribes have to wait for a person. Pure.

Mass false invalids are how verifiers hurt people: a block or a fault read as "no such mailbox". Two brakes look for the
traces of it, and both add up over time and over plans, so that many small plans get no further than a large one:

- **share**: more than a share of a project's (or an audience's) addresses planned or unsubscribed within a week;
- **provider**: the invalid rate of one provider rose by more than a limit over the rate that was last accepted. A rate
  is accepted when a week has passed below the limit, or when a person approved every batch that it held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

BRAKE_WINDOW = timedelta(days=7)
MIN_JUDGED = 100  # addresses that a rate has to rest on
SMALL_PROVIDERS = "(providers with few addresses)"
"""All providers with fewer than :data:`MIN_JUDGED` judged addresses, taken as one: many small ones hide no jump."""


class ProviderCount(NamedTuple):
    """A provider's addresses with an answer, and how many of them are invalid with a hard bounce."""

    provider: str  # empty: the addresses have no mail host; the second look-up guards those
    judged_count: int
    invalid_count: int

    @property
    def rate(self) -> float:
        return self.invalid_count / self.judged_count if self.judged_count else 0.0


@dataclass(frozen=True, slots=True)
class ProviderRate:
    """The accepted rate of a provider, and the one that the brake last held batches for, if any."""

    provider: str
    rate_at: datetime
    judged_count: int | None  # None: no rate was accepted yet
    invalid_count: int | None
    braked_judged_count: int | None = None
    braked_invalid_count: int | None = None
    braked_at: datetime | None = None

    @property
    def rate(self) -> float | None:
        if self.judged_count is None or self.invalid_count is None:
            return None
        return ProviderCount(self.provider, self.judged_count, self.invalid_count).rate


class WeekShare(NamedTuple):
    """Addresses planned to be unsubscribed or unsubscribed within a week, of all addresses; by project or audience."""

    of_what: str  # "the project's" or "the audience's"
    unsubscribe_count: int
    address_count: int

    @property
    def share(self) -> float:
        return self.unsubscribe_count / self.address_count if self.address_count else 0.0


def share_brake(shares: Sequence[WeekShare], limit: float) -> str:
    """Why every unsubscribe has to wait, in words; empty: it need not."""
    return "; ".join(
        f"{share.unsubscribe_count:,} of {share.of_what} {share.address_count:,} addresses "
        f"({share.share:.1%}) unsubscribed within 7 days, more than {limit:.1%}"
        for share in shares
        if share.unsubscribe_count and share.share > limit
    )


def pooled(counts: Sequence[ProviderCount]) -> list[ProviderCount]:
    """``counts`` with the small providers as one, and without the addresses that have no provider."""
    named = [count for count in counts if count.provider]
    large = [count for count in named if count.judged_count >= MIN_JUDGED]
    small = [count for count in named if count.judged_count < MIN_JUDGED]
    pool = ProviderCount(
        SMALL_PROVIDERS, sum(count.judged_count for count in small), sum(count.invalid_count for count in small)
    )
    return [*large, *([pool] if small else [])]


def provider_brakes(
    counts: Sequence[ProviderCount], accepted: Mapping[str, ProviderRate], limit: float
) -> dict[str, str]:
    """Provider → why its unsubscribes have to wait, of those ``counts`` (see :func:`pooled`) whose rate jumped.

    A provider without an accepted rate, a renamed one too, is compared with all others together; where they have fewer
    than :data:`MIN_JUDGED` judged addresses, with none invalid.
    """
    brakes: dict[str, str] = {}
    judged = sum(count.judged_count for count in counts)
    invalid = sum(count.invalid_count for count in counts)
    for count in counts:
        if count.judged_count < MIN_JUDGED:
            continue
        known = accepted.get(count.provider)
        before, words = (known.rate, "before") if known is not None else (None, "")
        if before is None:
            others = ProviderCount("", judged - count.judged_count, invalid - count.invalid_count)
            before, words = (others.rate, "at all others") if others.judged_count >= MIN_JUDGED else (0.0, "expected")
        if count.rate - before > limit:
            brakes[count.provider] = (
                f"{count.rate:.1%} of {count.judged_count:,} judged addresses at {count.provider} are invalid, "
                f"{before:.1%} {words}; a rise of more than {limit:.0%} has to be approved"
            )
    return brakes


def with_approvals(known: Mapping[str, ProviderRate], approved: Mapping[str, datetime]) -> dict[str, ProviderRate]:
    """``known`` with the rates that a person has accepted.

    Args:
        approved: when the last held batch of a provider was approved, of providers with no batch that is still held.
    """
    return {name: _accepted(rate) if _is_approved(rate, approved) else rate for name, rate in known.items()}


def next_rates(
    counts: Sequence[ProviderCount],
    accepted: Mapping[str, ProviderRate],
    braked: Mapping[str, str],
    holding: frozenset[str],
    now: datetime,
) -> list[ProviderRate]:
    """What the next plan compares with.

    A lower rate counts at once. A higher one only after a week without a brake: a rate that creeps from plan to plan is
    still compared with where it began.

    Args:
        holding: providers whose brake holds a batch of this plan.
    """
    return [_next_rate(count, accepted.get(count.provider), braked, holding, now) for count in counts]


def _next_rate(
    count: ProviderCount,
    known: ProviderRate | None,
    braked: Mapping[str, str],
    holding: frozenset[str],
    now: datetime,
) -> ProviderRate:
    current = ProviderRate(count.provider, now, count.judged_count, count.invalid_count)
    if count.provider in braked:
        kept = known or replace(current, judged_count=None, invalid_count=None)
        if count.provider not in holding:
            return kept
        return replace(
            kept, braked_judged_count=count.judged_count, braked_invalid_count=count.invalid_count, braked_at=now
        )
    if count.judged_count < MIN_JUDGED:  # too few to be compared with
        return known or replace(current, judged_count=None, invalid_count=None)
    if known is None or known.rate is None or count.rate <= known.rate or now - known.rate_at >= BRAKE_WINDOW:
        return current
    return known


def _is_approved(rate: ProviderRate, approved: Mapping[str, datetime]) -> bool:
    at = approved.get(rate.provider)
    return rate.braked_at is not None and at is not None and at >= rate.braked_at


def _accepted(rate: ProviderRate) -> ProviderRate:
    assert rate.braked_at is not None, "the caller has looked"
    return ProviderRate(rate.provider, rate.braked_at, rate.braked_judged_count, rate.braked_invalid_count)
