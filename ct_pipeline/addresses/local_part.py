"""The part before the @ in the one spelling that everything downstream compares."""

import re
import unicodedata

from email_validator import EmailNotValidError, validate_email

from ct_pipeline.addresses.unusable import UnusableError
from ct_pipeline.vocabulary import Reason

LOCAL_PART_MAX_OCTETS = 64  # RFC 5321 section 4.5.3.1.1
ATEXT = r"a-z0-9!#$%&'*+/=?^_`{|}~\-"  # RFC 5322 section 3.2.3, lower case
_DOT_ATOM = re.compile(rf"[{ATEXT}\u0080-\U0010ffff]+(?:\.[{ATEXT}\u0080-\U0010ffff]+)*")
_ANY_DOMAIN = "mail.test"  # the domain is settled elsewhere; email-validator wants a whole address


def canonical_local_part(text: str) -> str:
    """``text`` in lower case and NFC, quoted only if it must be. Non-ASCII is kept (SMTPUTF8, RFC 6531).

    RFC 5321 section 2.4 leaves the case to the receiving host, but hosts that tell ``Ann`` from ``ann`` are not met in
    practice, while lists that hold both spellings of one person are. So case is folded, and both rows are one address.

    Raises ``UnusableError``: ``SYNTAX_ERROR`` for a wrong shape or length, ``UNSUPPORTED_CHARACTER`` for a character
    that no address can hold.
    """
    text = unicodedata.normalize("NFC", text.lower())
    if not text.startswith('"'):
        if not _DOT_ATOM.fullmatch(text) or len(text) > LOCAL_PART_MAX_OCTETS:
            raise UnusableError(Reason.SYNTAX_ERROR)
        if text.isascii():
            return text
    try:
        checked = validate_email(
            f"{text}@{_ANY_DOMAIN}",
            check_deliverability=False,
            allow_smtputf8=True,
            allow_quoted_local=True,
            test_environment=True,
        )
    except EmailNotValidError as error:
        reason = Reason.SYNTAX_ERROR if text.isascii() else Reason.UNSUPPORTED_CHARACTER
        raise UnusableError(reason) from error
    if len(checked.local_part.encode()) > LOCAL_PART_MAX_OCTETS:
        raise UnusableError(Reason.SYNTAX_ERROR)
    return checked.local_part
