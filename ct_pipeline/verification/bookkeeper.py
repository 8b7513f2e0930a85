"""Turns proven answers into rows for the ledger: probes as they came, when each address is due again, catch-all facts.

An accepted address is only finished once its domain is settled: until the random name has been answered, nobody knows
whether the host accepts every name. So its turn is held, and released with the domain. Where the host turns out to
accept what it has refused before, its acceptances since its last clear refusal are taken back. A vague refusal
settles nothing until the host has accepted another mailbox after it: one that has come to refuse us says the same.

Every due address gets one turn, unless the run ends before it was asked.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.acceptances import Acceptances, Held
from ct_pipeline.verification.disbelief import IN_DOUBT, IN_DOUBT_REPLY, REFUSES_US, REFUSES_US_REPLY
from ct_pipeline.verification.domain_knowledge import is_clear_refusal, is_evasive, is_unclear_refusal
from ct_pipeline.verification.host_group import Closing
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import CatchAllFact, DueAddress, Probe, ProbeKind, Reply, Turn
from ct_pipeline.verification.questions import Answer, DomainQuestions, Question
from ct_pipeline.verification.recheck import next_attempt, second_word_at
from ct_pipeline.verification.refusal_streak import Refused, RefusalStreak
from ct_pipeline.verification.witness_watch import is_refused_witness
from ct_pipeline.vocabulary import About, Reason

CATCH_ALL_FRESH_FOR = timedelta(days=30)  # people switch catch-all on and off; a month is what list cleaning needs
# A backup may accept any name where the first host does not; that one is seldom away for longer.
BACKUP_FRESH_FOR = timedelta(days=1)
# Of a finding that is none: replies of a run that began up to a day before still count by what has expired.
FORGOTTEN_SINCE = timedelta(days=2)


class Bookkeeper:
    """Keeps the books of one site's run. ``now`` is passed in everywhere."""

    def __init__(self, notebook: Notebook, *, asks_once: bool = False, refuses_us: bool = False) -> None:
        self._notebook = notebook
        self._streak = RefusalStreak(refuses_us=refuses_us)
        self._asks_once = asks_once
        self._acceptances = Acceptances()
        self._noted_facts: dict[str, tuple[bool | None, bool | None, bool]] = {}  # in this run
        self._last_probe: dict[str, int] = {}  # by domain
        self._last_session: dict[str, int] = {}  # likewise
        self._doubt_probes: dict[str, int] = {}  # domain -> the probe that says why its acceptances prove nothing
        # By domain and host: refusals in vague words since the last acceptance, with their probes
        self._vague: dict[tuple[str, str], list[tuple[Answer, int]]] = {}
        self._host_of: dict[int, str] = {}  # session -> the address that it talks to
        self._about_all: dict[str, tuple[int, Answer]] = {}  # domain -> an answer that it may give to all, its session
        self._disbelief_probe: int | None = None  # the one that says why no refusal is believed
        self.turn_count = 0
        self.doubted_domains: set[str] = set()  # they accept what they have refused before

    @property
    def refuses_us(self) -> bool:
        """Whether the site has come to refuse whom it accepted, so that its refusals say nothing."""
        return self._streak.refuses_us

    def record(
        self, session_id: int, answers: Iterable[Answer], domains: dict[str, DomainQuestions], now: datetime
    ) -> None:
        """Note proven answers; ``domains`` are the site's, by name."""
        noted: list[tuple[Answer, int]] = []
        touched: dict[str, DomainQuestions] = {}
        last_refusal: dict[str, int] = {}  # domain -> the last of ``noted`` in which it has clearly refused a name
        for answer in answers:
            name = answer.question.domain
            touched[name] = domains[name]
            probe_id = self.note_probe(session_id, answer)
            self._last_probe[name], self._last_session[name] = probe_id, session_id
            if answer.reading.about is About.DOMAIN or is_evasive(answer.reading):
                self._about_all[name] = (session_id, answer)
            if is_clear_refusal(answer.reading):
                self._acceptances.confirm(name)
                last_refusal[name] = len(noted)
            domains[name].learn(domains[name].proven, answer.question, answer.reading)
            noted.append((answer, probe_id))
        for place, (answer, probe_id) in enumerate(noted):
            if answer.question.due is not None:
                is_confirmed = place < last_refusal.get(answer.question.domain, 0)
                self._record_mailbox(touched[answer.question.domain], answer, probe_id, now, is_confirmed=is_confirmed)
            self._weigh_refusals(session_id, answer, probe_id, domains, now)
        self._hear_out_vague(self._host_of.get(session_id, ""), noted, touched, now)
        for domain in touched.values():
            self.settle(domain, now)

    def begin_session(self, session_id: int, host: str) -> None:
        """``host`` is the address of the mail host: another one may have other reasons to refuse."""
        self._host_of[session_id] = host

    def take_over(self, domain: DomainQuestions) -> None:
        """Addresses of ``domain`` that an earlier run has asked are held as if this one had."""
        for due in domain.accepted_before:
            if due.accepted_probe_id is not None:
                self._acceptances.hold(Held(due, due.accepted_probe_id))

    def leave_held(self, now: datetime) -> None:
        """The run ends before it is known whether some domains accept every name: the next one asks only that."""
        for due, probe_id, is_suspect in self._acceptances.release_all():
            shown_id = self._doubt(due.domain, now) if is_suspect else probe_id
            turn = Turn(due.address_id, now, due.attempt_count, shown_id, is_definitive=not is_suspect)
            self._notebook.page.turns.append(turn)

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

    def settle(self, domain: DomainQuestions, now: datetime) -> None:
        """Write what the proven answers (or an earlier visit) settle for the addresses that were not asked."""
        self._note_fact(domain, now)
        proven = domain.proven
        if proven.is_in_doubt:
            self._take_back(domain, now)
        elif not proven.wants_made_up_name:
            self._release_held(domain, None, now)
        elif proven.left_open_by is not None:
            self._release_held(domain, proven.left_open_by, now)
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

    def _record_mailbox(
        self, domain: DomainQuestions, answer: Answer, probe_id: int, now: datetime, *, is_confirmed: bool
    ) -> None:
        """Note what became of one address; ``is_confirmed``: the domain has clearly refused another one since."""
        due = answer.question.due
        assert due is not None
        is_accepted = answer.reading.reason is Reason.ACCEPTED
        is_doubtful = domain.proven.is_in_doubt and not is_confirmed
        if is_accepted and (domain.is_unsettled or is_doubtful):
            self._acceptances.hold(Held(due, probe_id, is_suspect=domain.proven.is_catch_all is False))
            return
        if answer.reading.about is About.DOMAIN and answer.reply.code >= 500:
            self._await_second_word(due, answer.reading, probe_id, answer.asked_at, now)
            return
        self._write_turn(due, answer.reading, probe_id, now, is_definitive=_is_definitive(answer))
        if is_accepted and not is_confirmed:
            self._acceptances.write_down(due)

    def _weigh_refusals(
        self, session_id: int, answer: Answer, probe_id: int, domains: dict[str, DomainQuestions], now: datetime
    ) -> None:
        """Clear refusals in a long row stand once somebody is accepted after them, and fall with a refused witness."""
        question, reading = answer.question, answer.reading
        if reading.reason is Reason.ACCEPTED:
            if _is_of_a_mailbox(question) and domains[question.domain].proven.is_catch_all is not True:
                for one in self._streak.confirm(answer.asked_at):
                    self._write_turn(one.due, one.reading, one.probe_id, now, is_definitive=True)
        elif question.kind is ProbeKind.WITNESS and is_refused_witness(reading) and self._streak.has_row:
            self._disbelieve(session_id, self._streak.retract(), domains, now)
        elif question.due is not None and is_clear_refusal(reading) and answer.reply.code >= 500:
            doubtful = self._streak.add(Refused(question.due, reading, probe_id, answer.asked_at))
            if self.refuses_us:
                self._disbelieve(session_id, doubtful, domains, now)
                return
            for due, its_reading, its_probe_id, asked_at in doubtful:
                self._await_second_word(due, its_reading, its_probe_id, asked_at, now)

    def _disbelieve(
        self, session_id: int, row: Iterable[Refused], domains: dict[str, DomainQuestions], now: datetime
    ) -> None:
        """The site refuses everybody: what it refused, and what that seemed to say of its domains, is forgotten."""
        for due, reading, its_probe_id, _ in row:
            if self._disbelief_probe is None:
                self._disbelief_probe = self._note_own_words(session_id, due.domain, REFUSES_US_REPLY, REFUSES_US, now)
            self._write_turn(due, REFUSES_US, self._disbelief_probe, now, retracted_probe_id=its_probe_id)
            domain = domains[due.domain]
            domain.disbelieve(reading)
            if domain.proven.is_catch_all is None and self._noted_facts.pop(due.domain, None):
                void = CatchAllFact(due.domain, False, None, self._disbelief_probe, now, now - FORGOTTEN_SINCE)
                self._notebook.page.catch_all_facts.append(void)

    def _await_second_word(
        self, due: DueAddress, reading: Reading, probe_id: int | None, asked_at: datetime, now: datetime
    ) -> None:
        """The refusal stands, and is asked for once more, unless an earlier visit has heard it too."""
        next_at = second_word_at(due.refused_at, asked_at, now, due.address_id)
        self._add_turn(Turn(due.address_id, next_at, due.attempt_count + 1, probe_id, is_definitive=True))

    def _hear_out_vague(
        self,
        host: str,
        noted: Iterable[tuple[Answer, int]],
        touched: dict[str, DomainQuestions],
        now: datetime,
    ) -> None:
        """A vague refusal is definitive once the same host has accepted another mailbox of the domain after it: then it
        is not us that it refuses."""
        for answer, probe_id in noted:
            name = answer.question.domain, host
            if answer.question.due is not None and is_unclear_refusal(answer.reading) and answer.reply.code >= 500:
                self._vague.setdefault(name, []).append((answer, probe_id))
            elif _is_of_a_mailbox(answer.question) and answer.reading.reason is Reason.ACCEPTED:
                refused = self._vague.pop(name, [])
                if touched[answer.question.domain].proven.is_in_doubt:
                    continue
                for before, its_probe_id in refused:
                    if before.asked_at <= answer.asked_at:
                        assert before.question.due is not None
                        self._write_turn(before.question.due, before.reading, its_probe_id, now, is_definitive=True)
                    else:
                        self._vague.setdefault(name, []).append((before, its_probe_id))

    def _take_back(self, domain: DomainQuestions, now: datetime) -> None:
        """The domain accepts what it has refused before: nothing that it accepted since then is proof."""
        self.doubted_domains.add(domain.domain)
        probe_id = self._doubt(domain.domain, now)
        for held in self._acceptances.release(domain.domain):
            self._write_turn(held.due, IN_DOUBT, probe_id, now)
        for due in self._acceptances.take_back(domain.domain):
            self._write_turn(due, IN_DOUBT, probe_id, now, is_retracted=True)
        for due in domain.take_waiting():
            self._write_turn(due, IN_DOUBT, probe_id, now)

    def _doubt(self, name: str, now: datetime) -> int:
        """The probe that stands in the place of acceptances which contradict what is known of the domain."""
        if name not in self._doubt_probes:
            session_id = self._last_session.get(name, 0)
            self._doubt_probes[name] = self._note_own_words(session_id, name, IN_DOUBT_REPLY, IN_DOUBT, now)
        return self._doubt_probes[name]

    def _note_own_words(self, session_id: int, name: str, reply: Reply, reading: Reading, now: datetime) -> int:
        return self.note_probe(session_id, Answer(Question(ProbeKind.SESSION, name, ""), reply, reading, now, now))

    def _stop(self, domain: DomainQuestions, reading: Reading, now: datetime) -> None:
        """The domain's answers make further questions pointless: they settle it, or it is tried again another day.

        Who was not asked gets the last such answer as a word that all share, which is no evidence on any mailbox
        unless it speaks of the domain. It counts as an attempt, or the domain would be tried for ever.
        """
        waiting = domain.take_waiting()
        probe_id = self._note_about_all(domain.domain) if waiting and domain.domain in self._about_all else None
        for due in waiting:
            if reading.about is About.DOMAIN:
                self._add_turn(
                    Turn(
                        due.address_id,
                        second_word_at(due.refused_at, now, now, due.address_id),
                        due.attempt_count + 1,
                        probe_id,
                    )
                )
            else:
                self._write_turn(due, reading, probe_id, now)

    def _note_about_all(self, name: str) -> int:
        session_id, answer = self._about_all[name]
        question = Question(ProbeKind.SESSION, name, "")
        return self.note_probe(session_id, answer._replace(question=question))

    def _note_fact(self, domain: DomainQuestions, now: datetime) -> None:
        proven = domain.proven
        tells_apart = proven.tells_apart
        if tells_apart is None and proven.is_in_doubt:
            tells_apart = domain.known_tells_apart
        fact = (proven.is_catch_all, tells_apart, proven.doubt_stands)
        before = (proven.known_catch_all, proven.known_tells_apart, proven.is_doubted)
        known = self._noted_facts.get(domain.domain, before)
        if proven.is_catch_all is None or fact == known:
            return
        self._noted_facts[domain.domain] = fact
        self._notebook.page.catch_all_facts.append(
            CatchAllFact(
                domain=domain.domain,
                is_catch_all=proven.is_catch_all,
                tells_apart=tells_apart,
                probe_id=self._last_probe.get(domain.domain),
                found_at=now,
                expires_at=now + _fresh_for(domain),
                doubted_at=(domain.doubted_at or now) if proven.doubt_stands else None,
            )
        )

    def _release_held(self, domain: DomainQuestions, doubt: Reading | None, now: datetime) -> None:
        for due, probe_id, is_suspect in self._acceptances.release(domain.domain):
            if doubt is None:
                self._add_turn(Turn(due.address_id, None, due.attempt_count + 1, probe_id, is_definitive=True))
            elif is_suspect:
                self._write_turn(due, doubt, self._doubt(domain.domain, now), now)
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
        is_retracted: bool = False,
        retracted_probe_id: int | None = None,
    ) -> None:
        attempts = due.attempt_count + 1 if was_asked else due.attempt_count
        next_at = next_attempt(reading, max(attempts, 1), now, due.address_id, asks_once=self._asks_once)
        voids = is_retracted, retracted_probe_id
        self._add_turn(Turn(due.address_id, next_at, attempts, probe_id, is_definitive, *voids))

    def _add_turn(self, turn: Turn) -> None:
        self.turn_count += 1
        self._notebook.page.turns.append(turn)


def mailbox_addresses(answers: Iterable[Answer]) -> list[DueAddress]:
    """The list's own addresses among ``answers``."""
    return [a.question.due for a in answers if a.question.kind is ProbeKind.MAILBOX and a.question.due is not None]


def _is_of_a_mailbox(question: Question) -> bool:
    return question.kind in (ProbeKind.MAILBOX, ProbeKind.WITNESS)


def _fresh_for(domain: DomainQuestions) -> timedelta:
    """How long what was found of ``domain`` holds."""
    if domain.proven.may_be_refusing_us:
        return timedelta(0)
    return BACKUP_FRESH_FOR if domain.is_at_backup else CATCH_ALL_FRESH_FOR


def _is_definitive(answer: Answer) -> bool:
    """Whether the answer settles the mailbox; of refusals only permanent ones about the address or its domain do."""
    if answer.reading.reason is Reason.ACCEPTED:
        return answer.reply.code // 100 == 2
    return answer.reply.code // 100 == 5 and answer.reading.about in (About.ADDRESS, About.DOMAIN)
