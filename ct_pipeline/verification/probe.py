"""What was asked and what was answered: the records that the verifier leaves in the ledger."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ct_pipeline.verification.egress import DEFAULT_EGRESS
from ct_pipeline.vocabulary import Reason


class Stage(StrEnum):
    """Where in the session a reply, or the lack of one, occurred."""

    CONNECT = "connect"  # TCP connect and greeting
    EHLO = "ehlo"
    STARTTLS = "starttls"
    MAIL = "mail"
    RCPT = "rcpt"


class ProbeKind(StrEnum):
    MAILBOX = "mailbox"  # an address of the list
    RANDOM = "random"  # a name that cannot exist: is the domain a catch-all?
    CONTROL = "control"  # postmaster: does the domain tell names apart?
    WITNESS = "witness"  # an accepted address asked again: does the host still let anyone in?
    SESSION = "session"  # the host refused or failed before it was asked about an address


class Reply(NamedTuple):
    """One reply of a mail host, or its absence (``code`` 0, ``text`` says what happened).

    ``text`` is all lines joined with newlines, without the codes, cleaned and bounded to 1000 characters.
    """

    stage: Stage
    code: int
    enhanced: str | None
    text: str


class DueAddress(NamedTuple):
    """An address whose turn has come.

    ``accepted_probe_id`` is set where its host has accepted it a short time ago, and what is still missing is whether
    the domain accepts every name: it is not asked again, the made-up name is. ``was_refused``: its host has said before
    that it does not exist, so that an acceptance needs a second look. ``refused_at``: when its host last refused it as
    dead, or its domain; only where that is a day ago is today's refusal a second word on it. ``is_unrepeated``: that
    refusal counts only once it is repeated, and has not been. ``settled_probe_id``: what settled the mailbox so far.
    """

    address_id: int
    address: str
    domain: str
    attempt_count: int
    accepted_probe_id: int | None = None
    was_refused: bool = False
    refused_at: datetime | None = None
    is_unrepeated: bool = False
    settled_probe_id: int | None = None


class Probe(NamedTuple):
    """One question and its reply, as it came. ``reason`` and ``rule`` are how it was read at the time."""

    probe_id: int
    session_id: int
    kind: ProbeKind
    address_id: int | None  # None unless kind is mailbox or witness
    domain: str
    reply: Reply
    reason: Reason
    rule: str
    asked_at: datetime
    elapsed_ms: int


class Session(NamedTuple):
    """One TCP connection, or the failed attempt at one."""

    session_id: int
    lane: str
    site: str
    mx_host: str
    mx_address: str
    helo_name: str
    mail_from: str
    started_at: datetime
    ended_at: datetime
    command_count: int
    rcpt_count: int
    is_tls: bool
    outcome: str  # done | refused | lost | timeout | out_of_step | unreachable
    egress: str = DEFAULT_EGRESS  # the name of the identity that we came as


class Turn(NamedTuple):
    """What became of a due address: when it is due again (None: answered) and the probe that says why.

    ``is_definitive``: that probe asked about this address and settles whether the mailbox exists (an acceptance, or a
    permanent refusal of the address or its domain; a vague one only where the host accepted another name after it). It
    stays evidence when later replies leave the mailbox open.
    ``is_retracted``: what was definitive until now, in this visit or before, has turned out to prove nothing.
    ``retracted_probe_id``: so has this one probe; what settled the mailbox before it stands, ``standing_probe_id``.
    """

    address_id: int
    next_attempt_at: datetime | None
    attempt_count: int
    probe_id: int | None  # None when the domain answered for it (catch-all, no mail service)
    is_definitive: bool = False
    is_retracted: bool = False
    retracted_probe_id: int | None = None
    standing_probe_id: int | None = None


class CatchAllFact(NamedTuple):
    """Whether a domain accepts every name, and whether it tells names apart at all (control probe).

    ``doubted_at``: since when it accepts a name that cannot exist although it has refused names before; None: it does
    not.
    """

    domain: str
    is_catch_all: bool
    tells_apart: bool | None
    probe_id: int | None
    found_at: datetime
    expires_at: datetime
    doubted_at: datetime | None = None
