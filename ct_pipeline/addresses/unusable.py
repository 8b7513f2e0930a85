"""What stands in place of an address when the string cannot be one: a reason, and a printable key."""

from hashlib import blake2b

from ct_pipeline.vocabulary import Reason

# Unicode White_Space (PropList.txt), control characters among it included: all that is trimmed from both ends.
WHITESPACE = (
    "\t\n\v\f\r \x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
KEY_MAX_CHARS = 320  # 64 + "@" + 255: the longest that RFC 5321 section 4.5.3.1 could add up to
_DIGEST_BYTES = 8


class UnusableError(Exception):
    """The string is not an address. Used inside ``addresses`` only; callers get ``syntax_reason`` instead."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def printable_key(raw: str) -> str:
    """``raw`` trimmed, printable and at most ``KEY_MAX_CHARS`` long, so that it can be stored, shown and be a key.

    Characters that do not print, and the backslash, are written as ``\\x0a``, ``\\u200b`` or ``\\U000e0001``. (A usable
    address has a backslash only before another one or a quote, so no key of an unusable string equals it.) Of a longer
    text the head is kept and a digest of the whole added, so that different texts keep different keys.
    """
    text = raw.strip(WHITESPACE)
    if not text.isprintable() or "\\" in text:
        text = "".join(_escaped(character) for character in text)
    if len(text) <= KEY_MAX_CHARS:
        return text
    digest = blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{text[: KEY_MAX_CHARS - len(digest) - 1]}…{digest}"


def _escaped(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
