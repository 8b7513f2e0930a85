"""JSON as a stranger may send it (pure): what cannot be a sane document is refused, never half understood."""

import json
import math
import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_json(body: bytes) -> object:
    """The document in ``body``.

    Bytes that are not UTF-8, and escaped halves of characters, become lone surrogates: they are told from text by
    :func:`is_text`, so that one damaged record does not cost a page.

    Raises:
        ValueError: not JSON, numbers that JSON does not have (NaN, Infinity, 1e999), or nested too deeply.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_text(value: str) -> bool:
    """Whether Postgres and Parquet can hold it: no lone surrogates, no NUL."""
    return "\x00" not in value and (
        value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    )


def storable(value: object, levels: int = 20) -> object:
    """``value`` with every text storable (what is not is replaced by U+FFFD).

    Raises:
        ValueError: nested deeper than ``levels``, or a whole number of more than 300 digits.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict | list) and levels == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {_UNSTORABLE.sub("\ufffd", str(key)): storable(inner, levels - 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner, levels - 1) for inner in value]
    if isinstance(value, int) and value.bit_length() > 1000:
        raise ValueError("a number of more than 300 digits")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number out of range")
    return number


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
