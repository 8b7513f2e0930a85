"""Tricks that a hostile host can play at any stage: it falls silent, goes, or says what is no SMTP."""

from ct_pipeline_tests.verification.hostile_host import Trick, drips, ends, says, silence, stays

# None is three ASCII digits that begin with 2 to 5.
NO_CODES = (b"000", b"099", b"100", b"199", b"600", b"999", b"-25", b"+25", b"2.5", b" 25", b"2_5", "２５０".encode())

GOING: dict[str, Trick] = {
    "closes": ends(),
    "resets": ends(by_reset=True),
    "closes in the middle of a line": ends(b"25"),
    "closes in the middle of a reply": ends(b"250-host.test\r\n"),
    "resets in the middle of a reply": ends(b"550-host.test\r\n", by_reset=True),
}


def silent(code: bytes) -> dict[str, Trick]:
    """The host never finishes its reply, which would have had this ``code``."""
    return {
        "silence": silence,
        "drip": drips(b"", code + b"-x\r\n"),
        "drip without a line": drips(code + b" ", b"x"),
        "bare CR": stays(code + b" host.test\r250 Ok\r"),
        "half a reply": stays(b"250-host.test\r\n250"),
    }


def no_smtp(code: bytes) -> dict[str, Trick]:
    """The host says something else than a reply with this ``code``."""
    return {
        "HTTP": says(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>220 ready</html>\r\n"),
        "SSH": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
        "TLS": says(b"\x15\x03\x01\x00\x02\x02\x46\r\n"),
        "NULs": says(b"\x00" * 50 + b"\r\n"),
        "words": says(b"Ok, who is there?\r\n"),
        "an empty line": says(b"\r\n"),
        "two codes": says(code + b"-host.test\r\n554 no\r\n"),
        **{f"code {wrong!r}": says(wrong + b" 2.1.5 Ok\r\n") for wrong in NO_CODES},
    }
