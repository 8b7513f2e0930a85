"""All the sessions with one site: how many at once, with which of its hosts, and when to stop asking."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.bookkeeper import Bookkeeper, mailbox_addresses
from ct_pipeline.verification.connection import Connection, Refusal, Timeouts, open_connection
from ct_pipeline.verification.dialogue import STOP_REASONS, Answer, Dialogue, Envelope
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import ProbeKind, Reply, Session, Stage
from ct_pipeline.verification.questions import DomainQuestions, Question
from ct_pipeline.verification.reply_parser import no_reply
from ct_pipeline.vocabulary import Reason

MAX_DIALS = 6  # hosts and addresses tried before a group of domains counts as unreachable for now
MAX_FRUITLESS_SESSIONS = 2  # sessions in a row without one answer, after which the hosts are left alone


@dataclass(frozen=True)
class SitePlan:
    """A site's share of a lane: limits, and what to ask of which hosts."""

    site: str
    lane: str
    provider: str
    connections: int
    session_addresses: int
    groups: tuple[HostGroup, ...]


@dataclass(frozen=True)
class Surroundings:
    """What every session needs: who we are, how long we wait, how many may be open, and how replies are read."""

    envelope: Envelope
    port: int
    timeouts: Timeouts
    slots: asyncio.Semaphore
    read: Callable[[Reply, str], Reading]
    may_ask: Callable[[], bool] = lambda: True  # False while the lane's lock is in doubt
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seed: int = 0


@dataclass
class SiteRun:
    """Runs one :class:`SitePlan`. After :meth:`run`, ``stopped_because`` says why questions were left over, if any."""

    plan: SitePlan
    around: Surroundings
    notebook: Notebook
    stopped_because: Reading | None = None
    reasons: Counter[Reason] = field(default_factory=Counter)  # of the list's own addresses that were answered
    session_count: int = 0

    def __post_init__(self) -> None:
        self._books = Bookkeeper(self.notebook)
        self._domains = {domain.domain: domain for group in self.plan.groups for domain in group.domains}
        for domain in self._domains.values():
            self._books.remember_fact(domain)
        self._connections = self.plan.connections
        self._live: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self._greeted = 0
        self._unreachable: dict[str, Reply] = {}
        self._dice = random.Random(f"{self.around.seed}:{self.plan.site}")  # noqa: S311 - spreads load, hides nothing

    async def run(self) -> None:
        """Ask everything that can be asked now. Cancelling ends the sessions and keeps what is proven."""
        try:
            while True:
                while len(self._live) < self._connections and (group := self._needy_group()):
                    await self.around.slots.acquire()
                    self._live.add(asyncio.create_task(self._session(group)))
                if not self._live:
                    return
                done, self._live = await asyncio.wait(self._live, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            # Python 3.11: asyncio.wait_for, which aiosmtplib uses, can swallow a cancellation. Nothing is asked anyway.
            self._is_ending = True
            for task in self._live:
                task.cancel()
            await asyncio.gather(*self._live, return_exceptions=True)

    def _needy_group(self) -> HostGroup | None:
        if self.stopped_because is not None or not self._may_ask():
            return None
        for group in self.plan.groups:
            waiting = group.open_count()
            enough = -(-waiting // self.plan.session_addresses)
            if waiting and (not self._live or enough > len(self._live)):
                return group
        return None

    def _may_ask(self) -> bool:
        return not self._is_ending and self.around.may_ask()

    # -- one session ---

    async def _session(self, group: HostGroup) -> None:
        try:
            opened = await self._dial(group)
            if isinstance(opened, _Opened):
                await self._converse(group, opened)
        finally:
            self.around.slots.release()

    async def _dial(self, group: HostGroup) -> "_Opened | None":
        refusals: list[tuple[Reply, int]] = []
        for host, address in self._endpoints(group):
            known = self._unreachable.get(address)
            if known is not None:
                refusals.append((known, 0))
                continue
            started_at = self.around.clock()
            outcome = await open_connection(
                address, self.around.port, host, self.around.envelope.helo_name, self.around.timeouts
            )
            opened = _Opened(self.notebook.new_session_id(), host, address, started_at, outcome)
            if isinstance(outcome, Connection):
                self._greeted += 1
                return opened
            self._unreachable[address] = outcome.reply
            self._note_session(opened, None, "refused" if outcome.reply.code else "unreachable")
            refusals.append((outcome.reply, opened.session_id))
        self._take_refusal(group, refusals)
        return None

    def _take_refusal(self, group: HostGroup, refusals: list[tuple[Reply, int]]) -> None:
        others = len(self._live) - 1
        if self._greeted and others > 0:
            self._connections = others  # the site talks to us, but not over so many connections
            self._unreachable.clear()
            return
        if group.is_closed:
            return
        # What a host said tells more than what another one kept silent about.
        reply, session_id = next((r for r in refusals if r[0].code), refusals[-1] if refusals else (_NOWHERE, 0))
        now = self.around.clock()
        question = Question(ProbeKind.SESSION, group.domains[0].domain if group.domains else "", "")
        self._close(group, Answer(question, reply, self._read(reply), now, now), session_id)

    async def _converse(self, group: HostGroup, opened: "_Opened") -> None:
        connection = opened.connection
        source = _SessionQuestions(group, self._may_ask)
        dialogue = Dialogue(
            source=source,
            read=self._read,
            envelope=self.around.envelope,
            capabilities=connection.capabilities,
            session_addresses=self.plan.session_addresses,
        )

        def keep_proven() -> None:
            if answers := dialogue.take_proven():
                self.reasons.update(a.reading.reason for a in answers if a.question.kind is ProbeKind.MAILBOX)
                self._books.record(opened.session_id, answers, self._domains)
                for name in {answer.question.domain for answer in answers}:
                    group.share(self._domains[name])

        try:
            await connection.converse(dialogue, self.around.clock, self.around.timeouts, keep_proven)
        finally:
            keep_proven()
            source.finish()
            self._note_session(opened, dialogue, _outcome(dialogue))
        self._conclude(group, dialogue, opened.session_id)

    def _conclude(self, group: HostGroup, dialogue: Dialogue, session_id: int) -> None:
        if dialogue.is_out_of_step:
            self._distrust(group, dialogue.voided, session_id)
            return
        refusal = dialogue.refusal
        group.fruitless_sessions = 0 if dialogue.has_answers and refusal is None else group.fruitless_sessions + 1
        if refusal is None:
            return
        is_final = refusal.reading.reason in STOP_REASONS or refusal.question.kind is ProbeKind.SESSION
        if is_final or group.fruitless_sessions >= MAX_FRUITLESS_SESSIONS:
            self._close(group, refusal, session_id)

    def _distrust(self, group: HostGroup, voided: list[Answer], session_id: int) -> None:
        reply = no_reply(Stage.RCPT, "out of step: the host sent more replies than it was asked for")
        reading, now = self._read(reply), self.around.clock()
        names = {answer.question.domain for answer in voided} or {d.domain for d in group.domains[:1]}
        for name in sorted(names):
            question = Question(ProbeKind.SESSION, name, "")
            probe_id = self._books.note_probe(session_id, Answer(question, reply, reading, now, now))
            mine = [answer for answer in voided if answer.question.domain == name]
            self._books.distrust(mailbox_addresses(mine), reading, probe_id, now)
            self._domains[name].forget()
            self._books.postpone(self._domains[name], reading, probe_id, now)

    def _close(self, group: HostGroup, refusal: Answer, session_id: int) -> None:
        """Leave the hosts of ``group`` alone for this run; those of the whole site, when we are unwelcome."""
        is_unwelcome = refusal.reading.reason in STOP_REASONS
        if is_unwelcome or self.stopped_because is None:
            self.stopped_because = refusal.reading if is_unwelcome else None
        probe_id = self._books.note_probe(session_id, _about_the_host(refusal))
        for closed in self.plan.groups if is_unwelcome else (group,):
            closed.is_closed = True
            for domain in closed.domains:
                self._books.postpone(domain, refusal.reading, probe_id, self.around.clock())

    # -- small things ---

    def _read(self, reply: Reply) -> Reading:
        return self.around.read(reply, self.plan.provider)

    def _endpoints(self, group: HostGroup) -> Iterator[tuple[str, str]]:
        hosts = sorted(group.mx_hosts, key=lambda mx: (mx.preference, self._dice.random()))
        pairs = [(mx.host, address) for mx in hosts for address in mx.addresses]
        yield from pairs[:MAX_DIALS]

    def _note_session(self, opened: "_Opened", dialogue: Dialogue | None, outcome: str) -> None:
        envelope = self.around.envelope
        self.session_count += 1
        self.notebook.page.sessions.append(
            Session(
                session_id=opened.session_id,
                lane=self.plan.lane,
                site=self.plan.site,
                mx_host=opened.host,
                mx_address=opened.address,
                helo_name=envelope.helo_name,
                mail_from=envelope.mail_from,
                started_at=opened.started_at,
                ended_at=self.around.clock(),
                command_count=dialogue.command_count if dialogue else 0,
                rcpt_count=dialogue.rcpt_count if dialogue else 0,
                is_tls=isinstance(opened.outcome, Connection) and opened.outcome.is_tls,
                outcome=outcome,
            )
        )


_NOWHERE = no_reply(Stage.CONNECT, "no route: no address to dial")


@dataclass(frozen=True)
class _Opened:
    """An attempt to open a session, and what came of it."""

    session_id: int
    host: str
    address: str
    started_at: datetime
    outcome: Connection | Refusal

    @property
    def connection(self) -> Connection:
        assert isinstance(self.outcome, Connection)
        return self.outcome


class _SessionQuestions:
    """The questions of one session: it stays with a domain until that is done, then claims another."""

    def __init__(self, group: HostGroup, may_ask: Callable[[], bool]) -> None:
        self._group = group
        self._may_ask = may_ask
        self._claimed: dict[str, DomainQuestions] = {}
        self._current: DomainQuestions | None = None
        self._has_asked = False
        self._is_spent = False

    def next_question(self) -> Question | None:
        if self._is_spent or self._group.is_closed or not self._may_ask():
            return None
        if self._current is None or not self._current.open_count:
            self._current = self._group.claim()
            if self._current is not None:
                self._claimed[self._current.domain] = self._current
        if self._current is None:
            return None
        if self._current.wants_own_session:
            self._is_spent = True
            if self._has_asked:
                return None  # the next session begins with this question, and asks nothing else
        self._has_asked = True
        return self._current.next()

    def receive(self, question: Question, reading: Reading) -> None:
        self._claimed[question.domain].receive(question, reading)

    def put_back(self, question: Question) -> None:
        self._claimed[question.domain].put_back(question)

    def finish(self) -> None:
        for domain in self._claimed.values():
            self._group.release(domain)


def _outcome(dialogue: Dialogue) -> str:
    if dialogue.is_out_of_step:
        return "out_of_step"
    if dialogue.refusal is None:
        return "done"
    if dialogue.refusal.reply.code:
        return "refused"
    return "timeout" if "time" in dialogue.refusal.reply.text else "lost"


def _about_the_host(refusal: Answer) -> Answer:
    question = Question(ProbeKind.SESSION, refusal.question.domain, "")
    return Answer(question, refusal.reply, refusal.reading, refusal.asked_at, refusal.answered_at)
