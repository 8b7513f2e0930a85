"""When an address is asked again, and why then, in words. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ct_pipeline.domains.facts import DomainFacts
from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.recheck import HINT_MARGIN_RATE, attempt_limit, delay_after
from ct_pipeline.verification.site_memory import BreakerNote
from ct_pipeline.verification.unwelcome import why
from ct_pipeline.vocabulary import About, Reason


@dataclass(frozen=True, slots=True)
class DueState:
    """How an address stands in the line: see ``ledger.due``. Both times are None for what is never asked."""

    attempt_count: int
    next_attempt_at: datetime | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class NextCheck:
    """``at`` is None where nothing is planned; ``attempt_limit`` where there is no end, or no reply yet.

    ``hint_seconds`` is the patience that the last reply asked for.
    """

    at: datetime | None
    attempt_count: int
    attempt_limit: int | None
    hint_seconds: int | None
    because: str


def next_check(
    state: DueState,
    reading: Reading | None,
    facts: DomainFacts | None,
    breaker: BreakerNote | None,
    fresh_for: timedelta,
    now: datetime,
) -> NextCheck:
    """What is planned for an address whose last reply means ``reading`` (None: there was none).

    ``breaker`` is that of its site, if one is open. Answers are fresh ``fresh_for``.
    """
    limit = attempt_limit(reading) if reading else None
    hint = reading.retry_seconds if reading else None
    if state.next_attempt_at is None:
        return NextCheck(None, state.attempt_count, limit, hint, _why_not_planned(state, limit, fresh_for))
    at = state.next_attempt_at
    if breaker is not None and breaker.until_at > max(at, now):
        at = breaker.until_at
        because = f"its site is left alone until then: {why(breaker.reason)}"
    else:
        because = _why_then(state, at, reading, facts, now)
    return NextCheck(at, state.attempt_count, limit, hint, because)


def _why_not_planned(state: DueState, limit: int | None, fresh_for: timedelta) -> str:
    if state.answered_at is None:
        return "it is never asked"
    fresh_until = f"{state.answered_at + fresh_for:%Y-%m-%d %H:%M} UTC"
    again = f"it is asked anew when a list or pull that holds it is taken up after {fresh_until}"
    if limit is not None and limit > 1 and state.attempt_count >= limit:
        return f"given up after {state.attempt_count} attempts; {again}"
    return f"answered; {again}"


def _why_then(state: DueState, at: datetime, reading: Reading | None, facts: DomainFacts | None, now: datetime) -> str:
    if facts is None:
        return "its domain has to be looked up first"
    if facts.service.is_temporary:
        return "DNS is asked about its domain again"
    if at <= now:
        return "its turn has come: the next run asks it"
    if reading is None or state.attempt_count == 0:
        return "it was put off before it was asked"
    if reading.reason is Reason.ACCEPTED:
        return "it is accepted; the made-up name of its domain is asked again, still without an answer"
    if reading.about is About.DOMAIN:
        return "its host refused the whole domain: that counts once it is repeated"
    if reading.about is About.ADDRESS and delay_after(reading, 1) is None:
        return "it was refused, but nobody was accepted after so many refusals: that counts once it is repeated"
    limit = attempt_limit(reading)
    of_how_many = f"attempt {state.attempt_count} of {limit}" if limit else f"attempt {state.attempt_count}"
    if reading.retry_seconds is not None:
        asked_for = _span(timedelta(seconds=reading.retry_seconds))
        return f"the host asked for {asked_for}, and gets {HINT_MARGIN_RATE:.0%} more; {of_how_many}"
    wait = delay_after(reading, state.attempt_count)
    if wait is None:
        return of_how_many
    return f"the wait after {of_how_many} with this answer is {_span(wait)}, up to a tenth longer"


def _span(span: timedelta) -> str:
    """``45 s``, ``15 min``, ``4 h``, ``3 d``: exact where the table's delays are."""
    seconds = round(span.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds:,} s"
