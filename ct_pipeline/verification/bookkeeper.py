"""Turns proven answers into rows for the ledger: probes as they came, when each address is due again, catch-all facts.

An accepted address is only finished once its domain is settled: until the random name has been answered, nobody knows
whether the host accepts every name. So its turn is held, and released with the domain. Where the host turns out to
accept what it has refused before, its acceptances since its last clear refusal are taken back. What refusals are
worth is decided in :mod:`~ct_pipeline.verification.refusals`.

Every due address gets a turn, unless the run ends before it was asked; and another one when its answer turns out to be
worth more, or less. The last one counts.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.acceptances import Acceptances, Held
from ct_pipeline.verification.disbelief import IN_DOUBT, IN_DOUBT_REPLY
from ct_pipeline.verification.domain_knowledge import is_clear_refusal, is_evasive
from ct_pipeline.verification.host_group import Closing
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import CatchAllFact, DueAddress, ProbeKind, Turn
from ct_pipeline.verification.questions import Answer, DomainQuestions, Question
from ct_pipeline.verification.record_writer import RecordWriter
from ct_pipeline.verification.refusals import Refusals, is_clear_for_good
from ct_pipeline.vocabulary import About, Reason

CATCH_ALL_FRESH_FOR = timedelta(days=30)  # people switch catch-all on and off; a month is what list cleaning needs
# A backup may accept any name where the first host does not; that one is seldom away for longer.
BACKUP_FRESH_FOR = timedelta(days=1)
# Of a finding that is none: replies of a run that began up to a day before still count by what has expired.
FORGOTTEN_SINCE = timedelta(days=2)


class Bookkeeper:
    """Keeps the books of one site's run. ``now`` is passed in everywhere."""

    def __init__(self, notebook: Notebook, *, asks_once: bool = False, refuses_us: bool = False) -> None:
        self.writer = RecordWriter(notebook, asks_once=asks_once)
        self._refusals = Refusals(self.writer, refuses_us=refuses_us)
        self._acceptances = Acceptances()
        self._noted_facts: dict[str, tuple[bool | None, bool | None, bool]] = {}  # in this run
        self._last_probe: dict[str, int] = {}  # by domain
        self._last_session: dict[str, int] = {}  # likewise
        self._doubt_probes: dict[str, int] = {}  # domain -> the probe that says why its acceptances prove nothing
        self._host_of: dict[int, str] = {}  # session -> the address that it talks to
        self._about_all: dict[str, tuple[int, Answer]] = {}  # domain -> an answer that it may give to all, its session
        self.doubted_domains: set[str] = set()  # they accept what they have refused before
        self.distrusting_domains: set[str] = set()  # of these, those that cast doubt on their site

    @property
    def turn_count(self) -> int:
        """Turns written; an address may have had several."""
        return self.writer.turn_count

    @property
    def refuses_us(self) -> bool:
        """Whether the site has come to refuse whom it accepted, so that its refusals say nothing."""
        return self._refusals.refuses_us

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
            probe_id = self.writer.probe(session_id, answer)
            self._last_probe[name], self._last_session[name] = probe_id, session_id
            if answer.reading.about is About.DOMAIN or is_evasive(answer.reading):
                self._about_all[name] = (session_id, answer)
            if is_clear_refusal(answer.reading):
                self._acceptances.confirm(name)
                last_refusal[name] = len(noted)
            domains[name].learn(domains[name].proven, answer.question, answer.reading)
            noted.append((answer, probe_id))
        for place, (answer, probe_id) in enumerate(noted):
            if answer.question.due is not None and not is_clear_for_good(answer):
                is_confirmed = place < last_refusal.get(answer.question.domain, 0)
                self._record_mailbox(touched[answer.question.domain], answer, probe_id, now, is_confirmed=is_confirmed)
            self._refusals.weigh(session_id, answer, probe_id, domains, now)
        self._forget_facts(domains, now)
        self._refusals.hear_out_vague(self._host_of.get(session_id, ""), noted, touched, now)
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
            self.writer.put(turn)

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
                self.writer.put(Turn(due.address_id, None, due.attempt_count, None))
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
                self.writer.put(Turn(due.address_id, closing.until_at, due.attempt_count, closing.probe_id))
            else:
                self.writer.turn(due, closing.reading, closing.probe_id, now, was_asked=was_asked)
        self._release_held(domain, closing.reading, now)

    def distrust(self, addresses: Iterable[DueAddress], reading: Reading, probe_id: int, now: datetime) -> None:
        """Answers to ``addresses`` were voided: they are due again."""
        for due in addresses:
            self.writer.turn(due, reading, probe_id, now)

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
        if answer.reading.about is About.DOMAIN:
            self.writer.turn_until_second_word(due, probe_id, answer.asked_at, now)
            return
        self.writer.turn(due, answer.reading, probe_id, now, is_definitive=_is_definitive(answer))
        if is_accepted and not is_confirmed:
            self._acceptances.write_down(due)

    def _take_back(self, domain: DomainQuestions, now: datetime) -> None:
        """The domain accepts what it has refused before: nothing that it accepted since then is proof."""
        self.doubted_domains.add(domain.domain)
        if not domain.proven.has_refused_once:  # else more likely a catch-all than distrust
            self.distrusting_domains.add(domain.domain)
        probe_id = self._doubt(domain.domain, now)
        for held in self._acceptances.release(domain.domain):
            self.writer.turn(held.due, IN_DOUBT, probe_id, now)
        for due in self._acceptances.take_back(domain.domain):
            self.writer.turn(due, IN_DOUBT, probe_id, now, is_retracted=True)
        for due in domain.take_waiting():
            self.writer.turn(due, IN_DOUBT, probe_id, now)

    def _doubt(self, name: str, now: datetime) -> int:
        """The probe that stands in the place of acceptances which contradict what is known of the domain."""
        if name not in self._doubt_probes:
            session_id = self._last_session.get(name, 0)
            self._doubt_probes[name] = self.writer.own_words(session_id, name, IN_DOUBT_REPLY, IN_DOUBT, now)
        return self._doubt_probes[name]

    def _stop(self, domain: DomainQuestions, reading: Reading, now: datetime) -> None:
        """The domain's answers make further questions pointless: they settle it, or it is tried again another day.

        Who was not asked gets the last such answer as a word that all share, which is no evidence on any mailbox
        unless it speaks of the domain. It counts as an attempt, or the domain would be tried for ever.
        """
        waiting = domain.take_waiting()
        probe_id = self._note_about_all(domain.domain) if waiting and domain.domain in self._about_all else None
        for due in waiting:
            if reading.about is About.DOMAIN:
                self.writer.turn_until_second_word(due, probe_id, now, now, is_definitive=False)
            else:
                self.writer.turn(due, reading, probe_id, now)

    def _note_about_all(self, name: str) -> int:
        session_id, answer = self._about_all[name]
        question = Question(ProbeKind.SESSION, name, "")
        return self.writer.probe(session_id, answer._replace(question=question))

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
        self.writer.fact(
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

    def _forget_facts(self, domains: dict[str, DomainQuestions], now: datetime) -> None:
        """What refusals that are not believed seemed to say of their domains."""
        for name in self._refusals.disbelieved:
            if domains[name].proven.is_catch_all is None and self._noted_facts.pop(name, None):
                self.writer.fact(
                    CatchAllFact(name, False, None, self._last_probe.get(name), now, now - FORGOTTEN_SINCE)
                )
        self._refusals.disbelieved.clear()

    def _release_held(self, domain: DomainQuestions, doubt: Reading | None, now: datetime) -> None:
        for due, probe_id, is_suspect in self._acceptances.release(domain.domain):
            if doubt is None:
                self.writer.put(Turn(due.address_id, None, due.attempt_count + 1, probe_id, is_definitive=True))
            elif is_suspect:
                self.writer.turn(due, doubt, self._doubt(domain.domain, now), now)
            else:
                self.writer.turn(due, doubt, probe_id, now, is_definitive=True)


def mailbox_addresses(answers: Iterable[Answer]) -> list[DueAddress]:
    """The list's own addresses among ``answers``."""
    return [a.question.due for a in answers if a.question.kind is ProbeKind.MAILBOX and a.question.due is not None]


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
