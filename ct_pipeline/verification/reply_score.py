"""How well the reply rules read labelled replies: dangerous errors, agreement, unclear ones, and each label's. Pure.

Two measures, since a wrong word and a wrong verdict are not the same error:

* **agreement**: the reading says of the *address* what the label says: dead, exists, accepted, or nothing. A reply that
  by its code or stage may not speak of a mailbox at all (``may_say``: a 4xx, 421, anything before RCPT) should be read
  as nothing, whatever its words. A reading without a meaning (*unclear*) never agrees.
* **label agreement**: the reading's reason is one of those that ``ANSWERS`` gives to the label.

**Dangerous** is a reply that speaks of us, of a server or of a message, read as a dead address: at RCPT the judge would
call the address Invalid with a hard bounce.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import Reply
from ct_pipeline.verification.reply_corpus import SAYS_NOTHING_OF_THE_ADDRESS, CorpusRow, Label, Side
from ct_pipeline.verification.reply_rules import may_say
from ct_pipeline.vocabulary import About, Reason

# The labels that a reason answers to; the first is the one it counts as where none of them was meant. Several stand
# where the reason, or the label, is the union of what the other side keeps apart.
ANSWERS: dict[Reason, tuple[Label, ...]] = {
    Reason.ACCEPTED: (Label.SUCCESS,),
    Reason.CANNOT_VERIFY: (Label.SUCCESS,),
    Reason.MAILBOX_NOT_FOUND: (Label.USER_UNKNOWN,),
    Reason.MAILBOX_DISABLED: (Label.MAILBOX_DISABLED,),
    Reason.MAILBOX_MOVED: (Label.MOVED,),
    Reason.MAILBOX_FULL: (Label.MAILBOX_FULL,),
    Reason.DOMAIN_NOT_HOSTED: (Label.DOMAIN_UNKNOWN,),
    Reason.NULL_MX: (Label.NOT_ACCEPTING,),
    Reason.SYNTAX_ERROR: (Label.SYNTAX,),
    Reason.OUT_OF_STEP: (Label.SYNTAX,),  # the label covers the syntax of commands, and their order
    Reason.RELAY_DENIED: (Label.RELAY_DENIED,),
    Reason.PROBER_BLOCKED: (Label.SENDER_BLOCKED,),
    Reason.SENDER_REFUSED: (Label.SENDER_BLOCKED,),
    Reason.POLICY_REFUSED: (
        Label.POLICY,
        Label.CONTENT,
        Label.TOO_LARGE,
    ),  # we send no message: one reason for all three
    Reason.RATE_LIMITED: (Label.RATE_LIMITED,),
    Reason.RECIPIENT_RATE_LIMITED: (Label.RATE_LIMITED,),
    Reason.TOO_MANY_RECIPIENTS: (Label.RATE_LIMITED,),
    Reason.TLS_OR_LOGIN_REQUIRED: (Label.NEEDS_TLS_OR_AUTH,),
    Reason.SMTPUTF8_REQUIRED: (Label.SYNTAX,),
    Reason.GREYLISTED: (Label.GREYLISTED,),
    Reason.SERVER_TROUBLE: (Label.TEMPORARY, Label.NETWORK),  # their system or their network: the same to us
    Reason.CONNECTION_REFUSED: (Label.NETWORK,),
    Reason.CONNECTION_TIMEOUT: (Label.NETWORK,),
    Reason.CONNECTION_LOST: (Label.NETWORK,),
    Reason.COMMAND_TIMEOUT: (Label.NETWORK,),
}
# An unclear reply whose side is known: a command that they did not like, or any other 4xx.
_ANSWERS_OF_UNCLEAR: dict[About, tuple[Label, ...]] = {About.US: (Label.SYNTAX,), About.TEMPORARY: (Label.TEMPORARY,)}

_DEAD_LABELS = frozenset(
    {Label.USER_UNKNOWN, Label.MAILBOX_DISABLED, Label.MOVED, Label.DOMAIN_UNKNOWN, Label.NOT_ACCEPTING}
)
_NOT_DEAD = frozenset({Reason.ACCEPTED, Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED})


class OfTheAddress(StrEnum):
    """What a label, or a reading, says of the address."""

    DEAD = "dead"
    EXISTS = "exists"
    ACCEPTED = "accepted"
    NOTHING = "nothing"
    UNCLEAR = "unclear"  # readings only


class ScoredRow(NamedTuple):
    """A labelled reply beside our reading of it."""

    row: CorpusRow
    reading: Reading
    meant: OfTheAddress
    read: OfTheAddress
    answer: Label | None  # the label that our reason answers to; None: unclear

    @property
    def is_dangerous(self) -> bool:
        return self.read is OfTheAddress.DEAD and self.row.side in SAYS_NOTHING_OF_THE_ADDRESS

    @property
    def agrees(self) -> bool:
        return self.read is self.meant

    @property
    def names_the_label(self) -> bool:
        return self.answer is self.row.label


class LabelScore(NamedTuple):
    """One label's rates, 0 to 1; None where there is nothing to divide by."""

    label: Label
    row_count: int
    precision: float | None
    recall: float | None
    agreement: float | None


@dataclass(frozen=True)
class ReplyScore:
    """The score of one set of rows."""

    row_count: int  # all of them, also those that are only counted
    sure_rows: tuple[ScoredRow, ...]  # gold and silver

    @cached_property
    def scored_rows(self) -> tuple[ScoredRow, ...]:
        return tuple(scored for scored in self.sure_rows if scored.row.is_scored)

    @cached_property
    def dangerous_rows(self) -> tuple[ScoredRow, ...]:
        """Of all gold and silver rows, also those labelled ``other``: their side is known all the same."""
        return tuple(scored for scored in self.sure_rows if scored.is_dangerous)

    @cached_property
    def wrong_rows(self) -> tuple[ScoredRow, ...]:
        return tuple(scored for scored in self.scored_rows if not scored.agrees)

    @property
    def agreement(self) -> float:
        return self._share(lambda scored: scored.agrees)

    @property
    def label_agreement(self) -> float:
        return self._share(lambda scored: scored.names_the_label)

    @property
    def unclear(self) -> float:
        return self._share(lambda scored: scored.read is OfTheAddress.UNCLEAR)

    @cached_property
    def confusion(self) -> Counter[tuple[Label, Label | None]]:
        """How often a reply of the first label was answered with the second; None: unclear."""
        return Counter((scored.row.label, scored.answer) for scored in self.scored_rows)

    def labels(self) -> list[LabelScore]:
        """One line for each label that occurs, in the order of ``Label``."""
        meant = Counter(scored.row.label for scored in self.scored_rows)
        answered = Counter(scored.answer for scored in self.scored_rows)
        agreeing = Counter(scored.row.label for scored in self.scored_rows if scored.agrees)
        scores: list[LabelScore] = []
        for label in Label:
            hits = self.confusion[label, label]
            if meant[label] or answered[label]:
                precision, recall = _ratio(hits, answered[label]), _ratio(hits, meant[label])
                scores.append(LabelScore(label, meant[label], precision, recall, _ratio(agreeing[label], meant[label])))
        return scores

    def _share(self, is_counted: Callable[[ScoredRow], bool]) -> float:
        return sum(map(is_counted, self.scored_rows)) / len(self.scored_rows) if self.scored_rows else 0.0


def score_replies(rows: Iterable[CorpusRow], read: Callable[[Reply, str], Reading]) -> ReplyScore:
    """Read every row with ``read`` and compare."""
    row_count, sure_rows = 0, []
    for row in rows:
        row_count += 1
        reading = read(row.reply, row.provider)
        if row.is_sure:
            sure_rows.append(ScoredRow(row, reading, _meant(row), _read(reading), _answer(row.label, reading)))
    return ReplyScore(row_count, tuple(sure_rows))


def _meant(row: CorpusRow) -> OfTheAddress:
    if row.label is Label.SUCCESS:
        return OfTheAddress.ACCEPTED
    if row.label is Label.MAILBOX_FULL:
        return OfTheAddress.EXISTS
    is_dead = row.label in _DEAD_LABELS or (row.label is Label.SYNTAX and row.side is Side.ADDRESS)
    if is_dead and may_say(Reason.MAILBOX_NOT_FOUND, About.ADDRESS, row.reply.stage, row.reply.code):
        return OfTheAddress.DEAD
    return OfTheAddress.NOTHING


def _read(reading: Reading) -> OfTheAddress:
    if reading.reason in (Reason.ACCEPTED, Reason.CANNOT_VERIFY):
        return OfTheAddress.ACCEPTED
    if reading.reason is Reason.MAILBOX_FULL:
        return OfTheAddress.EXISTS
    if reading.about in (About.ADDRESS, About.DOMAIN) and reading.reason not in _NOT_DEAD:
        return OfTheAddress.DEAD
    if reading.reason is Reason.UNCLEAR_REPLY and reading.about is About.UNCLEAR:
        return OfTheAddress.UNCLEAR
    return OfTheAddress.NOTHING


def _answer(label: Label, reading: Reading) -> Label | None:
    if reading.reason is Reason.UNCLEAR_REPLY:
        answers = _ANSWERS_OF_UNCLEAR.get(reading.about, ())
    else:
        answers = ANSWERS.get(reading.reason, ())
    if label in answers:
        return label
    return answers[0] if answers else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
