"""Turns proven answers into rows for the ledger: probes as they came, when each address is due again, catch-all facts.

An accepted address is only finished once its domain is settled: until the random name has been answered, nobody knows
whether the host accepts every name. So its turn is held, and released with the domain.

Every due address gets one turn, unless the run ends before it was asked.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.host_group import Closing
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import CatchAllFact, DueAddress, Probe, ProbeKind, Turn
from ct_pipeline.verification.questions import Answer, DomainQuestions, Question
from ct_pipeline.verification.recheck import next_attempt
from ct_pipeline.vocabulary import About, Reason

CATCH_ALL_FRESH_FOR = timedelta(days=30)  # people switch catch-all on and off; a month is what list cleaning needs


class Bookkeeper:
    """Keeps the books of one site's run. ``now`` is passed in everywhere."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._held: dict[str, list[tuple[DueAddress, int]]] = {}  # domain -> accepted addresses and their probes
        self._noted_facts: dict[str, tuple[bool | None, bool | None]] = {}  # in this run
        self._last_probe: dict[str, int] = {}  # by domain
        self._about_domain: dict[str, tuple[int, Answer]] = {}  # domain -> an answer about it as a whole, its session
        self.turn_count = 0

    def record(
        self, session_id: int, answers: Iterable[Answer], domains: dict[str, DomainQuestions], now: datetime
    ) -> None:
        """Note proven answers; ``domains`` are the site's, by name."""
        noted: list[tuple[Answer, int]] = []
        touched: dict[str, DomainQuestions] = {}
        for answer in answers:
            name = answer.question.domain
            touched[name] = domains[name]
            probe_id = self.note_probe(session_id, answer)
            self._last_probe[name] = probe_id
            if answer.reading.about is About.DOMAIN:
                self._about_domain[name] = (session_id, answer)
            domains[name].proven.learn(answer.question.kind, answer.reading)
            noted.append((answer, probe_id))
        for answer, probe_id in noted:
            due = answer.question.due
            if due is None:
                continue
            if answer.reading.reason is Reason.ACCEPTED and touched[answer.question.domain].is_unsettled:
                self._held.setdefault(answer.question.domain, []).append((due, probe_id))
            else:
                self._write_turn(due, answer.reading, probe_id, now, is_definitive=_is_definitive(answer))
        for domain in touched.values():
            self.settle(domain, now)

    def take_over(self, domain: DomainQuestions) -> None:
        """Addresses of ``domain`` that an earlier run has asked are held as if this one had."""
        held = [(due, due.accepted_probe_id) for due in domain.accepted_before if due.accepted_probe_id is not None]
        if held:
            self._held.setdefault(domain.domain, []).extend(held)

    def leave_held(self, now: datetime) -> None:
        """The run ends before it is known whether some domains accept every name: the next one asks only that."""
        for held in self._held.values():
            for due, probe_id in held:
                self._notebook.page.turns.append(
                    Turn(due.address_id, now, due.attempt_count, probe_id, is_definitive=True)
                )
        self._held.clear()

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

    def settle(self, domain: DomainQuestions, now: datetime) -> None:
        """Write what the proven answers (or an earlier visit) settle for the addresses that were not asked."""
        self._note_fact(domain, now)
        proven = domain.proven
        if proven.is_catch_all is not None:
            self._release_held(domain, None, now)
        elif proven.random is not None:
            self._release_held(domain, proven.random, now)
        if proven.is_catch_all is True:
            for due in domain.take_waiting():
                self._add_turn(Turn(due.address_id, None, due.attempt_count, None))
        elif (reading := proven.stop) is not None:
            self._stop(domain, reading, now)

    def postpone(self, domain: DomainQuestions, closing: Closing, now: datetime) -> None:
        """Nothing more is asked of the hosts of ``domain`` in this run: ``closing``, about them or about us, says why.

        Addresses that were not asked because we are unwelcome keep their attempts, and are due when the breaker lets
        the next trial through; so do those that our own way out has failed. A host that could not be reached counts as
        an attempt, or a dead one would be tried for ever.
        """
        was_asked = closing.reading.reason is not Reason.EGRESS_TROUBLE
        for due in domain.take_waiting():
            if closing.until_at is not None:
                self._add_turn(Turn(due.address_id, closing.until_at, due.attempt_count, closing.probe_id))
            else:
                self._write_turn(due, closing.reading, closing.probe_id, now, was_asked=was_asked)
        self._release_held(domain, closing.reading, now)

    def distrust(self, addresses: Iterable[DueAddress], reading: Reading, probe_id: int, now: datetime) -> None:
        """Answers to ``addresses`` were voided: they are due again."""
        for due in addresses:
            self._write_turn(due, reading, probe_id, now)

    def _stop(self, domain: DomainQuestions, reading: Reading, now: datetime) -> None:
        """The domain's answers make further questions pointless: they settle it, or it is tried again another day.

        What was said about single names is no evidence against their neighbours, unless it speaks of the domain.
        """
        waiting = domain.take_waiting()
        speaks_for_all = reading.about is About.DOMAIN and domain.domain in self._about_domain
        probe_id = self._note_about_domain(domain.domain) if waiting and speaks_for_all else None
        for due in waiting:
            self._write_turn(due, reading, probe_id, now, was_asked=False)

    def _note_about_domain(self, name: str) -> int:
        session_id, answer = self._about_domain[name]
        question = Question(ProbeKind.SESSION, name, "")
        return self.note_probe(session_id, answer._replace(question=question))

    def _note_fact(self, domain: DomainQuestions, now: datetime) -> None:
        proven = domain.proven
        fact = (proven.is_catch_all, proven.tells_apart)
        known = self._noted_facts.get(domain.domain, (proven.known_catch_all, proven.known_tells_apart))
        if proven.is_catch_all is None or fact == known:
            return
        self._noted_facts[domain.domain] = fact
        self._notebook.page.catch_all_facts.append(
            CatchAllFact(
                domain=domain.domain,
                is_catch_all=proven.is_catch_all,
                tells_apart=proven.tells_apart,
                probe_id=self._last_probe.get(domain.domain),
                found_at=now,
                expires_at=now + CATCH_ALL_FRESH_FOR,
            )
        )

    def _release_held(self, domain: DomainQuestions, doubt: Reading | None, now: datetime) -> None:
        for due, probe_id in self._held.pop(domain.domain, ()):
            if doubt is None:
                self._add_turn(Turn(due.address_id, None, due.attempt_count + 1, probe_id, is_definitive=True))
            else:
                self._write_turn(due, doubt, probe_id, now, is_definitive=True)

    def _write_turn(
        self,
        due: DueAddress,
        reading: Reading,
        probe_id: int | None,
        now: datetime,
        *,
        was_asked: bool = True,
        is_definitive: bool = False,
    ) -> None:
        attempts = due.attempt_count + 1 if was_asked else due.attempt_count
        next_at = next_attempt(reading, max(attempts, 1), now, due.address_id)
        self._add_turn(Turn(due.address_id, next_at, attempts, probe_id, is_definitive))

    def _add_turn(self, turn: Turn) -> None:
        self.turn_count += 1
        self._notebook.page.turns.append(turn)


def mailbox_addresses(answers: Iterable[Answer]) -> list[DueAddress]:
    """The list's own addresses among ``answers``."""
    return [a.question.due for a in answers if a.question.kind is ProbeKind.MAILBOX and a.question.due is not None]


def _is_definitive(answer: Answer) -> bool:
    """Whether the answer settles the mailbox; of refusals only permanent ones about the address or its domain do."""
    if answer.reading.reason is Reason.ACCEPTED:
        return answer.reply.code // 100 == 2
    return answer.reply.code // 100 == 5 and answer.reading.about in (About.ADDRESS, About.DOMAIN)
