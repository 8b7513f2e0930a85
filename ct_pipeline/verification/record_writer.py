"""Writes the rows of one site's run: probes as they came, and turns, with the time when each address is due again."""

from datetime import datetime

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import CatchAllFact, DueAddress, Probe, ProbeKind, Reply, Turn
from ct_pipeline.verification.questions import Answer, Question
from ct_pipeline.verification.recheck import next_attempt, second_word_at


class RecordWriter:
    """``asks_once``: one answer has to do, unless the host promises another one shortly."""

    def __init__(self, notebook: Notebook, *, asks_once: bool = False) -> None:
        self._notebook = notebook
        self._asks_once = asks_once
        self.turn_count = 0

    def probe(self, session_id: int, answer: Answer) -> int:
        """Write the probe of one answer; returns its identifier."""
        probe_id = self._notebook.new_probe_id()
        question = answer.question
        elapsed = answer.answered_at - answer.asked_at
        self._notebook.page.probes.append(
            Probe(
                probe_id=probe_id,
                session_id=session_id,
                kind=question.kind,
                address_id=question.due.address_id if question.due else question.witness_id,
                domain=question.domain,
                reply=answer.reply,
                reason=answer.reading.reason,
                rule=answer.reading.rule,
                asked_at=answer.asked_at,
                elapsed_ms=max(0, round(elapsed.total_seconds() * 1000)),
            )
        )
        return probe_id

    def own_words(self, session_id: int, domain: str, reply: Reply, reading: Reading, now: datetime) -> int:
        """Write the probe of what no host has said, but its answers show."""
        return self.probe(session_id, Answer(Question(ProbeKind.SESSION, domain, ""), reply, reading, now, now))

    def turn(
        self,
        due: DueAddress,
        reading: Reading,
        probe_id: int | None,
        now: datetime,
        *,
        was_asked: bool = True,
        is_definitive: bool = False,
        is_retracted: bool = False,
        retracted_probe_id: int | None = None,
    ) -> None:
        """``due`` got ``reading``: it is due again by the table of delays, or answered, or given up.

        Of who is given up no refusal stands that was never repeated.
        """
        attempts = due.attempt_count + 1 if was_asked else due.attempt_count
        next_at = next_attempt(reading, max(attempts, 1), now, due.address_id, asks_once=self._asks_once)
        is_never_repeated = due.is_unrepeated and next_at is None and not is_definitive
        # What the ledger holds by now is the retracted probe itself, unless that is not committed yet.
        standing = due.settled_probe_id if retracted_probe_id is not None and not due.is_unrepeated else None
        voids = is_retracted or is_never_repeated, retracted_probe_id, standing
        self.put(Turn(due.address_id, next_at, attempts, probe_id, is_definitive, *voids))

    def turn_until_second_word(
        self, due: DueAddress, probe_id: int | None, asked_at: datetime, now: datetime, *, is_definitive: bool = True
    ) -> None:
        """``due`` was refused in words that count when they are said twice: a day later, unless this is the second."""
        next_at = second_word_at(due.refused_at, asked_at, now, due.address_id)
        self.put(Turn(due.address_id, next_at, due.attempt_count + 1, probe_id, is_definitive))

    def put(self, turn: Turn) -> None:
        self.turn_count += 1
        self._notebook.page.turns.append(turn)

    def fact(self, fact: CatchAllFact) -> None:
        self._notebook.page.catch_all_facts.append(fact)
