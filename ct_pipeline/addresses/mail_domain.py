"""The part after the @ as DNS wants it: lower-case A-labels without the trailing dot."""

import re
from functools import lru_cache

import idna

from ct_pipeline.addresses.unusable import UnusableError
from ct_pipeline.vocabulary import Reason

DOMAIN_MAX_OCTETS = 253  # RFC 1035 section 2.3.4, without the root label
LABEL_MAX_OCTETS = 63  # RFC 1035 section 2.3.4
# Top-level domains that hold no public mail: RFC 6761 (invalid, localhost), RFC 6762 (local), RFC 7686 (onion),
# RFC 9476 (alt), RFC 3172 (arpa), ICANN board resolution 2024.07.29.06 (internal). `test` stays usable: the sandbox
# lives there.
RESERVED_TLDS = frozenset({"alt", "arpa", "internal", "invalid", "local", "localhost", "onion"})

_LABEL = r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?"  # RFC 1123 section 2.1
_TLD = r"(?:xn--[a-z0-9\-]{0,58}[a-z0-9]|[a-z](?:[a-z0-9\-]{0,61}[a-z])?)"  # RFC 3696 section 2: never all digits
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)+{_TLD}")
_ASCII_BUT_NO_HOST_NAME = re.compile(r"[\x00-\x2c/:-@\[-`{-\x7f]")
_WRONG_SHAPE = frozenset({"empty_label", "empty_domain", "label_too_long", "domain_too_long", "hyphen_start_end"})


@lru_cache(maxsize=10_000)
def canonical_domain(text: str) -> str:
    """``text`` as lower-case A-labels (UTS 46 mapping, IDNA 2008), with at least two labels.

    Whether an ASCII name exists is for DNS to say, so odd but possible ones (``r3---x.com``, a malformed ``xn--``)
    pass.

    Raises ``UnusableError``: ``UNSUPPORTED_CHARACTER`` for an address literal (``[192.0.2.1]``) and for a character
    that IDNA refuses, ``SYNTAX_ERROR`` for everything else.
    """
    if text.startswith("[") and text.endswith("]"):
        raise UnusableError(Reason.UNSUPPORTED_CHARACTER)
    name = text.removesuffix(".")
    name = name.lower() if name.isascii() else _a_labels(name)
    if len(name) > DOMAIN_MAX_OCTETS or not _HOST_NAME.fullmatch(name):
        raise UnusableError(Reason.SYNTAX_ERROR)
    if name.rpartition(".")[2] in RESERVED_TLDS:
        raise UnusableError(Reason.SYNTAX_ERROR)
    return name


def _a_labels(name: str) -> str:
    if len(name) > DOMAIN_MAX_OCTETS or _ASCII_BUT_NO_HOST_NAME.search(name):
        raise UnusableError(Reason.SYNTAX_ERROR)
    try:
        return idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError as error:
        reason = Reason.SYNTAX_ERROR if error.code in _WRONG_SHAPE else Reason.UNSUPPORTED_CHARACTER
        raise UnusableError(reason) from error
