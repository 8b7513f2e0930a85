"""All the sessions with one site: how many at once, with which of its hosts, and when to stop asking."""

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.bookkeeper import Bookkeeper, mailbox_addresses
from ct_pipeline.verification.connection import Connection
from ct_pipeline.verification.dialer import Attempt, Dialer
from ct_pipeline.verification.dialogue import STOP_REASONS, Dialogue
from ct_pipeline.verification.host_group import Closing, HostGroup
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import ProbeKind, Reply, Session, Stage
from ct_pipeline.verification.questions import Answer, Question
from ct_pipeline.verification.reply_parser import no_reply
from ct_pipeline.verification.session_questions import SessionQuestions
from ct_pipeline.verification.surroundings import Surroundings
from ct_pipeline.vocabulary import Reason

MAX_FRUITLESS_SESSIONS = 2  # sessions in a row without one proven answer, after which the hosts are left alone
_OUT_OF_STEP = no_reply(Stage.RCPT, "out of step: the host sent more replies than it was asked for")
_NOWHERE = no_reply(Stage.CONNECT, "no route: no address to dial")


@dataclass(frozen=True)
class SitePlan:
    """A site's share of a lane: limits, and what to ask of which hosts."""

    site: str
    lane: str
    provider: str
    connections: int
    session_addresses: int
    groups: tuple[HostGroup, ...]


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
        self._connections = self.plan.connections
        self._groups = deque(self.plan.groups)  # those that may still need a session
        self._live: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()  # a session ended, or others may help with what it found
        self._failure: BaseException | None = None
        self._refused_sessions: dict[str, int] = {}  # by address: the session that found it unreachable
        self._is_stopping = False
        dice = random.Random(f"{self.around.seed}:{self.plan.site}")  # noqa: S311 - spreads load, hides nothing
        self._dialer = Dialer(self.around, dice)

    @property
    def turn_count(self) -> int:
        """Addresses that are no longer due now, or were put off."""
        return self._books.turn_count

    async def run(self) -> None:
        """Ask everything that can be asked now. Cancelling ends the sessions and keeps what is proven."""
        self._settle_leftovers()  # of catch-alls that are known already, nothing has to be asked
        try:
            while True:
                await self._start_sessions()
                if not self._live:
                    break
                await self._news.wait()
                self._news.clear()
                if self._failure is not None:
                    raise self._failure
        finally:
            self._is_stopping = True
            for task in self._live:
                task.cancel()
            await asyncio.gather(*self._live, return_exceptions=True)
        self._settle_leftovers()

    # -- how many sessions ---

    async def _start_sessions(self) -> None:
        while self._needy_group() is not None:
            await self.around.slots.acquire()
            group = self._needy_group()  # while we waited for the slot, much may have changed
            if group is None or self._failure is not None:
                self.around.slots.release()
                return
            group.live_sessions += 1
            task = asyncio.create_task(self._session(group))
            self._live.add(task)
            # A callback, since a task that is cancelled before it starts runs none of its own clean-up.
            task.add_done_callback(partial(self._end_session, group))

    def _end_session(self, group: HostGroup, task: asyncio.Task[None]) -> None:
        self.around.slots.release()
        group.live_sessions -= 1
        self._live.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
        self._news.set()

    def _needy_group(self) -> HostGroup | None:
        """The next group that should get a session, in turn; groups that are done are dropped on the way."""
        if not self._may_ask() or len(self._live) >= self._connections:
            return None
        for _ in range(len(self._groups)):
            group = self._groups.popleft()
            wants_session = group.wants_session(self.plan.session_addresses)
            if wants_session or group.live_sessions:
                self._groups.append(group)
            if wants_session:
                return group
        return None

    def _may_ask(self) -> bool:
        return self.stopped_because is None and not self._is_stopping and self.around.may_ask()

    # -- one session ---

    async def _session(self, group: HostGroup) -> None:
        refusals: list[tuple[Reply, int]] = []
        opened = await self._dialer.dial(group, lambda attempt: refusals.append(self._note_refusal(attempt)))
        if opened is None:
            self._take_refusal(group, refusals)
        else:
            assert isinstance(opened.outcome, Connection)
            group.has_greeted = True
            await self._converse(group, opened, opened.outcome)

    def _note_refusal(self, attempt: Attempt) -> tuple[Reply, int]:
        assert not isinstance(attempt.outcome, Connection)
        reply = attempt.outcome.reply
        if not attempt.was_dialled:
            return reply, self._refused_sessions[attempt.address]
        session_id = self._refused_sessions[attempt.address] = self.notebook.new_session_id()
        self._note_session(session_id, attempt, None, "refused" if reply.code else "unreachable")
        return reply, session_id

    def _take_refusal(self, group: HostGroup, refusals: list[tuple[Reply, int]]) -> None:
        others = group.live_sessions - 1
        if group.has_greeted and others > 0:
            # These hosts talk to us, but not over so many connections.
            self._connections = max(1, min(self._connections, len(self._live)) - 1)
            self._dialer.forgive(group)
            return
        # What a host said tells more than what another one kept silent about.
        reply, session_id = next((r for r in refusals if r[0].code), refusals[-1] if refusals else (_NOWHERE, 0))
        self._close(group, self._about_host(group, reply), session_id)

    async def _converse(self, group: HostGroup, opened: Attempt, connection: Connection) -> None:
        session_id = self.notebook.new_session_id()
        source = SessionQuestions(group, self._may_ask)
        dialogue = Dialogue(
            source=source,
            read=self._read,
            envelope=self.around.envelope,
            capabilities=connection.capabilities,
            session_addresses=self.plan.session_addresses,
            session_seconds=self.around.timeouts.session,
            recipients_per_transaction=group.recipients_per_transaction,
            is_cautious=group.is_cautious,
        )

        def keep_proven() -> None:
            if answers := dialogue.take_proven():
                self.reasons.update(a.reading.reason for a in answers if a.question.kind is ProbeKind.MAILBOX)
                self._books.record(session_id, answers, self._domains, self.around.clock())
                for name in {answer.question.domain for answer in answers}:
                    group.share(self._domains[name])
                self._news.set()

        try:
            await connection.converse(dialogue, self.around.clock, self.around.timeouts, keep_proven)
        finally:
            source.finish()
            self._note_session(session_id, opened, dialogue, _outcome(dialogue))
        group.recipients_per_transaction = dialogue.recipients_per_transaction
        self._conclude(group, opened, dialogue, session_id)

    def _conclude(self, group: HostGroup, opened: Attempt, dialogue: Dialogue, session_id: int) -> None:
        group.is_cautious = dialogue.loss is not None
        refusal, trouble = dialogue.refusal, dialogue.refusal or dialogue.loss
        if dialogue.is_out_of_step:
            self._distrust(group, dialogue.voided, session_id)
            trouble = self._about_host(group, _OUT_OF_STEP)
        if refusal is not None and _is_final(refusal):
            self._close(group, refusal, session_id)
        elif refusal is None and dialogue.is_fruitful:
            group.fruitless_sessions = 0
        elif trouble is not None and (refusal or dialogue.is_out_of_step or dialogue.was_in_vain):
            self._dialer.avoid(opened.address)
            group.fruitless_sessions += 1
            if group.fruitless_sessions >= MAX_FRUITLESS_SESSIONS:
                self._close(group, trouble, session_id)

    def _distrust(self, group: HostGroup, voided: list[Answer], session_id: int) -> None:
        now = self.around.clock()
        for name in sorted({answer.question.domain for answer in voided}):
            answer = self._about_host(group, _OUT_OF_STEP, name)
            probe_id = self._books.note_probe(session_id, answer)
            mine = [answer for answer in voided if answer.question.domain == name]
            self._books.distrust(mailbox_addresses(mine), answer.reading, probe_id, now)

    # -- the end of a group ---

    def _close(self, group: HostGroup, refusal: Answer, session_id: int) -> None:
        """Leave the hosts of ``group`` alone for this run; those of the whole site, when we are unwelcome."""
        is_unwelcome = refusal.reading.reason in STOP_REASONS
        if is_unwelcome:
            self.stopped_because = refusal.reading
        probe_id = self._books.note_probe(
            session_id, self._about_host(group, refusal.reply, refusal.question.domain, refusal.asked_at)
        )
        for closed in self.plan.groups if is_unwelcome else (group,):
            if closed.closing is None:
                closed.closing = Closing(refusal.reading, probe_id)
                self._postpone(closed, closed.closing)

    def _postpone(self, group: HostGroup, closing: Closing) -> None:
        for domain in group.domains:
            self._books.postpone(domain, closing, self.around.clock())

    def _settle_leftovers(self) -> None:
        """Give a turn to what came back after its domain was settled, or its hosts were left alone."""
        for group in self.plan.groups:
            for domain in group.domains:
                self._books.settle(domain, self.around.clock())
            if group.closing is not None:
                self._postpone(group, group.closing)

    # -- small things ---

    def _read(self, reply: Reply) -> Reading:
        return self.around.read(reply, self.plan.provider)

    def _about_host(self, group: HostGroup, reply: Reply, domain: str = "", asked_at: datetime | None = None) -> Answer:
        """``reply``, to whatever it came, as the hosts' word to all their addresses."""
        now = self.around.clock()
        question = Question(ProbeKind.SESSION, domain or group.domains[0].domain, "")
        return Answer(question, reply, self._read(reply), asked_at or now, now)

    def _note_session(self, session_id: int, attempt: Attempt, dialogue: Dialogue | None, outcome: str) -> None:
        envelope = self.around.envelope
        self.session_count += 1
        self.notebook.page.sessions.append(
            Session(
                session_id=session_id,
                lane=self.plan.lane,
                site=self.plan.site,
                mx_host=attempt.host,
                mx_address=attempt.address,
                helo_name=envelope.helo_name,
                mail_from=envelope.mail_from,
                started_at=attempt.started_at,
                ended_at=self.around.clock(),
                command_count=dialogue.command_count if dialogue else 0,
                rcpt_count=dialogue.rcpt_count if dialogue else 0,
                is_tls=isinstance(attempt.outcome, Connection) and attempt.outcome.is_tls,
                outcome=outcome,
            )
        )


def _is_final(refusal: Answer) -> bool:
    """Whether the host has said that it will not be asked on, rather than only fallen silent."""
    is_about_session = refusal.question.kind is ProbeKind.SESSION and refusal.reply.code > 0
    return is_about_session or refusal.reading.reason in STOP_REASONS


def _outcome(dialogue: Dialogue) -> str:
    if dialogue.is_out_of_step:
        return "out_of_step"
    if dialogue.refusal is not None and dialogue.refusal.reply.code:
        return "refused"
    if dialogue.loss is None or dialogue.is_closing:
        return "done"
    return "timeout" if "time" in dialogue.loss.reply.text else "lost"
