"""The sessions that one site's share of the work takes, as asyncio tasks: begun while they are needed and the pace
allows, ended politely, recorded."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.connection import Connection
from ct_pipeline.verification.dialer import Attempt
from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import Reply, Session
from ct_pipeline.verification.session_questions import SessionQuestions
from ct_pipeline.verification.site_gate import NoMoreConnectionsError, SiteGate
from ct_pipeline.verification.site_plan import SitePlan
from ct_pipeline.verification.site_state import SiteState
from ct_pipeline.verification.surroundings import Surroundings
from ct_pipeline.vocabulary import Reason


@dataclass
class SiteRun:
    """Runs one :class:`SitePlan`, once. Another run of the same site may go on beside it, if they share ``gate``.

    ``has_slot``: whoever began the run has taken a slot for its first session.
    """

    plan: SitePlan
    around: Surroundings
    notebook: Notebook
    gate: SiteGate
    has_slot: bool = False
    session_count: int = 0

    def __post_init__(self) -> None:
        self._read = _reader(self.around.read, self.plan.provider)
        self._state = SiteState(self.plan, self.notebook, self._read, self.gate.pace)
        self._live: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None  # while the pace wants the next session later
        self._failure: BaseException | None = None
        self._is_stopping = False
        self._dialer = self.gate.dialer

    @property
    def stopped_because(self) -> Reading | None:
        """Why the whole site was left alone, if it was."""
        return self._state.stopped_because

    @property
    def reasons(self) -> Counter[Reason]:
        """What the list's own addresses were answered."""
        return self._state.reasons

    @property
    def doubted_domains(self) -> set[str]:
        """Domains that accept what they have refused before, so that nothing they accept is proof."""
        return self._state.books.doubted_domains

    @property
    def turn_count(self) -> int:
        """Addresses that are no longer due now: answered, or put off."""
        return self._state.books.turn_count

    @property
    def has_handed_out_all(self) -> bool:
        """No address waits for a session: another run may begin beside this one."""
        return self._state.waiting_count == 0

    async def run(self) -> None:
        """Ask everything that can be asked now. Cancelling ends the sessions and keeps what is proven."""
        self._state.begin(self.around.clock())
        with self.gate.news() as self._news:
            try:
                while await self._start_sessions() or self._live:
                    await self._news.wait()
                    self._news.clear()
                    if self._failure is not None:
                        break
                if self._failure is not None:
                    raise self._failure
            finally:
                self._is_stopping = True
                self._give_back_slot()
                if self._alarm is not None:
                    self._alarm.cancel()
                if self._live:
                    for task in self._live:
                        task.cancel()
                    await asyncio.gather(*self._live, return_exceptions=True)
                self._state.end(self.around.clock())
                self._keep_memory()

    async def _start_sessions(self) -> bool:
        """Begin the sessions that are needed now. Returns whether more are needed, once the pace allows."""
        while self._failure is None and (group := self._needy_group()) is not None:
            if self._is_too_early():
                self._give_back_slot()
                return True
            if not self.has_slot:
                await self.around.slots.acquire()
                self.has_slot = True
                continue  # meanwhile much may have changed
            self.has_slot = False  # it is the session's
            group.live_sessions += 1
            self.gate.pace.connect(self.around.clock())
            task = asyncio.create_task(self._session(group))
            self._live.add(task)
            # A callback, since a task that is cancelled before it starts runs none of its own clean-up.
            task.add_done_callback(partial(self._end_session, group))
        self._give_back_slot()
        return self._may_ask() and self._state.is_held_up(self.around.clock())

    def _give_back_slot(self) -> None:
        if self.has_slot:
            self.has_slot = False
            self.around.slots.release()

    def _is_too_early(self) -> bool:
        """Whether the pace wants the next session later; there is news when its time has come."""
        delay = self.gate.pace.connect_delay(self.around.clock())
        if delay > 0 and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(delay, self._ring)
        return delay > 0

    def _ring(self) -> None:
        self._alarm = None
        self._news.set()

    def _end_session(self, group: HostGroup, task: asyncio.Task[None]) -> None:
        self.around.slots.release()
        self.gate.pace.closed()
        group.live_sessions -= 1
        self._live.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
        self._news.set()
        self.gate.tell()

    def _needy_group(self) -> HostGroup | None:
        return self._state.needy_group(self.around.clock()) if self._may_ask() else None

    def _may_ask(self) -> bool:
        return self.stopped_because is None and not self._is_stopping and self.around.may_ask()

    # -- one session ---

    async def _session(self, group: HostGroup) -> None:
        refusals: list[tuple[Reply, int]] = []
        try:
            opened = await self._dialer.dial(
                group,
                lambda attempt: refusals.append(self._note_refusal(attempt)),
                lambda address: self.gate.pace.is_only_full([address]),
                partial(self.gate.connect_again, self.around.clock, self._may_go_on),
            )
        except NoMoreConnectionsError:
            return  # hosts that were not tried may answer another time: no word against this group
        if opened is not None:
            assert isinstance(opened.outcome, Connection)
            self.gate.pace.greeted(opened.address)
            try:
                await self._converse(group, opened, opened.outcome)
            finally:
                self.gate.pace.left(opened.address)
        elif self._state.find_unreachable(group, refusals, self.around.clock()):
            self._dialer.forgive(group)

    def _note_refusal(self, attempt: Attempt) -> tuple[Reply, int]:
        assert not isinstance(attempt.outcome, Connection)
        reply = attempt.outcome.reply
        if not attempt.was_dialled:
            return reply, self._dialer.refused_sessions[attempt.address]
        session_id = self._dialer.refused_sessions[attempt.address] = self.notebook.new_session_id()
        self._note_session(session_id, attempt, None, _outcome_of_refusal(reply))
        return reply, session_id

    async def _converse(self, group: HostGroup, opened: Attempt, connection: Connection) -> None:
        if opened.is_backup:
            for domain in group.domains:
                domain.start_over()
        session_id = self.notebook.new_session_id()
        self._state.books.begin_session(session_id, opened.address)
        source = SessionQuestions(group, self._may_go_on)
        pace = self.gate.pace
        egress = self.around.egress
        dialogue = Dialogue(
            source=source,
            read=self._read,
            envelope=egress.envelope_with(other_sender=group.uses_other_sender),
            capabilities=connection.capabilities,
            session_addresses=self._state.session_addresses(group),
            session_seconds=self.around.timeouts.session,
            recipients_per_transaction=group.recipients_per_transaction,
            is_cautious=group.is_cautious,
            window_limit=self.plan.limits.window if pace.bears_pipelining(self.around.clock()) else 1,
            window=group.window,
            may_change_sender=egress.has_other_sender and group.may_change_sender,
        )

        def keep_proven() -> None:
            if dialogue.refusal is not None:
                self._state.heed(group, dialogue, session_id, self.around.clock())
            if answers := dialogue.take_proven():
                self._state.record(group, session_id, answers, self.around.clock())
                if group.has_more or len(self.plan.groups) > 1:
                    self._news.set()  # another session may help

        def wait_seconds(asked_count: int, now: datetime) -> float:
            pace.ask(asked_count, now)
            return pace.address_delay(now)

        try:
            await connection.converse(dialogue, self.around.clock, self.around.timeouts, keep_proven, wait_seconds)
        finally:
            source.finish()
            self._note_session(session_id, opened, dialogue, _outcome(dialogue))
        if self._state.conclude(group, dialogue, session_id, self.around.clock()):
            self._dialer.avoid(opened.address)

    def _may_go_on(self) -> bool:
        pace = self.gate.pace
        return self._may_ask() and (pace.breaker is None or not pace.is_open(self.around.clock()))

    def _note_session(self, session_id: int, attempt: Attempt, dialogue: Dialogue | None, outcome: str) -> None:
        envelope = dialogue.envelope if dialogue else self.around.egress.envelope
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
                egress=self.around.egress.name,
            )
        )

    def _keep_memory(self) -> None:
        if (memory := self.gate.pace.take_memory()) is not None:
            self.notebook.page.site_memories.append(memory)


def _reader(read: Callable[[Reply, str], Reading], provider: str) -> Callable[[Reply], Reading]:
    """Reads what hosts of ``provider`` say. A function, not a method: whoever kept that would keep its owner."""
    last_reply: Reply | None = None
    last_reading: Reading | None = None

    def read_reply(reply: Reply) -> Reading:
        nonlocal last_reply, last_reading
        if last_reading is None or reply is not last_reply:  # nearly always the same "Ok", and then the same record
            last_reply, last_reading = reply, read(reply, provider)
        return last_reading

    return read_reply


def _outcome_of_refusal(reply: Reply) -> str:
    if reply.code:
        return "refused"
    outcomes = {"out of step": "out_of_step", "no reply in time": "timeout", "connection lost": "lost"}
    return next((outcome for words, outcome in outcomes.items() if reply.text.startswith(words)), "unreachable")


def _outcome(dialogue: Dialogue) -> str:
    if dialogue.is_out_of_step:
        return "out_of_step"
    if dialogue.refusal is not None and dialogue.refusal.reply.code:
        return "refused"
    if dialogue.loss is None or dialogue.is_closing:
        return "done"
    return "timeout" if "time" in dialogue.loss.reply.text else "lost"
