"""Which answers of one session are certain. Pure.

A host that sends one reply too many shifts every later reply by one. So an answer counts once it is **proven**: a later
reply can only have been meant for its own command, so that all before it were paired rightly. Such replies are

* one that quotes the very address it was asked about, where no other question of the session named it;
* to QUIT (221), to a NOOP where it carries 2.0.0 (which no reply to RCPT does), and to a second EHLO where it repeats
  the first one's lines. They are told apart from late replies to earlier commands: a NOOP proves nothing after RSET,
  which is answered alike, nor at a host that says 2.0.0 to RCPT or MAIL too.

A reply that quotes another address that was asked about disproves: it belongs to that one.

A connection that breaks off proves nothing: the reply that would have shown the shift may never have come. One answer
survives it: a refusal that was the last thing the host said, and the only answer since the session's begin or its last
checkpoint. That is the manner of hosts which hang up after a refusal. A shift cannot look like it, unless a host both
says too much and breaks off in silence; after another answer, even one that proved itself, that is not rare enough.
"""

import re
from datetime import datetime, timedelta
from enum import Enum, auto

from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.probe import Stage
from ct_pipeline.verification.questions import Answer
from ct_pipeline.verification.reply_parser import RawReply, as_reply

CHECKPOINT_AFTER = timedelta(seconds=0.5)
_SUCCESS = "2.0.0"
_QUOTED = re.compile(r"<([^<>\s@]{1,64}@[^<>\s@]{1,255})>")


class Checkpoint(Enum):
    """A command in mid-session whose reply can prove what came before."""

    NOOP = auto()
    EHLO = auto()


class Quote(Enum):
    """Whose address the reply to an RCPT quotes."""

    NONE = auto()
    OWN = auto()  # the one it was asked about: the reply proves itself
    OTHER = auto()  # another one of this session: the reply is not the answer to this question


class Proof:
    """Keeps the answers of one session apart: proven, and not yet.

    ``is_cautious``: prove each answer before the next question, because earlier sessions with this host ended without
    proof.
    """

    def __init__(self, capabilities: Capabilities, *, is_cautious: bool = False) -> None:
        self._capabilities = capabilities
        self.is_cautious = is_cautious
        self._proven: list[Answer] = []
        self._unproven: list[Answer] = []
        self._since_checkpoint = 0  # answers, proven or not
        self._asked: dict[str, int] = {}  # addresses named so far, and how often
        self._trusts_noop = capabilities.has("ENHANCEDSTATUSCODES")
        self.trusts_ehlo = bool(capabilities.lines)  # a second EHLO can prove
        self._was_reset = False  # RSET was said since the last proof
        self._ends_with_answer = False  # the last reply is the answer that was added last
        self.has_proven = False  # whether anything the host said has been proven

    def ask(self, address: str) -> None:
        """``address`` is named in a command."""
        self._asked[address] = self._asked.get(address, 0) + 1

    def ask_reset(self) -> None:
        """RSET is said, whose reply is worded like that to NOOP."""
        self._was_reset = True

    def quote_in(self, raw: RawReply, address: str) -> Quote:
        """Whose address ``raw``, which came when the answer to ``address`` was due, quotes."""
        for line in raw.lines:
            if "@" in line and (match := _QUOTED.search(line)):
                quoted = match[1].lower()
                if quoted == address:
                    return Quote.OWN if self._asked.get(address) == 1 else Quote.NONE
                return Quote.OTHER if quoted in self._asked else Quote.NONE
        return Quote.NONE

    def add(self, answer: Answer, *, proves_itself: bool = False) -> None:
        """An answer that the host gave."""
        self._unproven.append(answer)
        self._since_checkpoint += 1
        self._ends_with_answer = True
        if answer.reply.enhanced == _SUCCESS:
            self._trusts_noop = False
        if proves_itself:
            self.prove()

    def add_certain(self, answer: Answer) -> None:
        """Something that needs no proof, because it is not the host's word."""
        self._proven.append(answer)

    def hear(self, raw: RawReply) -> None:
        """A reply to MAIL, or one that is no answer."""
        self._ends_with_answer = False
        if _enhanced(raw) == _SUCCESS:
            self._trusts_noop = False

    def hear_reset(self) -> None:
        """The reply to RSET."""
        self._ends_with_answer = False

    def is_due(self, now: datetime) -> bool:
        """Whether a checkpoint should come before, or together with, the next question."""
        if not self._unproven:
            return False
        return self.is_cautious or now - self._unproven[0].answered_at >= CHECKPOINT_AFTER

    def best_checkpoint(self) -> Checkpoint | None:
        """The command that may prove what is unproven, or None: then only the session's end can."""
        if self._trusts_noop and not self._was_reset:
            return Checkpoint.NOOP
        return Checkpoint.EHLO if self.trusts_ehlo else None

    def check(self, checkpoint: Checkpoint, raw: RawReply) -> None:
        """The reply to a checkpoint: it proves everything so far, or is never tried again."""
        self._ends_with_answer = False
        if checkpoint is Checkpoint.NOOP:
            self._trusts_noop = is_proof = self._trusts_noop and raw.code == 250 and _enhanced(raw) == _SUCCESS
        else:
            self.trusts_ehlo = is_proof = self._capabilities.are_repeated_by(raw)
        if is_proof:
            self.prove()
            self._was_reset = False
            self._since_checkpoint = 0

    def prove(self) -> None:
        """Replies and commands are in step: all answers so far are certain."""
        self.has_proven |= bool(self._unproven)
        self._proven += self._unproven
        self._unproven = []

    def break_off(self) -> list[Answer]:
        """The connection ended without proof; returns the answers that fall with it, in the order they came."""
        is_only_answer = self._since_checkpoint == 1 and len(self._unproven) == 1
        if is_only_answer and self._unproven[0].reply.code >= 400 and self._ends_with_answer:
            self.prove()
        return self.drop()

    def drop(self) -> list[Answer]:
        """Give up all that is not proven; returns it in the order it came."""
        dropped, self._unproven = self._unproven, []
        return dropped

    def take_proven(self) -> list[Answer]:
        """The answers that have become certain since the last call."""
        proven, self._proven = self._proven, []
        return proven


def _enhanced(raw: RawReply) -> str | None:
    return as_reply(Stage.RCPT, raw.code, raw.lines).enhanced
