"""The commands of a session after EHLO. Nothing here can send DATA. Pure."""

from enum import Enum, auto
from typing import NamedTuple

from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.questions import Question


class Verb(Enum):
    MAIL = auto()
    RCPT = auto()
    RSET = auto()
    NOOP = auto()
    EHLO = auto()
    QUIT = auto()


class Command(NamedTuple):
    """A command that is to be sent, or whose reply is awaited. ``place`` counts an RCPT in its transaction, from 1."""

    verb: Verb
    line: bytes
    question: Question | None = None
    place: int = 0


RSET = Command(Verb.RSET, b"RSET\r\n")
NOOP = Command(Verb.NOOP, b"NOOP\r\n")
QUIT = Command(Verb.QUIT, b"QUIT\r\n")


def mail(envelope: Envelope, *, is_smtputf8: bool) -> Command:
    """RFC 6531 section 3.4: SMTPUTF8 is for transactions that name a non-ASCII address."""
    parameter = b" SMTPUTF8" if is_smtputf8 else b""
    return Command(Verb.MAIL, b"MAIL FROM:<%s>%s\r\n" % (envelope.mail_from.encode("ascii"), parameter))


def rcpt(question: Question, place: int) -> Command:
    return Command(Verb.RCPT, b"RCPT TO:<%s>\r\n" % question.address.encode(), question, place)


def ehlo(envelope: Envelope) -> Command:
    return Command(Verb.EHLO, b"EHLO %s\r\n" % envelope.helo_name.encode("ascii"))
