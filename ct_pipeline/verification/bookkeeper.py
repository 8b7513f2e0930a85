"""Turns proven answers into rows for the ledger: probes as they came, when each address is due again, catch-all facts.

An accepted address is only finished once its domain is settled: until the random name has been answered, nobody knows
whether the host accepts every name. So its turn is held, and released with the domain.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.dialogue import STOP_REASONS, Answer
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import CatchAllFact, DueAddress, Probe, ProbeKind, Turn
from ct_pipeline.verification.questions import DomainQuestions
from ct_pipeline.verification.recheck import next_attempt
from ct_pipeline.vocabulary import Reason

CATCH_ALL_FRESH_FOR = timedelta(days=30)  # people switch catch-all on and off; a month is what list cleaning needs


class Bookkeeper:
    """Keeps the books of one site's run. ``now`` is passed in everywhere."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._held: dict[str, list[tuple[DueAddress, int]]] = {}  # domain -> accepted addresses and their probes
        self._known_facts: dict[str, tuple[bool | None, bool | None]] = {}
        self._last_probe: dict[str, int] = {}

    def remember_fact(self, domain: DomainQuestions) -> None:
        """``domain`` starts from a fact that the ledger holds already."""
        self._known_facts[domain.domain] = (domain.is_catch_all, domain.tells_apart)

    def record(self, session_id: int, answers: Iterable[Answer], domains: dict[str, DomainQuestions]) -> None:
        """Note proven answers; ``domains`` are the site's, by name."""
        touched: dict[str, datetime] = {}
        for answer in answers:
            probe_id = self.note_probe(session_id, answer)
            name = answer.question.domain
            touched[name] = answer.answered_at
            self._last_probe[name] = probe_id
            if answer.question.due is not None:
                self._note_turn(answer.question.due, answer.reading, probe_id, domains[name], answer.answered_at)
        for name, now in touched.items():
            self._close_what_is_settled(domains[name], now)

    def note_probe(self, session_id: int, answer: Answer) -> int:
        """Write the probe of one answer; returns its identifier."""
        probe_id = self._notebook.new_probe_id()
        question = answer.question
        elapsed = answer.answered_at - answer.asked_at
        self._notebook.page.probes.append(
            Probe(
                probe_id=probe_id,
                session_id=session_id,
                kind=question.kind,
                address_id=question.due.address_id if question.due else None,
                domain=question.domain,
                reply=answer.reply,
                reason=answer.reading.reason,
                rule=answer.reading.rule,
                asked_at=answer.asked_at,
                elapsed_ms=max(0, round(elapsed.total_seconds() * 1000)),
            )
        )
        return probe_id

    def postpone(self, domain: DomainQuestions, reading: Reading, probe_id: int | None, now: datetime) -> None:
        """Nothing more is asked of ``domain`` in this run: ``reading``, about its host or about us, says why."""
        for due in domain.take_waiting():
            self._write_turn(due, reading, probe_id, now, was_asked=reading.reason not in STOP_REASONS)
        self._release_held(domain, reading, now)

    def distrust(self, addresses: Iterable[DueAddress], reading: Reading, probe_id: int, now: datetime) -> None:
        """Answers to ``addresses`` were voided: they are due again."""
        for due in addresses:
            self._write_turn(due, reading, probe_id, now)

    def _note_turn(
        self, due: DueAddress, reading: Reading, probe_id: int, domain: DomainQuestions, now: datetime
    ) -> None:
        if reading.reason is Reason.ACCEPTED and domain.is_unsettled:
            self._held.setdefault(domain.domain, []).append((due, probe_id))
        else:
            self._write_turn(due, reading, probe_id, now)

    def _close_what_is_settled(self, domain: DomainQuestions, now: datetime) -> None:
        self._note_fact(domain, now)
        if domain.is_catch_all is not None:
            self._release_held(domain, None, now)
        elif domain.random_reading is not None:
            self._release_held(domain, domain.random_reading, now)
        if domain.is_catch_all is True:
            for due in domain.take_waiting():
                self._notebook.page.turns.append(Turn(due.address_id, None, due.attempt_count, None))
        elif domain.stopped_by is not None:
            self.postpone(domain, domain.stopped_by, self._last_probe.get(domain.domain), now)

    def _note_fact(self, domain: DomainQuestions, now: datetime) -> None:
        fact = (domain.is_catch_all, domain.tells_apart)
        if domain.is_catch_all is None or self._known_facts.get(domain.domain) == fact:
            return
        self._known_facts[domain.domain] = fact
        self._notebook.page.catch_all_facts.append(
            CatchAllFact(
                domain=domain.domain,
                is_catch_all=domain.is_catch_all,
                tells_apart=domain.tells_apart,
                probe_id=self._last_probe.get(domain.domain),
                found_at=now,
                expires_at=now + CATCH_ALL_FRESH_FOR,
            )
        )

    def _release_held(self, domain: DomainQuestions, doubt: Reading | None, now: datetime) -> None:
        for due, probe_id in self._held.pop(domain.domain, ()):
            if doubt is None:
                self._notebook.page.turns.append(Turn(due.address_id, None, due.attempt_count + 1, probe_id))
            else:
                self._write_turn(due, doubt, probe_id, now)

    def _write_turn(
        self, due: DueAddress, reading: Reading, probe_id: int | None, now: datetime, *, was_asked: bool = True
    ) -> None:
        # Addresses that were not asked because we are unwelcome keep their attempts: nothing is burned.
        attempts = due.attempt_count + 1 if was_asked else due.attempt_count
        next_at = next_attempt(reading, max(attempts, 1), now, due.address_id)
        self._notebook.page.turns.append(Turn(due.address_id, next_at, attempts, probe_id))


def mailbox_addresses(answers: Iterable[Answer]) -> list[DueAddress]:
    """The list's own addresses among ``answers``."""
    return [a.question.due for a in answers if a.question.kind is ProbeKind.MAILBOX and a.question.due is not None]
