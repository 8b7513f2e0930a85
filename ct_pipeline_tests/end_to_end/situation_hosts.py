"""How the hosts of the situations behave: scripts for a scripted host, see scripted_host.py."""

from dataclasses import dataclass

from ct_pipeline_tests.verification.scripted_host import HANG_UP, Script, polite

OK = b"250 2.1.5 Ok\r\n"
UNKNOWN_USER = b"550 5.1.1 User unknown\r\n"

plain = polite(lambda address: OK if address.startswith(("live", "postmaster")) else UNKNOWN_USER)


def says(reply: bytes, to: str = "", extensions: tuple[str, ...] = ()) -> Script:
    """``reply`` to names that begin with ``to``; others are accepted if they are live, and unknown if not."""
    return polite(
        lambda address: reply if address.startswith(to) else OK if address.startswith("live") else UNKNOWN_USER,
        ("ENHANCEDSTATUSCODES", *extensions),
    )


def greets_with(greeting: bytes) -> Script:
    return lambda command: [greeting] if command == "connect" else [b"221 2.0.0 Bye\r\n"]


def puts_off_once(reply: bytes) -> Script:
    """Whoever comes again is let in."""
    seen: set[str] = set()

    def rcpt(address: str) -> bytes:
        if address not in seen:
            seen.add(address)
            return reply
        return OK if address.startswith("live") else UNKNOWN_USER

    return polite(rcpt)


def lets_in_for(count: int, reply: bytes) -> Script:
    """From the first names on it says ``reply`` to all of them, postmaster excepted."""
    named = 0

    def rcpt(address: str) -> bytes:
        nonlocal named
        named += 1
        is_known = address.startswith("postmaster") or (named <= count and address.startswith("live"))
        return OK if is_known else UNKNOWN_USER if named <= count else reply

    return polite(rcpt)


def takes_one_recipient_a_message() -> Script:
    named = 0

    def answer(command: str) -> list[bytes]:
        nonlocal named
        if command.startswith("RCPT"):
            named += 1
            if named > 1:
                return [b"452 4.5.3 Too many recipients\r\n"]
        elif command[:4] in ("MAIL", "RSET", "EHLO", "conn"):
            named = 0
        return plain(command)

    return answer


def hangs_up_after_a_refusal(command: str) -> list[bytes]:
    replies = plain(command)
    return [*replies, HANG_UP] if replies == [UNKNOWN_USER] else replies


def knows_no_ehlo(command: str) -> list[bytes]:
    if command.startswith("EHLO"):
        return [b"502 5.5.1 Command not implemented\r\n"]
    return [b"250 host.test\r\n"] if command.startswith("HELO") else plain(command)


def refuses_mail_from(reply: bytes) -> Script:
    return lambda command: [reply] if command.startswith("MAIL") else plain(command)


def never_answers_rcpt(command: str) -> list[bytes]:
    return [] if command.startswith("RCPT") else plain(command)


def hangs_up_at_rcpt(command: str) -> list[bytes]:
    return [HANG_UP] if command.startswith("RCPT") else plain(command)


@dataclass
class Turncoat:
    """Tells names apart, until it is told to accept every name."""

    accepts_everything: bool = False

    def __call__(self, command: str) -> list[bytes]:
        return says(OK)(command) if self.accepts_everything else plain(command)


@dataclass
class Grudge:
    """After so many names it says of everybody that there is no such user, until it has forgiven."""

    after: int
    has_forgiven: bool = False
    named: int = 0

    def __call__(self, command: str) -> list[bytes]:
        self.named += command.startswith("RCPT")
        is_refused = command.startswith("RCPT") and self.named > self.after and not self.has_forgiven
        return [UNKNOWN_USER] if is_refused else plain(command)
