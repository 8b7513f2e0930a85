"""The mail host's side of one SMTP session: a command line goes in, the reply comes out (no I/O)."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ct_pipeline.sandbox.behaviours import MailboxBehaviour
from ct_pipeline.sandbox.population import MailHost
from ct_pipeline.sandbox.reply_styles import ReplyStyle

POSTMASTER = "postmaster"  # RFC 5321 section 4.5.1: always accepted
_PATH = re.compile(r"(?:MAIL FROM|RCPT TO):\s*<(?P<address>.*)>\s*(?P<parameters>[^>]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hosted:
    """One mail domain as its host sees it."""

    accepts_every_name: bool = False
    mailboxes: Mapping[str, MailboxBehaviour] = field(default_factory=dict)  # by address


class Greylist:
    """First sight of each (client, sender, recipient) is put off for ``seconds``."""

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._passes_at: dict[tuple[str, str, str], float] = {}

    def wait_seconds(self, client: str, sender: str, recipient: str) -> float:
        """How long the triple has still to wait; 0 or less when it may pass."""
        now = self._now()
        return self._passes_at.setdefault((client, sender, recipient), now + self._seconds) - now


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, what it was to, and what happens after it."""

    command: str
    code: int
    lines: tuple[str, ...]
    address: str = ""
    closes: bool = False
    starts_tls: bool = False
    offence: bool = False

    def to_wire(self) -> bytes:
        last = len(self.lines) - 1
        rows = (f"{self.code}{' ' if n == last else '-'}{line}\r\n" for n, line in enumerate(self.lines))
        return "".join(rows).encode("utf-8", "surrogateescape")


class MailDialogue:
    """One session. Call :meth:`greet` once, then :meth:`receive` per command line."""

    def __init__(
        self,
        host: MailHost,
        style: ReplyStyle,
        hosted: Mapping[str, Hosted],
        greylist: Greylist,
        *,
        session: int,
        client: str,
        offers_tls: bool,
    ) -> None:
        self._host = host
        self._does = host.does
        self._style = style
        self._hosted = hosted
        self._greylist = greylist
        self._client = client
        self._offers_tls = offers_tls
        self._id = f"{session:x}-{host.address.replace('.', '')}si"
        self._helo = "unknown"
        self._sender: str | None = None
        self._speaks_utf8 = False
        self._refused_at_connect = False
        self._transaction_count = 0
        self._session_count = 0

    def greet(self) -> Answer | None:
        """The greeting; None when this host never says anything."""
        if not self._does.greeting:
            return None
        greeting = self._reply("CONNECT", self._does.greeting)
        self._refused_at_connect = greeting.code == 554
        return self._closing(greeting) if greeting.code == 421 else greeting

    def receive(self, line: bytes) -> Answer:
        text = line.decode("utf-8", "surrogateescape").strip()
        verb = text.partition(" ")[0].upper()
        if verb == "QUIT":
            return self._closing(self._reply(verb, "goodbye"))
        if self._refused_at_connect:  # RFC 5321 section 3.1: after a 554 greeting only QUIT is answered otherwise
            return Answer(verb, 503, ("5.5.1 Bad sequence of commands",))
        match verb:
            case "EHLO" | "HELO":
                return self._hello(verb, text.partition(" ")[2])
            case "STARTTLS" if self._offers_tls:
                self._sender, self._helo, self._offers_tls = None, "unknown", False
                return Answer(verb, 220, ("2.0.0 Ready to start TLS",), starts_tls=True)
            case "MAIL":
                return self._mail(text)
            case "RCPT":
                return self._recipient(text)
            case "RSET":
                self._sender = None
                return Answer(verb, 250, ("2.0.0 Ok",))
            case "NOOP":
                return Answer(verb, 250, ("2.0.0 Ok",))
            case "VRFY":
                return Answer(verb, 252, ("2.0.0 Cannot VRFY user, but will accept message and attempt delivery",))
            case "DATA" | "BDAT":
                return Answer("DATA", 554, ("5.5.1 Error: no message is wanted here",), offence=True)
        return Answer("OTHER", 502, ("5.5.2 Error: command not recognized",))

    def _hello(self, verb: str, name: str) -> Answer:
        if not name.strip():
            return Answer(verb, 501, (f"Syntax: {verb} hostname",))
        self._helo, self._sender = name.strip(), None
        if verb == "HELO":
            return Answer(verb, 250, (self._host.host,))
        extensions = [self._host.host, "PIPELINING", "SIZE 10240000"]
        extensions += ["STARTTLS"] if self._offers_tls else []
        extensions += ["ENHANCEDSTATUSCODES", "8BITMIME"]
        extensions += ["SMTPUTF8"] if self._does.offers_smtputf8 else []
        return Answer(verb, 250, tuple(extensions))

    def _mail(self, text: str) -> Answer:
        path = _PATH.fullmatch(text)
        if path is None:
            return Answer("MAIL", 501, ("5.5.4 Syntax: MAIL FROM:<address>",))
        if self._sender is not None:
            return Answer("MAIL", 503, ("5.5.1 Error: nested MAIL command",), path["address"])
        self._sender, self._transaction_count = path["address"].lower(), 0
        self._speaks_utf8 = self._does.offers_smtputf8 and "SMTPUTF8" in path["parameters"].upper().split()
        return self._reply("MAIL", "sender_ok", path["address"])

    def _recipient(self, text: str) -> Answer:
        path = _PATH.fullmatch(text)
        if path is None or "@" not in path["address"]:
            return Answer("RCPT", 501, ("5.1.3 Bad recipient address syntax",))
        address = path["address"]
        if self._sender is None:
            return Answer("RCPT", 503, ("5.5.1 Error: need MAIL command",), address)
        self._session_count += 1
        limit = self._does.recipients_per_session
        if limit is not None and self._session_count > limit:
            return self._closing(self._reply("RCPT", "too_many_in_session", address))
        answer = self._reply("RCPT", self._about(address), address)
        self._transaction_count += answer.code == 250
        refused = answer.code >= 500
        return self._closing(answer) if refused and self._does.hangs_up_after_refusal else answer

    def _about(self, address: str) -> str:
        """The name of the reply to RCPT for ``address``."""
        if self._does.every_recipient:
            return self._does.every_recipient
        if not address.isascii() and not self._speaks_utf8:
            return "smtputf8_needed"
        local_part, _, domain = address.lower().rpartition("@")
        hosted = self._hosted.get(domain)
        if hosted is None:
            return "relay_denied"
        if self._transaction_count >= self._does.recipients_per_transaction:
            return "too_many_in_transaction"
        if self._does.greylists and self._wait_seconds(address) > 0:
            return "greylisted"
        if local_part == POSTMASTER or self._does.accepts_every_name or hosted.accepts_every_name:
            return "accepted"
        behaviour = hosted.mailboxes.get(f"{local_part}@{domain}", MailboxBehaviour.MISSING)
        return "accepted" if behaviour is MailboxBehaviour.EXISTS else behaviour.value

    def _wait_seconds(self, address: str) -> float:
        return self._greylist.wait_seconds(self._client, self._sender or "", address.lower())

    def _reply(self, command: str, name: str, address: str = "") -> Answer:
        seconds = self._wait_seconds(address) if name == "greylisted" else 0.0
        code, lines = self._style.reply(
            name,
            host=self._host.host,
            client=self._client,
            helo=self._helo,
            address=address,
            domain=address.rpartition("@")[2],
            seconds=str(max(1, math.ceil(round(seconds, 3)))),
            id=self._id,
        )
        return Answer(command, code, lines, address)

    @staticmethod
    def _closing(answer: Answer) -> Answer:
        return Answer(answer.command, answer.code, answer.lines, answer.address, closes=True)
