"""Refusals that are no proof yet, and what becomes of them. Pure.

A host that has come to refuse us may do so in vague words or in the clear ones for dead mailboxes. A *vague* refusal
counts for nothing until the same host has accepted another mailbox of the domain after it. A *clear* one counts, but
those of a long row have to be heard a second time, unless the site accepts somebody after them; and they fall, all of
them, when it refuses somebody whom it accepted a short time ago.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from ct_pipeline.verification.disbelief import REFUSES_US, REFUSES_US_REPLY
from ct_pipeline.verification.domain_knowledge import is_clear_refusal, is_unclear_refusal
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.verification.questions import Answer, DomainQuestions, Question
from ct_pipeline.verification.record_writer import RecordWriter
from ct_pipeline.verification.refusal_streak import RefusalStreak, Refused
from ct_pipeline.verification.witness_watch import is_refused_witness
from ct_pipeline.vocabulary import Reason


def is_clear_for_good(answer: Answer) -> bool:
    """Whether an address of the list was refused for good, in clear words: :meth:`Refusals.weigh` writes its turn."""
    return answer.question.due is not None and is_clear_refusal(answer.reading) and answer.reply.code >= 500


class Refusals:
    """What one site's run has refused so far. ``disbelieved``: domains of which nothing refused is believed."""

    def __init__(self, writer: RecordWriter, *, refuses_us: bool = False) -> None:
        self._writer = writer
        self._streak = RefusalStreak(refuses_us=refuses_us)
        self._disbelief_probe: int | None = None  # the one that says why nothing of the row is believed
        # By domain and host: refusals in vague words since the last acceptance, with their probes
        self._vague: dict[tuple[str, str], list[tuple[Answer, int]]] = {}
        self.disbelieved: set[str] = set()

    @property
    def refuses_us(self) -> bool:
        """Whether the site has come to refuse whom it accepted, so that its refusals say nothing."""
        return self._streak.refuses_us

    def weigh(
        self, session_id: int, answer: Answer, probe_id: int, domains: Mapping[str, DomainQuestions], now: datetime
    ) -> None:
        """Take in a proven answer, in the order of asking; ``domains`` are the site's, by name."""
        question, reading = answer.question, answer.reading
        if reading.reason is Reason.ACCEPTED:
            if not self._streak.waits or not _is_of_a_mailbox(question):
                return
            if domains[question.domain].proven.is_catch_all is not True:
                for one in self._streak.confirm(answer.asked_at):
                    self._writer.turn(one.due, one.reading, one.probe_id, now, is_definitive=True)
        elif question.kind is ProbeKind.WITNESS:
            if is_refused_witness(reading) and self._streak.has_row:
                self._disbelieve(session_id, self._streak.retract(), domains, now)
        elif question.due is not None and is_clear_for_good(answer):
            refused = Refused(question.due, reading, probe_id, answer.asked_at)
            open_ones = self._streak.add(refused)
            if self.refuses_us:
                self._disbelieve(session_id, open_ones, domains, now)
            elif open_ones:
                for due, _, its_probe_id, asked_at in open_ones:
                    self._writer.turn_until_second_word(due, its_probe_id, asked_at, now)
            else:
                self._writer.turn(refused.due, reading, probe_id, now, is_definitive=True)

    def hear_out_vague(
        self,
        host: str,
        noted: Iterable[tuple[Answer, int]],
        domains: Mapping[str, DomainQuestions],
        now: datetime,
    ) -> None:
        """Take in proven answers of a session with ``host``, each with its probe."""
        for answer, probe_id in noted:
            name = answer.question.domain, host
            if answer.question.due is not None and is_unclear_refusal(answer.reading) and answer.reply.code >= 500:
                self._vague.setdefault(name, []).append((answer, probe_id))
            elif _is_of_a_mailbox(answer.question) and answer.reading.reason is Reason.ACCEPTED:
                refused = self._vague.pop(name, [])
                if domains[answer.question.domain].proven.is_in_doubt:
                    continue
                for before, its_probe_id in refused:
                    if before.asked_at <= answer.asked_at:
                        assert before.question.due is not None
                        self._writer.turn(before.question.due, before.reading, its_probe_id, now, is_definitive=True)
                    else:
                        self._vague.setdefault(name, []).append((before, its_probe_id))

    def _disbelieve(
        self, session_id: int, row: Iterable[Refused], domains: Mapping[str, DomainQuestions], now: datetime
    ) -> None:
        for due, reading, its_probe_id, _ in row:
            if self._disbelief_probe is None:
                self._disbelief_probe = self._writer.own_words(
                    session_id, due.domain, REFUSES_US_REPLY, REFUSES_US, now
                )
            self._writer.turn(due, REFUSES_US, self._disbelief_probe, now, retracted_probe_id=its_probe_id)
            domains[due.domain].disbelieve(reading)
            self.disbelieved.add(due.domain)


def _is_of_a_mailbox(question: Question) -> bool:
    return question.kind in (ProbeKind.MAILBOX, ProbeKind.WITNESS)
