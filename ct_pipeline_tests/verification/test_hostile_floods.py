"""Hosts that never stop talking are hung up on: they are stopped long before they have said what they have to say.

A flood is hundreds of megabytes. What the network has taken of it, its own buffers included, is what the host counts:
nobody can have read more.
"""

import pytest

from ct_pipeline.verification.connection import Timeouts
from ct_pipeline_tests.verification.hostile_host import (
    FLOOD_LIMIT_BYTES,
    RIGHT_EHLO,
    Session,
    Trick,
    floods,
)
from ct_pipeline_tests.verification.hostile_visit import visits

# No reply is out of time before a flood is over: what ends the session is what was said, not how long it took.
PATIENT = Timeouts(connect=2.0, reply=20.0)
MOST_BYTES = 24_000_000  # buffers of the two sockets, which on loopback grow to some megabytes each
assert MOST_BYTES * 8 < FLOOD_LIMIT_BYTES

FLOODS = {
    "lines of one reply": floods(b"", b"250-x\r\n"),
    "a line without end": floods(b"250-", b"x"),
    "replies": floods(b"", b"250 2.1.5 Ok\r\n"),
    "NULs": floods(b"", b"\x00"),
    "empty lines": floods(b"", b"\r\n"),
    "CRs": floods(b"250 ", b"\r"),
    "8-bit": floods(b"250 ", b"\xff"),
}


@pytest.mark.parametrize("stage", ["connect", "EHLO", "STARTTLS", "MAIL", "RCPT", "QUIT"])
def test_a_flood_is_not_read(stage: str) -> None:
    seen = visits(stage, FLOODS, extensions=RIGHT_EHLO, timeouts=PATIENT)
    too_much = {name: visit.host.flooded_bytes for name, visit in seen.items() if visit.host.flooded_bytes > MOST_BYTES}
    assert too_much == {}
    if stage in ("connect", "EHLO", "MAIL", "RCPT"):
        assert [name for name, visit in seen.items() if not visit.is_all_due] == []
    if stage == "STARTTLS":
        assert [name for name, visit in seen.items() if not visit.is_all_right] == [], "the clear is asked instead"


@pytest.mark.parametrize("after", [b"220 2.0.0 Ready\r\n", b"220 2.0.0 Ready\r\n\x16\x03\x03\x40\x00"], ids=repr)
def test_a_flood_in_the_handshake_is_not_read(after: bytes) -> None:
    tricks = {"zeros": floods(after, b"\x00"), "records": floods(after, b"\x16\x03\x03\x00\x01\x02")}
    for name, visit in visits("STARTTLS", tricks, extensions=RIGHT_EHLO, timeouts=PATIENT).items():
        assert visit.host.flooded_bytes < MOST_BYTES, name
        assert visit.is_all_right, name


def test_a_flood_that_waits_for_the_next_command_is_not_read() -> None:
    """The polite reply, and the flood once more is asked."""
    tricks: dict[str, Trick] = {}
    for name, flood in FLOODS.items():

        async def trick(session: Session, reply: bytes, flood: Trick = flood) -> bool:
            await session.say(reply)
            await session.reader.readline()
            return await flood(session, b"")

        tricks[name] = trick
    for stage in ("connect", "RCPT"):
        for name, visit in visits(stage, tricks, timeouts=PATIENT).items():
            assert visit.host.flooded_bytes < MOST_BYTES, (stage, name)
