"""Bytes from a mail host in, whole SMTP replies out (RFC 5321 section 4.2). No I/O."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ct_pipeline.verification.probe import Reply, Stage

MAX_REPLY_BYTES = 16_384  # a real EHLO answer is a few KB; a host that sends more is not talking SMTP
MAX_REPLY_LINES = 100
MAX_TEXT_CHARACTERS = 1000  # what the ledger keeps of one reply

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # Unicode's controls, and its line separators
_ENHANCED = re.compile(r"#?([245])\.(\d{1,3})\.(\d{1,3})\b[ :-]*")  # RFC 2034; "#5.1.0" as Cisco writes it


class NotSmtpError(ValueError):
    """The host sent something that is no SMTP reply, or too much of it; ``replies`` came whole before it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.replies: list[RawReply] = []


class RawReply(NamedTuple):
    """One whole reply: the code and the text of every line, cleaned."""

    code: int
    lines: tuple[str, ...]


class ReplyParser:
    """Collects bytes until they make whole replies. Bounded: a reply never grows past ``MAX_REPLY_BYTES``."""

    def __init__(self) -> None:
        self._pending = b""
        self._code: int | None = None
        self._lines: list[str] = []
        self._size = 0

    @property
    def is_idle(self) -> bool:
        """No byte of an unfinished reply is held."""
        return not self._pending and self._code is None

    def feed(self, data: bytes) -> list[RawReply]:
        """The replies that ``data`` completes, in order.

        Raises:
            NotSmtpError: a line without a reply code, codes that differ within one reply, or a reply without end.
        """
        replies: list[RawReply] = []
        try:
            self._take(data, replies)
        except NotSmtpError as error:
            error.replies = replies  # how the network cut the bytes makes no difference to what was said
            raise
        return replies

    def _take(self, data: bytes, replies: list[RawReply]) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._size += len(line)
            if reply := self._take_line(line.rstrip(b"\r")):
                replies.append(reply)
        if self._size + len(self._pending) > MAX_REPLY_BYTES:
            raise NotSmtpError("the reply is longer than any real one")

    def _take_line(self, line: bytes) -> RawReply | None:
        match = _LINE.fullmatch(line)
        if match is None:
            raise NotSmtpError("a line without a reply code")
        if self._size > MAX_REPLY_BYTES or len(self._lines) >= MAX_REPLY_LINES:
            raise NotSmtpError("the reply is longer than any real one")
        digits, separator, text = match.groups()
        code = int(digits)
        if self._code is not None and code != self._code:
            raise NotSmtpError("the lines of one reply carry different codes")
        self._lines.append(clean_text(text or b""))
        if separator == b"-":
            self._code = code
            return None
        reply = RawReply(code, tuple(self._lines))
        self._code, self._lines, self._size = None, [], 0
        return reply


def as_reply(stage: Stage, code: int, lines: Sequence[str]) -> Reply:
    """The record of a reply: the enhanced status code taken out of its lines, the text joined and bounded.

    Hosts say few different things, and nearly always the same: one record then stands for many replies.
    """
    return _record(stage, code, tuple(lines))


@lru_cache(maxsize=256)  # of at most 16 KiB
def _record(stage: Stage, code: int, lines: tuple[str, ...]) -> Reply:
    enhanced: str | None = None
    texts: list[str] = []
    for line in lines:
        if match := _ENHANCED.match(line):
            enhanced = enhanced or f"{match[1]}.{int(match[2])}.{int(match[3])}"
            line = line[match.end() :]
        texts.append(line.strip())
    return Reply(stage, code, enhanced, "\n".join(texts).strip()[:MAX_TEXT_CHARACTERS])


def no_reply(stage: Stage, what_happened: str) -> Reply:
    """The record of a host that did not answer; ``what_happened`` begins with the words the reply reader knows."""
    return Reply(stage, 0, None, what_happened[:MAX_TEXT_CHARACTERS])


def clean_text(raw: bytes | str) -> str:
    """Text that is safe to store, log and show: one line of valid Unicode without control or formatting characters."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw.encode("utf-8", "replace").decode("utf-8")
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if unicodedata.category(character) in _UNSAFE else character for character in text)
