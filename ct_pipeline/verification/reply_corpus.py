"""Replies that an authority has labelled, one JSON object per line: the yardstick for the reply rules. Pure.

The corpus itself is not part of this repository. Its fields, of which the first five must be there:

======================  ==============================================================================================
``id``                  any text, once per file
``text``                the reply, with or without its codes, lines joined with newlines
``label``               one of ``Label``
``side``                whom the reply speaks about, one of ``Side``
``confidence``          ``gold`` and ``silver`` rows are scored, others are only counted
``code``, ``enhanced``  as they stand in the text; null where it has none
``stage``               connect / helo / mail; any other text, and null, are read as RCPT
``provider``            a name like those of providers.toml, or null
======================  ==============================================================================================
"""

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_parser import as_reply, clean_text

MAX_LINE_BYTES = 65_536
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_ID_CHARACTERS = 200


class Label(StrEnum):
    """What an authority says that a reply means; ``OTHER``: none of these."""

    USER_UNKNOWN = "user_unknown"
    MAILBOX_DISABLED = "mailbox_disabled"
    MOVED = "moved"
    DOMAIN_UNKNOWN = "domain_unknown"
    NOT_ACCEPTING = "not_accepting"
    MAILBOX_FULL = "mailbox_full"
    SUCCESS = "success"
    SYNTAX = "syntax"
    RELAY_DENIED = "relay_denied"
    SENDER_BLOCKED = "sender_blocked"
    POLICY = "policy"
    CONTENT = "content"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    NEEDS_TLS_OR_AUTH = "needs_tls_or_auth"
    GREYLISTED = "greylisted"
    TEMPORARY = "temporary"
    NETWORK = "network"
    OTHER = "other"


class Side(StrEnum):
    """Whom a reply speaks about."""

    ADDRESS = "address"
    US = "us"
    SERVER = "server"
    MESSAGE = "message"
    EITHER = "either"


SAYS_NOTHING_OF_THE_ADDRESS = frozenset({Side.US, Side.SERVER, Side.MESSAGE})

# A host says at RCPT what it holds against a client (Postfix's smtpd_delay_reject), so an unknown stage is read as
# RCPT; and a later one, with the message, as what the same host would have said one command earlier.
_STAGES_BEFORE_RCPT = {
    "connect": Stage.CONNECT,
    "helo": Stage.EHLO,
    "ehlo": Stage.EHLO,
    "starttls": Stage.STARTTLS,
    "mail": Stage.MAIL,
}
# Names of providers in the corpus that are spelled otherwise in providers.toml.
_PROVIDERS = {
    "emailsecuritycloud": "symantec",
    "exchangeonline": "microsoft365",
    "exmail": "qq",
    "free": "free_fr",
    "laposte": "la_poste",
    "mailru": "mail_ru",
    "messagelabs": "symantec",
    "protonmail": "proton",
    "tonline": "t_online",
    "trendmicro": "trend_micro",
    "unitedinternet": "gmx",
    "webde": "gmx",
}
_CODE_IN_FRONT = re.compile(r"\s{0,4}[2-5][0-9]{2}(?:[ -]|$)")
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


class CorpusRow(NamedTuple):
    """One labelled reply, as the reader takes it."""

    row_id: str
    reply: Reply
    provider: str
    label: Label
    side: Side
    confidence: str
    raw_text: str

    @property
    def is_sure(self) -> bool:
        """Gold or silver: sure enough to hold a reader to it."""
        return self.confidence in ("gold", "silver")

    @property
    def is_scored(self) -> bool:
        return self.is_sure and self.label is not Label.OTHER


class CorpusFault(NamedTuple):
    """A line that cannot be used, and why."""

    line_number: int
    problem: str


class _UnusableRowError(ValueError):
    pass


def read_corpus(lines: Iterable[bytes]) -> tuple[list[CorpusRow], list[CorpusFault]]:
    """The rows of a corpus in order, and the lines that are none. Empty lines are passed over."""
    rows: list[CorpusRow] = []
    faults: list[CorpusFault] = []
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _row(line)
        except _UnusableRowError as error:
            faults.append(CorpusFault(number, str(error)))
            continue
        if (first := line_of.setdefault(row.row_id, number)) == number:
            rows.append(row)
        else:
            faults.append(CorpusFault(number, f"the id {row.row_id!r} stands already on line {first}"))
    return rows, faults


def _row(line: bytes) -> CorpusRow:
    if len(line) > MAX_LINE_BYTES:
        raise _UnusableRowError(f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _UnusableRowError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise _UnusableRowError("not a JSON object: one row is {...}")
    text = _text(fields, "text")
    code, enhanced = _code(fields.get("code")), _enhanced(fields.get("enhanced"))
    return CorpusRow(
        row_id=_text(fields, "id")[:MAX_ID_CHARACTERS],
        reply=_reply(_stage(fields.get("stage")), code, enhanced, text),
        provider=_provider(fields),
        label=Label(_one_of(fields, "label", Label)),
        side=Side(_one_of(fields, "side", Side)),
        confidence=_text(fields, "confidence"),
        raw_text=text,
    )


def _reply(stage: Stage, code: int | None, enhanced: str | None, text: str) -> Reply:
    """The reply as our own parser would have handed it over: without the codes in front of its lines.

    A reply whose code is not known has that of its enhanced code's class, and without one is a permanent refusal: the
    reading that does most harm if it is wrong.
    """
    lines = [clean_text(_CODE_IN_FRONT.sub("", line, count=1)) for line in text.splitlines()]
    parsed = as_reply(stage, 0, lines)
    enhanced = enhanced or parsed.enhanced
    if code is None:
        code = int(enhanced[0]) * 100 + 50 if enhanced else 550
    return parsed._replace(code=code, enhanced=enhanced)


def _text(fields: dict[str, Any], name: str) -> str:
    if name not in fields:
        raise _UnusableRowError(f"{name!r} is missing")
    if not isinstance(value := fields[name], str) or (not value and name != "text"):
        raise _UnusableRowError(f"{name!r} must be a text, not {_shown(value)}")
    return value


def _provider(fields: dict[str, Any]) -> str:
    name = _text(fields, "provider") if fields.get("provider") else ""
    return _PROVIDERS.get(name, name)


def _one_of(fields: dict[str, Any], name: str, words: type[StrEnum]) -> str:
    value = _text(fields, name)
    if value not in (known := [word.value for word in words]):
        raise _UnusableRowError(f"{name!r} is {_shown(value)}; known are {', '.join(known)}")
    return value


def _stage(value: object) -> Stage:
    if value is not None and not isinstance(value, str):
        raise _UnusableRowError(f"'stage' must be a text, or null, not {_shown(value)}")
    return _STAGES_BEFORE_RCPT.get(value or "", Stage.RCPT)


def _code(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise _UnusableRowError(f"'code' must be a number from 200 to 599, or null, not {_shown(value)}")
    return value


def _enhanced(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _ENHANCED.fullmatch(value):
        raise _UnusableRowError(f"'enhanced' must look like 5.1.1, or be null, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
