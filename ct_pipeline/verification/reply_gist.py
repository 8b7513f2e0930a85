"""What a reply's text says once everything that differs from one address to the next is taken out. Pure.

Names of people, hosts and sessions are removed for two reasons: a mailbox called ``blocked@spam-free.example`` must not
make the reply that quotes it look like a complaint about us, and two replies that differ only in them are one reply to
the reader's cache.
"""

import re
from collections.abc import Callable, Iterable

MAX_GIST_CHARACTERS = 1000

# Every quantifier is bounded or possessive: the text comes from strangers.
_ANGLED = re.compile(r"<[^<>\s]{0,320}>")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]{1,400}")
_ADDRESS = re.compile(r"(?<![^\s<>\"(),;:\[\]])[^\s<>@\"(),;:\[\]]{1,128}@[^\s<>@\"(),;:\[\]]{1,255}")
_HOST = re.compile(
    r"(?<![\w.-])(?:[a-z0-9_-]{1,63}+\.){1,8}"
    r"(?:com|net|org|edu|gov|mil|info|biz|name|test|example|invalid|local|lan|internal|xn--[a-z0-9-]{1,59}|[a-z]{2})"
    r"(?![\w-])"
)
_NUMBERED = re.compile(r"(?<![^\s<>()\[\],;:\"'=/|])[^\s0-9<>()\[\],;:\"'=/|]*+[0-9][^\s<>()\[\],;:\"'=/|]*+")
_DOT_AND_LETTER, _DIGIT = re.compile(r"\.[a-z]"), re.compile("[0-9]")  # what these two cannot do without
# What a relay says before it quotes another host: its "remote server" is the one that speaks, not ours.
_QUOTING = re.compile(
    r"^[ \t]*+(?:host [^\s\[]{1,255} ?\[[^\]]{1,60}\](?: said:|:(?= [245][0-9]{2}[ -])) "
    r"|(?:smtp error from )?remote (?:mail )?(?:server|host|mta) "
    r"(?:said|returned|responded|replied|after [a-z ]{1,20}(?::? ?<[^<>]{0,320}>)?)[ \t:'\"]{0,4})++",
    re.MULTILINE,
)
# A host that quotes another, and logs, repeat codes at the beginning of lines: "550-Sender verify failed" is no number.
_CODES_IN_FRONT = re.compile(
    r"^(?:[ \t]*+(?:[245][0-9]{2}(?:[ -]|$)|#?[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])[ :-]{0,3}))++", re.MULTILINE
)
_CODE_AND_DASH = re.compile(r"[245](?<!\S[245])[0-9]{2}-(?=[^\s0-9])")  # digit first: it is found much sooner
_ENHANCED_AT_START = re.compile(r"\W{0,3}([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
_ENHANCED_IN_BRACKETS = re.compile(r"\(#?([245]\.[0-9]{1,3}\.[0-9]{1,3})\)")


class GistMaker:
    """Makes gists. ``names`` and ``codes`` are regexes of what must survive: block lists, and providers' own codes.

    >>> GistMaker(names=["spamhaus"], codes=[]).gist("<joe@a.example>: blocked, see https://www.spamhaus.org/q?ip=1")
    '<addr>: blocked, see spamhaus'
    """

    def __init__(self, names: Iterable[str], codes: Iterable[str]) -> None:
        self._names = re.compile("|".join(names) or r"(?!)")
        self._codes = re.compile("|".join(codes) or r"(?!)")

    def gist(self, text: str) -> str:
        """Lower case, one line, at most ``MAX_GIST_CHARACTERS``, without codes and "remote server said" in front.

        Addresses become ``<addr>`` or ``addr``, host names ``host``, words with digits ``#``.
        """
        gist = text[:MAX_GIST_CHARACTERS].lower().replace("\u2019", "'")
        if "remote " in gist or gist.startswith("host "):
            gist = _QUOTING.sub("", gist)
        if "\n" in gist or gist.startswith(("#", "2", "4", "5", " ")):
            gist = _CODES_IN_FRONT.sub("", gist)
        if "-" in gist:
            gist = _CODE_AND_DASH.sub("", gist)
        if "://" in gist or "www." in gist:
            gist = _URL.sub(self._names_in, gist)
        if "<" in gist:
            gist = _ANGLED.sub("<addr>", gist)
        if (place := gist.find("@")) >= 0:
            gist = _with_words_replaced(gist, place, _ADDRESS, "addr")
        if match := _DOT_AND_LETTER.search(gist):
            gist = _with_words_replaced(gist, match.start(), _HOST, self._names_in_host)
        if match := _DIGIT.search(gist):
            gist = _with_words_replaced(gist, match.start(), _NUMBERED, self._code_or_number)
        return " ".join(gist.split())

    def _names_in(self, match: re.Match[str]) -> str:
        return " ".join(found[0] for found in self._names.finditer(match[0]))

    def _names_in_host(self, match: re.Match[str]) -> str:
        return self._names_in(match) or "host"

    def _code_or_number(self, match: re.Match[str]) -> str:
        word = match[0].rstrip(".")
        return word if self._codes.fullmatch(word) else "#"


def _with_words_replaced(
    gist: str, place: int, pattern: re.Pattern[str], replacement: str | Callable[[re.Match[str]], str]
) -> str:
    """Replace all matches of ``pattern``, none of which has a space in it or ends before ``place``."""
    start = gist.rfind(" ", 0, place) + 1
    return gist[:start] + pattern.sub(replacement, gist[start:])


def enhanced_in(code: int, text: str) -> str:
    """The enhanced status code that a host wrote in its text: first (Cisco's ``#5.1.0``) or in brackets (qmail's).

    Empty when there is none, or when its class contradicts the reply code (RFC 3463 section 3).
    """
    match = _ENHANCED_AT_START.match(text) or _ENHANCED_IN_BRACKETS.search(text)
    return match[1] if match and match[1][0] == str(code)[0] else ""
