"""All the sessions with one site, as asyncio tasks: started while they are needed, ended politely, recorded."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from functools import partial

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.connection import Connection
from ct_pipeline.verification.dialer import Attempt, Dialer
from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.notebook import Notebook
from ct_pipeline.verification.probe import Reply, Session
from ct_pipeline.verification.session_questions import SessionQuestions
from ct_pipeline.verification.site_plan import SitePlan
from ct_pipeline.verification.site_state import SiteState
from ct_pipeline.verification.surroundings import Surroundings
from ct_pipeline.vocabulary import Reason


@dataclass
class SiteRun:
    """Runs one :class:`SitePlan`, once."""

    plan: SitePlan
    around: Surroundings
    notebook: Notebook
    session_count: int = 0

    def __post_init__(self) -> None:
        self._state = SiteState(self.plan, self.notebook, self._read)
        self._live: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()  # a session ended, or others may help with what it found
        self._failure: BaseException | None = None
        self._is_stopping = False
        self._refused_sessions: dict[str, int] = {}  # by address: the session that found it unreachable
        dice = random.Random(f"{self.around.seed}:{self.plan.site}")  # noqa: S311 - spreads load, hides nothing
        self._dialer = Dialer(self.around, dice)

    @property
    def stopped_because(self) -> Reading | None:
        """Why the whole site was left alone, if it was."""
        return self._state.stopped_because

    @property
    def prefers_other_sender(self) -> bool:
        """See :attr:`SiteState.prefers_other_sender`."""
        return self._state.prefers_other_sender

    @property
    def reasons(self) -> Counter[Reason]:
        """What the list's own addresses were answered."""
        return self._state.reasons

    @property
    def turn_count(self) -> int:
        """Addresses that are no longer due now: answered, or put off."""
        return self._state.books.turn_count

    async def run(self) -> None:
        """Ask everything that can be asked now. Cancelling ends the sessions and keeps what is proven."""
        self._state.settle_leftovers(self.around.clock())
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
        self._state.settle_leftovers(self.around.clock())

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
        return self._state.needy_group(len(self._live)) if self._may_ask() else None

    def _may_ask(self) -> bool:
        return self.stopped_because is None and not self._is_stopping and self.around.may_ask()

    def _read(self, reply: Reply) -> Reading:
        return self.around.read(reply, self.plan.provider)

    # -- one session ---

    async def _session(self, group: HostGroup) -> None:
        refusals: list[tuple[Reply, int]] = []
        opened = await self._dialer.dial(group, lambda attempt: refusals.append(self._note_refusal(attempt)))
        if opened is not None:
            assert isinstance(opened.outcome, Connection)
            group.has_greeted = True
            await self._converse(group, opened, opened.outcome)
        elif self._state.find_unreachable(group, refusals, self.around.clock()):
            self._dialer.forgive(group)

    def _note_refusal(self, attempt: Attempt) -> tuple[Reply, int]:
        assert not isinstance(attempt.outcome, Connection)
        reply = attempt.outcome.reply
        if not attempt.was_dialled:
            return reply, self._refused_sessions[attempt.address]
        session_id = self._refused_sessions[attempt.address] = self.notebook.new_session_id()
        self._note_session(session_id, attempt, None, "refused" if reply.code else "unreachable")
        return reply, session_id

    async def _converse(self, group: HostGroup, opened: Attempt, connection: Connection) -> None:
        session_id = self.notebook.new_session_id()
        source = SessionQuestions(group, self._may_ask)
        egress = self.around.egress
        dialogue = Dialogue(
            source=source,
            read=self._read,
            envelope=egress.envelope_with(other_sender=group.uses_other_sender),
            capabilities=connection.capabilities,
            session_addresses=self.plan.session_addresses,
            session_seconds=self.around.timeouts.session,
            recipients_per_transaction=group.recipients_per_transaction,
            is_cautious=group.is_cautious,
            may_change_sender=egress.has_other_sender and group.may_change_sender,
        )

        def keep_proven() -> None:
            if answers := dialogue.take_proven():
                self._state.record(group, session_id, answers, self.around.clock())
                self._news.set()

        try:
            await connection.converse(dialogue, self.around.clock, self.around.timeouts, keep_proven)
        finally:
            source.finish()
            self._note_session(session_id, opened, dialogue, _outcome(dialogue))
        if self._state.conclude(group, dialogue, session_id, self.around.clock()):
            self._dialer.avoid(opened.address)

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
            )
        )


def _outcome(dialogue: Dialogue) -> str:
    if dialogue.is_out_of_step:
        return "out_of_step"
    if dialogue.refusal is not None and dialogue.refusal.reply.code:
        return "refused"
    if dialogue.loss is None or dialogue.is_closing:
        return "done"
    return "timeout" if "time" in dialogue.loss.reply.text else "lost"
