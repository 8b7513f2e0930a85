"""The bare ``local@domain`` inside a cell: what people, spreadsheets and mail programs put around it taken away."""

import re
import unicodedata
from urllib.parse import unquote

from ct_pipeline.addresses.unusable import WHITESPACE, UnusableError
from ct_pipeline.vocabulary import Reason

# Separators that stay behind when a list of addresses is cut into cells; neither can begin or end an address.
SEPARATORS = ",;"
_TRIMMED = WHITESPACE + SEPARATORS
_QUOTE_PAIRS = frozenset({'""', "''", "“”", "„“", "‘’", "«»"})
_MAX_LAYERS = 8  # `"Name" <mailto:<a@b>>` has three; what is still wrapped after eight is no address

# Unicode 16 DerivedCoreProperties.txt, Default_Ignorable_Code_Point, without the two joiners.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# ZWNJ and ZWJ are spelling in Persian and Indic words (RFC 5892 appendix A), dirt anywhere beside ASCII or an end.
_STRAY_JOINERS = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\x7f])")
# Cc, line and paragraph separator, surrogates, and the mark of a character that an earlier decoding lost.
_NEVER_IN_AN_ADDRESS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffd]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
# What an input method leaves when nobody switched it back: full-width ASCII (U+FF01 to U+FF5E), its space, stops, at.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ",
    0x3002: ".",
    0xFF61: ".",
    0xFE6B: "@",
}


def bare_address(raw: str) -> str:
    """``raw`` without display name, angle brackets, ``mailto:``, outer quotes, comments and invisible characters.

    Case is kept and nothing is checked but this: a control character, line separator, surrogate or replacement
    character inside the text raises ``UnusableError``, wherever it stands, so none can ever reach an SMTP command.
    """
    text = _legible(raw)
    for _ in range(_MAX_LAYERS):
        if _NEVER_IN_AN_ADDRESS.search(text):
            raise UnusableError(Reason.UNSUPPORTED_CHARACTER)
        inner = _without_one_layer(text.strip(_TRIMMED))
        if inner == text:
            return text
        text = inner
    return text


def _legible(text: str) -> str:
    if not text.isascii():
        text = _STRAY_JOINERS.sub("", _INVISIBLE.sub("", text)).translate(_FULL_WIDTH)
        text = _SPACES.sub(" ", unicodedata.normalize("NFC", text))
    return text.strip(WHITESPACE)


def _without_one_layer(text: str) -> str:
    if text.endswith(">") and "<" in text:
        return text[text.rindex("<") + 1 :].rstrip(">")
    if text[:7].lower() == "mailto:":
        # RFC 6068: header fields begin at the first question mark; the rest is percent-encoded UTF-8
        return _legible(unquote(text[7:].partition("?")[0]))
    if len(text) > 1 and text[0] + text[-1] in _QUOTE_PAIRS:
        return text[1:-1]
    return _without_comments(text) if "(" in text else text


def _without_comments(text: str) -> str:
    """RFC 5322 section 3.2.2 comments, nested ones too, become one space; inside quotes parentheses are text."""
    kept: list[str] = []
    depth, is_quoted, is_escaped = 0, False, False
    for character in text:
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character == '"' and depth == 0:
            is_quoted = not is_quoted
        elif character == "(" and not is_quoted:
            depth += 1
            continue
        elif character == ")" and depth > 0:
            depth -= 1
            if depth == 0:
                kept.append(" ")
            continue
        if depth == 0:
            kept.append(character)
    return text if depth else "".join(kept).strip(" ")
