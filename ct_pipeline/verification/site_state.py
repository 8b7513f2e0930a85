"""What is known of one site while it is asked: who needs a session next, what sessions showed, when to stop. Pure."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.bookkeeper import Bookkeeper, mailbox_addresses
from ct_pipeline.verification.dialogue import STOP_REASONS, Dialogue
from ct_pipeline.verification.disbelief import IN_DOUBT, IN_DOUBT_REPLY, REFUSES_US, REFUSES_US_REPLY
from ct_pipeline.verification.host_group import Closing, HostGroup
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.pace import SitePace, is_strain
from ct_pipeline.verification.probe import ProbeKind, Reply, Stage
from ct_pipeline.verification.questions import Answer, Question
from ct_pipeline.verification.reply_parser import no_reply
from ct_pipeline.verification.site_plan import SitePlan
from ct_pipeline.verification.witness_watch import WitnessWatch
from ct_pipeline.vocabulary import Reason

MAX_FRUITLESS_SESSIONS = 2  # sessions in a row without one proven answer, after which the hosts are left alone
# A domain that accepts what it refused may have become a catch-all; a second one at the same site is no coincidence.
DOUBTED_DOMAINS_BEFORE_STOPPING = 2
LEAST_SESSION_ADDRESSES = 5  # a host that ends sessions earlier than that is left to end them
# What has nothing to do with how many connections are open.
_NOT_FOR_NUMBERS = STOP_REASONS - {Reason.RATE_LIMITED} | {Reason.EGRESS_TROUBLE}
_OUT_OF_STEP = no_reply(Stage.RCPT, "out of step: the host sent more replies than it was asked for")
_NOWHERE = no_reply(Stage.CONNECT, "no route: no address to dial")


class SiteState:
    """Decides for one :class:`SitePlan`; ``now`` is passed in everywhere.

    ``stopped_because`` says why the whole site is left alone, if it is. ``pace`` is the site's, and may be shared with
    another plan of the same site.
    """

    def __init__(self, plan: SitePlan, notebook: Notebook, read: Callable[[Reply], Reading], pace: SitePace) -> None:
        self.plan = plan
        self.pace = pace
        self.stopped_because: Reading | None = None
        self.reasons: Counter[Reason] = Counter()  # of the list's own addresses that were answered
        self._refuses_us = pace.breaker is not None and pace.breaker.text == REFUSES_US_REPLY.text  # heeded already
        self.books = Bookkeeper(notebook, asks_once=plan.asks_once, refuses_us=self._refuses_us)
        self._doubted_count = 0  # domains
        self._has_said_more_than_later = False  # greylisting is no word for or against us
        self._heeded: tuple[HostGroup, Answer, int] | None = None  # who turned us away, how, in which session
        self._read = read
        self._domains = {domain.domain: domain for group in plan.groups for domain in group.domains}
        self._groups = deque(plan.groups)  # those that may still need a session
        self._watch: WitnessWatch[HostGroup] = WitnessWatch()
        for group in plan.groups:
            group.watch = self._watch
            group.is_cautious = pace.memory.is_cautious
            group.uses_other_sender = pace.memory.prefers_other_sender

    @property
    def waiting_count(self) -> int:
        """Addresses that no session has taken up yet."""
        return sum(domain.waiting_count for domain in self._domains.values())

    def needy_group(self, now: datetime) -> HostGroup | None:
        """The group that should get a session next, in turn, or None."""
        if self.stopped_because is not None or self._watch.is_refused or not self.pace.may_connect(now):
            return None
        if (group := self._group_of_witness()) is not None:
            return group
        for _ in range(len(self._groups)):
            group = self._groups.popleft()
            wants_session = group.wants_session(self.session_addresses(group))
            if wants_session or group.live_sessions:
                self._groups.append(group)  # any other has nothing to ask, and nobody who could give something back
            if wants_session:
                return group
        return None

    def is_held_up(self, now: datetime) -> bool:
        """Whether a group wants a session that only has to wait until others of the site have ended."""
        if not self._groups or self.stopped_because is not None or self.pace.is_open(now):
            return False
        if self.pace.may_connect(now):
            return False
        if self._group_of_witness() is not None:
            return True
        return any(group.wants_session(self.session_addresses(group)) for group in self._groups)

    def session_addresses(self, group: HostGroup) -> int:
        """The most addresses of one session with ``group``."""
        return min(self.pace.session_addresses, group.session_addresses)

    def record(self, group: HostGroup, session_id: int, answers: Sequence[Answer], now: datetime) -> None:
        """Keep the proven ``answers`` of a session with ``group``; others may now help with their domains."""
        for answer in answers:
            if answer.question.kind is ProbeKind.MAILBOX:
                self.reasons[answer.reading.reason] += 1
        self.books.record(session_id, answers, self._domains, now)
        for name in {answer.question.domain for answer in answers}:
            group.share(self._domains[name])
        self._feel(answers, now)
        self._heed_doubts(group, session_id, now)
        self._heed_witness(group, answers, session_id, now)

    def heed(self, group: HostGroup, dialogue: Dialogue, session_id: int, now: datetime) -> None:
        """A session has just been told that we are unwelcome: all others stop now, not when that one has closed."""
        refusal = dialogue.refusal
        if refusal is None or self.stopped_because is not None or refusal.reading.reason not in STOP_REASONS:
            return
        if refusal.reading.reason is Reason.SENDER_REFUSED and dialogue.may_change_sender:
            return
        self._open_breaker(refusal.reading, refusal.reply, now)
        self.stopped_because = refusal.reading
        self._heeded = (group, refusal, session_id)

    def conclude(self, group: HostGroup, dialogue: Dialogue, session_id: int, now: datetime) -> bool:
        """Learn from the end of a session. Returns whether it came to nothing, so that another host may do better."""
        self._learn_manners(group, dialogue, now)
        if self._has_said_more_than_later and self.books.refuses_us and self.stopped_because is None:
            self._turn_away(REFUSES_US, REFUSES_US_REPLY, group, group.domains[0].domain, session_id, now)  # still
        refusal, trouble = dialogue.refusal, dialogue.refusal or dialogue.loss
        if dialogue.is_out_of_step:
            self._distrust(group, dialogue.voided, session_id, now)
            trouble = self._about_host(group, _OUT_OF_STEP, now)
        if refusal is not None and dialogue.may_change_sender and refusal.reading.reason is Reason.SENDER_REFUSED:
            self.books.writer.probe(session_id, self._as_word_of_host(group, refusal, now))
            group.change_sender()
            return False
        if dialogue.is_fruitful:
            self.pace.learn(now, prefers_other_sender=group.uses_other_sender)
        if refusal is not None and _is_final(refusal):
            self._close(group, refusal, session_id, now)
            return True
        if refusal is None and dialogue.is_fruitful:
            group.fruitless_sessions = 0
            return False
        if trouble is None or not (refusal or dialogue.is_out_of_step or dialogue.was_in_vain):
            return False
        group.fruitless_sessions += 1
        if group.fruitless_sessions >= MAX_FRUITLESS_SESSIONS:
            self._close(group, trouble, session_id, now)
        return True

    def find_unreachable(self, group: HostGroup, refusals: Sequence[tuple[Reply, int]], now: datetime) -> bool:
        """No host of ``group`` let a session come about. Returns whether that is only for too many connections.

        Args:
            refusals: for each host that was tried, what it said (or its silence) and the session that shows it.
        """
        addresses = [address for mx in group.mx_hosts for address in mx.addresses]
        is_turned_away = any(self._read(reply).reason in _NOT_FOR_NUMBERS for reply, _ in refusals)
        if not is_turned_away and self.pace.is_only_full(addresses):
            self.pace.full(addresses, now)
            return True
        # What a host said tells more than what another one kept silent about.
        reply, session_id = next((r for r in refusals if r[0].code), refusals[-1] if refusals else (_NOWHERE, 0))
        if reply.code:
            self.pace.strain(now)
        self._close(group, self._about_host(group, reply, now), session_id, now)
        return False

    def begin(self, now: datetime) -> None:
        """Before the first session: settle what needs none, such as addresses of catch-alls that are known already."""
        for group in self.plan.groups:
            for domain in group.domains:
                if domain.accepted_before or domain.is_catch_all:
                    self.books.take_over(domain)
                    self.books.settle(domain, now)

    def end(self, now: datetime) -> None:
        """After the last session: settle what came back from it when its domain was settled, or its hosts closed."""
        if self._heeded is not None and self._heeded[0].closing is None:  # its session did not end by it after all
            group, refusal, session_id = self._heeded
            self._close(group, refusal, session_id, now)
        self._settle_leftovers(now)
        self.books.leave_held(now)
        self._watch.end()

    def _settle_leftovers(self, now: datetime) -> None:
        for group in self.plan.groups:
            for domain in group.domains:
                self.books.settle(domain, now)
            if group.closing is not None:
                self._postpone(group, group.closing, now)

    def _feel(self, answers: Sequence[Answer], now: datetime) -> None:
        """Whether the answers show that the site bears our pace."""
        clean_count = 0
        for _, reply, reading, _, _ in answers:
            self._has_said_more_than_later |= reading.reason is not Reason.GREYLISTED
            if is_strain(reply, reading):
                self.pace.strain(now)
            elif reply.code and reading.reason not in STOP_REASONS:
                # What a host that refuses everybody says is no welcome, until it accepts somebody.
                clean_count += reading.reason is Reason.ACCEPTED or not self.books.refuses_us
        if clean_count:
            self.pace.clean(clean_count, now)

    def _heed_doubts(self, group: HostGroup, session_id: int, now: datetime) -> None:
        """A site that accepts what it refused before is asked more slowly, or not at all: it may distrust us."""
        doubted = self.books.distrusting_domains
        if len(doubted) == self._doubted_count:
            return
        self._doubted_count = len(doubted)
        self.pace.strain(now)
        if len(doubted) >= DOUBTED_DOMAINS_BEFORE_STOPPING and self.stopped_because is None:
            self._turn_away(IN_DOUBT, IN_DOUBT_REPLY, group, min(doubted), session_id, now)

    def _heed_witness(self, group: HostGroup, answers: Sequence[Answer], session_id: int, now: datetime) -> None:
        """A site that refuses whom it accepted a short time ago refuses us: it is left alone as after any block."""
        knew_it, self._refuses_us = self._refuses_us, self.books.refuses_us
        if self._refuses_us and not knew_it and self.stopped_because is None:
            self._turn_away(REFUSES_US, REFUSES_US_REPLY, group, group.domains[0].domain, session_id, now)
        elif self._watch.is_refused and any(answer.question.kind is ProbeKind.WITNESS for answer in answers):
            self._watch.put_back()

    def _turn_away(
        self, reading: Reading, reply: Reply, group: HostGroup, domain: str, session_id: int, now: datetime
    ) -> None:
        """Nobody says so, but its answers show that the site is to be left alone."""
        self._open_breaker(reading, reply, now)
        self.stopped_because = reading
        self._heeded = (group, Answer(Question(ProbeKind.SESSION, domain, ""), reply, reading, now, now), session_id)

    def _open_breaker(self, reading: Reading, reply: Reply, now: datetime) -> None:
        """``reply`` wants none of us. That a site refuses whom it accepted stays in mind, whatever it says."""
        if self.books.refuses_us:
            reading, reply = replace(REFUSES_US, retry_seconds=reading.retry_seconds), REFUSES_US_REPLY
        self.pace.unwelcome(reading, reply, now)

    def _group_of_witness(self) -> HostGroup | None:
        """The group to open a session with because a witness is due, where none is at work there that will ask it."""
        group = next((group for group in self._watch.hosts_to_visit() if not group.is_closed), None)
        return group if group is not None and not group.live_sessions else None

    def _learn_manners(self, group: HostGroup, dialogue: Dialogue, now: datetime) -> None:
        group.is_cautious = dialogue.loss is not None and not dialogue.is_pipelining_broken
        group.recipients_per_transaction = dialogue.recipients_per_transaction
        group.window = max(group.window, dialogue.window)
        if dialogue.was_left_by_host:
            self.pace.strain(now)
            most = max(LEAST_SESSION_ADDRESSES, dialogue.answer_count)
            group.session_addresses = min(group.session_addresses, most)
        self.pace.learn(
            now,
            is_pipelining_broken=dialogue.is_pipelining_broken,
            is_cautious=group.is_cautious if dialogue.has_answers else None,
        )

    def _distrust(self, group: HostGroup, voided: Iterable[Answer], session_id: int, now: datetime) -> None:
        by_domain: dict[str, list[Answer]] = {}
        for answer in voided:
            by_domain.setdefault(answer.question.domain, []).append(answer)
        for name, answers in by_domain.items():
            verdict = self._about_host(group, _OUT_OF_STEP, now, name)
            probe_id = self.books.writer.probe(session_id, verdict)
            self.books.distrust(mailbox_addresses(answers), verdict.reading, probe_id, now)

    def _close(self, group: HostGroup, refusal: Answer, session_id: int, now: datetime) -> None:
        """Leave the hosts of ``group`` alone for this run; those of the whole site, when we are unwelcome."""
        is_unwelcome = refusal.reading.reason in STOP_REASONS or refusal.reply == IN_DOUBT_REPLY
        is_cut_off = refusal.reading.reason is Reason.EGRESS_TROUBLE  # our own way out is the same to every host
        until_at = None
        if is_unwelcome:
            if self.stopped_because is None:
                self._open_breaker(refusal.reading, refusal.reply, now)
            until_at = self.pace.breaker.until_at if self.pace.breaker else None
        if is_unwelcome or is_cut_off:
            self.stopped_because = refusal.reading
        elif group.closing is not None:
            return
        verdict = self._as_word_of_host(group, refusal, now)
        closing = Closing(verdict.reading, self.books.writer.probe(session_id, verdict), until_at)
        for closed in self.plan.groups if is_unwelcome or is_cut_off else (group,):
            if closed.closing is None:
                closed.closing = closing
                self._postpone(closed, closing, now)

    def _postpone(self, group: HostGroup, closing: Closing, now: datetime) -> None:
        for domain in group.domains:
            self.books.postpone(domain, closing, now)

    def _as_word_of_host(self, group: HostGroup, refusal: Answer, now: datetime) -> Answer:
        return self._about_host(group, refusal.reply, now, refusal.question.domain, refusal.asked_at)

    def _about_host(
        self, group: HostGroup, reply: Reply, now: datetime, domain: str = "", asked_at: datetime | None = None
    ) -> Answer:
        """``reply``, to whatever it came, as the hosts' word to all their addresses."""
        question = Question(ProbeKind.SESSION, domain or group.domains[0].domain, "")
        return Answer(question, reply, self._read(reply), asked_at or now, now)


def _is_final(refusal: Answer) -> bool:
    """Whether the host has said that it will not be asked on, rather than only fallen silent."""
    is_about_session = refusal.question.kind is ProbeKind.SESSION and refusal.reply.code > 0
    return is_about_session or refusal.reading.reason in STOP_REASONS
