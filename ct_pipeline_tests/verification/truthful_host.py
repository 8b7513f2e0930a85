"""A mail host without sockets that always tells the truth, but not always in time: it drops connections, repeats itself
and limits its sessions. And a driver that lets several sessions with it run in any order, by the engine's pure parts.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import count

from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.host_group import HostGroup
from ct_pipeline.verification.notebook import Notebook, Observations
from ct_pipeline.verification.pace import SitePace
from ct_pipeline.verification.reply_parser import RawReply, ReplyParser
from ct_pipeline.verification.session_questions import SessionQuestions
from ct_pipeline.verification.site_plan import SitePlan
from ct_pipeline.verification.site_state import SiteState
from ct_pipeline_tests.verification.asking import READER, full_pace, notebook

START = datetime(2026, 11, 1, tzinfo=UTC)
SESSIONS_LIMIT = 400


class Kind(Enum):
    """What the host says of one address, with the address in it: so a test sees whose reply was recorded."""

    ACCEPT = "250 2.1.5 {} Ok"
    UNKNOWN = "550 5.1.1 {}: User unknown"
    FULL = "552 5.2.2 {}: Mailbox full"
    GREYLIST = "450 4.2.0 {}: Greylisted, try again in 20 seconds"
    UNCLEAR = "550 {} Nope"
    BLOCK = "550 5.7.1 {}: Client host [192.0.2.1] blocked using zen.spamhaus.org"


@dataclass(frozen=True)
class Manners:
    """How one host behaves; all of it happens in the real world."""

    extensions: tuple[str, ...] = ("ENHANCEDSTATUSCODES",)
    recipients_per_transaction: int = 100
    recipients_per_session: int = 1000  # then 421, and it hangs up
    hangs_up_after_refusal: bool = False
    answers_quit: bool = True
    says_plain_ok: bool = False  # to NOOP and RSET, without an enhanced code
    quotes: str = "<{}>"  # how it writes the address; only one in angle brackets proves anything
    hears_first_of_group: bool = False  # of commands that come together it answers the first, and forgets the others


@dataclass(frozen=True)
class Faults:
    """What goes wrong in one session. Commands count from 1: MAIL is the first."""

    stray_after: int = 0  # one reply too many after this command; 0: none
    stray: str = ""  # "": the last reply once more
    cut_after: int = 0  # the connection ends after this command
    cut_in_silence: bool = False  # the last command gets no reply


@dataclass
class HostSession:
    """The host's side of one session: each command gives the replies to it."""

    truth: Callable[[str], Kind]
    manners: Manners
    faults: Faults
    is_closed: bool = False
    commands: int = 0
    rcpts: int = 0
    rcpts_in_transaction: int = 0

    def ehlo_reply(self) -> str:
        lines = ("host.test", *self.manners.extensions, "HELP")
        return "\n".join(f"250{'-' if word != 'HELP' else ' '}{word}" for word in lines)

    def receive(self, command: str) -> list[str]:
        if self.is_closed:
            return []
        self.commands += 1
        replies = [self._reply(command)]
        if command == "QUIT":
            self.is_closed = True
            replies = replies if self.manners.answers_quit else []
        if self.commands == self.faults.cut_after:
            self.is_closed = True
            replies = [] if self.faults.cut_in_silence else replies
        if self.commands == self.faults.stray_after and replies:
            replies.append(self.faults.stray or replies[-1])
        return replies

    def _reply(self, command: str) -> str:
        verb = command[:4]
        if verb == "RCPT":
            return self._rcpt(command.split("<", 1)[1].rsplit(">", 1)[0])
        if verb in ("MAIL", "RSET", "EHLO"):
            self.rcpts_in_transaction = 0
        ok = "250 Ok" if self.manners.says_plain_ok else "250 2.0.0 Ok"
        return {"MAIL": "250 2.1.0 Ok", "EHLO": self.ehlo_reply(), "QUIT": "221 2.0.0 Bye"}.get(verb, ok)

    def _rcpt(self, address: str) -> str:
        if self.rcpts_in_transaction >= self.manners.recipients_per_transaction:
            return f"452 4.5.3 {self._quoted(address)} Too many recipients"
        if self.rcpts >= self.manners.recipients_per_session:
            self.is_closed = True
            return f"421 4.7.0 {self._quoted(address)} Error: too many errors"
        self.rcpts += 1
        self.rcpts_in_transaction += 1
        kind = self.truth(address)
        self.is_closed |= self.manners.hangs_up_after_refusal and kind is not Kind.ACCEPT
        return kind.value.format(self._quoted(address))

    def _quoted(self, address: str) -> str:
        return self.manners.quotes.format(address)


@dataclass
class Encounter:
    """One session, seen from both sides. ``stream`` holds the replies under way."""

    group: HostGroup
    dialogue: Dialogue
    source: SessionQuestions
    host: HostSession
    session_id: int
    stream: deque[RawReply] = field(default_factory=deque)


@dataclass
class Visit:
    """Runs one site to its end. ``choose(n)`` picks one of n; ``late()`` says whether a surplus reply is still under
    way when the next command goes out; ``step()`` is how many seconds a reply takes."""

    plan: SitePlan
    open_host: Callable[[], HostSession]
    choose: Callable[[int], int]
    late: Callable[[], bool]
    step: Callable[[], float]
    notes: Notebook = field(default_factory=notebook)
    pace: SitePace | None = None
    now: datetime = START
    live: list[Encounter] = field(default_factory=list)
    session_count: int = 0

    def run(self) -> Observations:
        pace = self.pace = self.pace or full_pace(self.plan.limits)
        state = SiteState(self.plan, self.notes, READER.read, pace)
        state.begin(self.now)
        numbers = count(1)
        while True:
            while (group := state.needy_group(self.now)) is not None:
                self.session_count += 1
                assert self.session_count < SESSIONS_LIMIT, "the run does not come to an end"
                self.live.append(self._open(state, group, next(numbers)))
            if not self.live:
                break
            encounter = self.live[self.choose(len(self.live))]
            self.now += timedelta(seconds=self.step())
            self._exchange(encounter)
            if answers := encounter.dialogue.take_proven():
                state.record(encounter.group, encounter.session_id, answers, self.now)
            if encounter.dialogue.is_over:
                self.live.remove(encounter)
                encounter.source.finish()
                encounter.group.live_sessions -= 1
                pace.closed()
                state.conclude(encounter.group, encounter.dialogue, encounter.session_id, self.now)
        state.end(self.now)
        return self.notes.tear_off()

    def _open(self, state: SiteState, group: HostGroup, session_id: int) -> Encounter:
        assert self.pace is not None
        group.live_sessions += 1
        self.pace.connect(self.now)
        host = self.open_host()
        source = SessionQuestions(group, lambda: True)
        dialogue = Dialogue(
            source=source,
            read=READER.read,
            envelope=Envelope("prober.test", ""),
            capabilities=Capabilities.of_lines(parsed(host.ehlo_reply())[0].lines),
            session_addresses=state.session_addresses(group),
            recipients_per_transaction=group.recipients_per_transaction,
            is_cautious=group.is_cautious,
            window_limit=self.plan.limits.window if self.pace.bears_pipelining(self.now) else 1,
            window=group.window,
        )
        return Encounter(group, dialogue, source, host, session_id)

    def _exchange(self, encounter: Encounter) -> None:
        """One command and what follows it, as :class:`~ct_pipeline.verification.connection.Connection` does it."""
        dialogue, stream = encounter.dialogue, encounter.stream
        if stream and not dialogue.outstanding_count and not self.late():
            dialogue.break_off()
            return
        if not dialogue.outstanding_count:
            group = dialogue.next_commands(self.now).decode().splitlines()
            for command in group[:1] if encounter.host.manners.hears_first_of_group else group:
                for reply in encounter.host.receive(command):
                    stream.extend(parsed(reply))
        if stream:
            dialogue.receive(stream.popleft(), self.now)
        else:
            is_timeout = not encounter.host.is_closed
            dialogue.lose("no reply in time" if is_timeout else "connection lost", self.now, is_timeout=is_timeout)


def parsed(reply: str) -> list[RawReply]:
    return ReplyParser().feed(b"".join(line.encode() + b"\r\n" for line in reply.split("\n")))
