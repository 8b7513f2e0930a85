"""Judge every address whose evidence or rules have changed. Sends nothing to anyone."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg

from ct_pipeline.domains.providers import Accepts, Provider, Providers, Refuses, load_providers
from ct_pipeline.settings import Settings
from ct_pipeline.stages.rules_in_force import rules_in_force
from ct_pipeline.stages.string_facts import StringFactFinder, StringFacts
from ct_pipeline.storage.due import ask_after_all
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.storage.listed_addresses import ask_delisted
from ct_pipeline.storage.rules_history import (
    Rejudgement,
    begin_rejudgement,
    end_rejudgement,
    last_rejudgement,
    note_rules,
)
from ct_pipeline.storage.verdicts import EvidenceRow, evidence_of, keep_verdicts, unjudged_evidence
from ct_pipeline.verdicts.evidence import Evidence, Reading, Settled
from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verification.planner import is_asked
from ct_pipeline.verification.probe import ProbeKind, Reply
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.vocabulary import About, Reason

BATCH_ADDRESSES = 50_000


@dataclass(slots=True)
class JudgeSummary:
    """What was judged: addresses by status and by reason."""

    judged_count: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rules_version: str = ""
    rejudgement: Rejudgement | None = None  # where verdicts of other rules were judged anew
    seconds: float = 0.0

    def add(self, verdicts: list[Verdict]) -> None:
        self.judged_count += len(verdicts)
        self.statuses.update(verdict.status.value for verdict in verdicts)
        self.reasons.update(verdict.reason.value for verdict in verdicts)


def judge_unjudged(
    settings: Settings,
    on_commit: Callable[[int], None] = lambda _count: None,
    batch_addresses: int = BATCH_ADDRESSES,
) -> JudgeSummary:
    """Judge in batches until no address has unjudged evidence or a verdict of other rules.

    While the database keeps one batch, the next one is read and judged. An address that was settled without being
    asked, for a cause that is gone (a list, a catch-all, a provider's row), becomes due.
    """
    started = time.monotonic()
    bench = _Bench(settings)
    summary = JudgeSummary(rules_version=bench.rules_version)
    rejudgement_id: int | None = None
    with open_ledger(settings) as reader, open_ledger(settings) as writer, ThreadPoolExecutor(1) as keeper:
        bench.ask_delisted(reader)
        note_rules(reader, *bench.rules_in_force, datetime.now(UTC))
        keeping: _Keeping | None = None
        while True:
            in_flight = keeping.address_ids if keeping else []
            read_at = datetime.now(UTC)
            rows = unjudged_evidence(reader, bench.rules_version, batch_addresses, in_flight)
            if rejudgement_id is None and any(row.revision is None for row in rows):
                rejudgement_id = begin_rejudgement(reader, bench.rules_version, datetime.now(UTC))
            verdicts = bench.judge(rows, read_at)
            if keeping is not None:
                keeping.kept.result()
                summary.add(keeping.verdicts)
                on_commit(len(keeping.verdicts))
            elif not rows:
                break
            kept = keeper.submit(keep_verdicts, writer, verdicts, rows, rejudgement_id) if rows else None
            keeping = _Keeping(kept, verdicts) if kept else None
        if summary.reasons[Reason.NOT_ASKED_YET]:
            ask_after_all(reader, datetime.now(UTC), reason=Reason.NOT_ASKED_YET)
        if rejudgement_id is not None:
            end_rejudgement(reader, rejudgement_id, datetime.now(UTC))
            summary.rejudgement = last_rejudgement(reader)
    summary.seconds = time.monotonic() - started
    return summary


class _Keeping(NamedTuple):
    """A batch on its way into the ledger."""

    kept: Future[int]
    verdicts: list[Verdict]

    @property
    def address_ids(self) -> list[int]:
        return [verdict.address_id for verdict in self.verdicts]


def judge_addresses(settings: Settings, addresses: list[str]) -> list[Verdict]:
    """The verdicts on ``addresses`` (normalized) as the evidence stands, in that order; stored as well."""
    with open_ledger(settings) as conn:
        bench = _Bench(settings)
        bench.ask_delisted(conn)
        read_at = datetime.now(UTC)
        rows = evidence_of(conn, addresses)
        verdicts = bench.judge(rows, read_at)
        keep_verdicts(conn, verdicts, rows)
    by_address = {verdict.address: verdict for verdict in verdicts}
    return [by_address[address] for address in addresses if address in by_address]


class _Bench:
    """Reads recorded replies with today's rules and judges."""

    def __init__(self, settings: Settings) -> None:
        self._probe_forbidden = settings.probe_forbidden
        self._reader = ReplyReader.load()
        self._providers: Providers = load_providers()
        self.string_facts = StringFactFinder(settings)
        self.rules_in_force = rules_in_force(settings, self.string_facts.operator_lists)
        self.rules_version = self.rules_in_force.version
        self._rules = JudgingRules(
            self.rules_version,
            is_role_safe=settings.role_is_safe,
            fresh_for=timedelta(days=settings.fresh_for_days),
        )

    def ask_delisted(self, conn: psycopg.Connection) -> None:
        """Before the verdicts that tell which addresses these are give way to others."""
        ask_delisted(conn, self.string_facts.operator_lists.listing_of, datetime.now(UTC))

    def judge(self, rows: Sequence[EvidenceRow], read_at: datetime) -> list[Verdict]:
        """``read_at``, a moment before ``rows`` were read, dates the verdicts: of two judges, who read later wins."""
        rules = self._rules
        facts = zip(rows, self.string_facts.find(rows), strict=True)
        return [judge(self._evidence(row, of_string), rules, read_at) for row, of_string in facts]

    def _evidence(self, row: EvidenceRow, facts: StringFacts) -> Evidence:
        provider = self._providers.named(row.provider)
        return Evidence(
            address_id=row.address_id,
            address=row.address,
            syntax_reason=row.syntax_reason,
            is_role=facts.is_role,
            is_gibberish=facts.is_gibberish,
            suggested_email=row.suggested_email,
            canonical_email=facts.canonical_email,
            listing=facts.listing,
            mail_service=row.mail_service,
            dns_detail=row.dns_detail,
            provider=row.provider,
            mx_record=row.mx_record,
            is_disposable=facts.is_disposable,
            is_free=facts.is_free,
            is_acceptance_doubtful=provider is not None and provider.accepts is Accepts.IN_DOUBT,
            is_refusal_doubtful=provider is not None and provider.refuses is Refuses.IN_DOUBT,
            domain_looked_up_at=row.domain_looked_up_at,
            reading=self._reading(row, provider),
            smtp_code=row.smtp_code,
            smtp_enhanced=row.smtp_enhanced,
            smtp_text=row.smtp_text,
            is_definitive=row.is_definitive,
            asked_at=row.asked_at,
            elapsed_ms=row.elapsed_ms,
            settled=self._settled(row),
            attempt_count=row.attempt_count,
            next_attempt_at=row.next_attempt_at,
            is_catch_all=row.is_catch_all,
            tells_apart=row.tells_apart,
            catch_all_found_at=row.catch_all_found_at,
        )

    def _settled(self, row: EvidenceRow) -> Settled | None:
        if row.settled_stage is None or row.settled_code is None or row.settled_asked_at is None:
            return None
        text = row.settled_text or ""
        reply = Reply(row.settled_stage, row.settled_code, row.settled_enhanced, text)
        reading = self._reader.read(reply, row.provider)
        return Settled(reading, reply.code, reply.enhanced, text, row.settled_asked_at, row.settled_elapsed_ms or 0)

    def _reading(self, row: EvidenceRow, provider: Provider | None) -> Reading | None:
        if provider is not None and provider.hides_answer:
            return _unasked(provider)
        if row.smtp_stage is None or row.smtp_code is None:
            return None if is_asked(provider, self._probe_forbidden) or provider is None else _unasked(provider)
        reply = Reply(row.smtp_stage, row.smtp_code, row.smtp_enhanced, row.smtp_text or "")
        reading = self._reader.read(reply, row.provider)
        return reading if row.smtp_kind is ProbeKind.MAILBOX else _lent(reading)


def _lent(reading: Reading) -> Reading:
    """``reading`` of a reply that many addresses share, because it ended a session before they were asked.

    It may speak of us, of the host or of the whole domain. Should the rules take it for a word on one mailbox, it is no
    evidence on any: a changed rule must never turn a block into a thousand dead addresses.
    """
    if reading.about in (About.ADDRESS, About.UNCLEAR):
        reason = Reason.RELAY_DENIED if reading.reason is Reason.RELAY_DENIED else Reason.UNCLEAR_REPLY
        return Reading(reason, About.TEMPORARY, f"lent/{reading.rule}", reading.retry_seconds)
    return reading


def _unasked(provider: Provider) -> Reading:
    if provider.hides_answer:
        return Reading(Reason.PROVIDER_HIDES_ANSWER, About.UNCLEAR, f"providers.toml:{provider.name}:hides_answer")
    return Reading(Reason.PROVIDER_FORBIDS_PROBING, About.UNCLEAR, f"providers.toml:{provider.name}:probing")
