"""Clearout's reason codes, for those who come from Clearout: a column of its own beside our reason. Pure.

The codes and their meaning are Clearout's (docs.clearout.io, "Sub Status", read in November 2026). A code says *why*;
what follows from it is our status, which differs from Clearout's where theirs is Invalid although the mailbox exists
(413, 419, 421, 428).
"""

from ct_pipeline.addresses.operator_lists import Listing
from ct_pipeline.vocabulary import Reason

# Clearout's own words for each code, shortened.
CLEAROUT_REASONS: dict[int, str] = {
    200: "Success",
    400: "Syntax error",
    401: "Spam trap",
    402: "Mail server connection timeout",
    403: "Domain not found",
    404: "Not a mail server",
    405: "Mail server error",
    406: "Mailbox not found",
    407: "Greylisting",
    411: "Catch-all mail server",
    412: "Unable to determine",
    413: "Mailbox quota exceeded",
    414: "Verification not allowed for now",
    416: "No answer from authoritative server",
    417: "DNS query timeout",
    418: "DNS query unhandled error",
    419: "Server out of resources",
    420: "Mail server command timeout",
    421: "Recipient's receiving limit reached",
    428: "Account inactive because over quota",
    601: "Email on allow list",
    602: "Email on block list",
    603: "Domain on allow list",
    604: "Domain on block list",
    606: "Unsupported character",
    701: "Account disabled",
}

# A code that no verdict ever gets, and why.
NEVER_GIVEN: dict[int, str] = {
    401: "nobody publishes which addresses are spam traps, and a trap answers like any other mailbox",
}

_CODES: dict[Reason, int] = {
    Reason.ACCEPTED: 200,
    Reason.CATCH_ALL: 411,
    Reason.SYNTAX_ERROR: 400,
    Reason.UNSUPPORTED_CHARACTER: 606,
    Reason.DOMAIN_NOT_FOUND: 403,
    Reason.NO_MAIL_SERVICE: 404,
    Reason.NULL_MX: 404,
    Reason.UNROUTABLE_MAIL_SERVER: 404,
    Reason.DNS_TIMEOUT: 417,
    Reason.DNS_SERVER_FAILURE: 418,
    Reason.MAILBOX_NOT_FOUND: 406,
    Reason.MAILBOX_DISABLED: 701,
    Reason.MAILBOX_MOVED: 406,
    Reason.MAILBOX_FULL: 413,
    Reason.RECIPIENT_RATE_LIMITED: 421,
    Reason.DOMAIN_NOT_HOSTED: 404,
    Reason.PROBER_BLOCKED: 414,
    Reason.SENDER_REFUSED: 414,
    Reason.POLICY_REFUSED: 414,
    Reason.RELAY_DENIED: 414,
    Reason.RATE_LIMITED: 414,
    Reason.TLS_OR_LOGIN_REQUIRED: 414,
    Reason.GREYLISTED: 407,
    Reason.SERVER_TROUBLE: 405,
    Reason.TOO_MANY_RECIPIENTS: 405,
    Reason.CONNECTION_REFUSED: 402,
    Reason.CONNECTION_TIMEOUT: 402,
    Reason.CONNECTION_LOST: 405,
    Reason.COMMAND_TIMEOUT: 420,
    Reason.OUT_OF_STEP: 412,
    Reason.EGRESS_TROUBLE: 412,
    Reason.ALLOW_LISTED: 601,
    Reason.BLOCK_LISTED: 602,
    Reason.UNCLEAR_REPLY: 412,
    Reason.CANNOT_VERIFY: 412,
    Reason.SMTPUTF8_REQUIRED: 412,
    Reason.PROVIDER_HIDES_ANSWER: 412,
    Reason.PROVIDER_FORBIDS_PROBING: 414,
    Reason.NOT_ASKED_YET: 412,
}
# Of a listed domain, two more than of a listed address: 601 and 603, 602 and 604.
_MORE_FOR_A_DOMAIN = 2
# RFC 3463 section 3.4: X.3.1 is a mail system that is full (the whole host, not one mailbox).
_SYSTEM_FULL = frozenset({"4.3.1", "5.3.1"})


def clearout_code(
    reason: Reason,
    *,
    listing: Listing | None = None,
    smtp_enhanced: str | None = None,
    smtp_text: str | None = None,
    dns_detail: str = "",
) -> int:
    """The code for ``reason``; the evidence decides where Clearout tells apart what is one reason to us.

    >>> clearout_code(Reason.MAILBOX_FULL), clearout_code(Reason.MAILBOX_FULL, smtp_text="Over quota and inactive")
    (413, 428)
    """
    code = _CODES[reason]
    if code in _SEVERAL_CODES:
        return _by_evidence(code, listing, smtp_enhanced, smtp_text, dns_detail)
    return code


_SEVERAL_CODES = frozenset({405, 413, 418, 601, 602})


def _by_evidence(
    code: int, listing: Listing | None, smtp_enhanced: str | None, smtp_text: str | None, dns_detail: str
) -> int:
    if code == 405 and smtp_enhanced in _SYSTEM_FULL:
        return 419
    if code == 413 and smtp_text and "inactive" in smtp_text.lower():
        return 428  # Gmail: "out of storage space and inactive"
    if code == 418 and "SERVFAIL" in dns_detail:
        return 416  # a resolver's word for name servers that do not answer, or not properly: RFC 8914 section 4
    if listing is not None and listing.covers == "domain":
        return code + _MORE_FOR_A_DOMAIN
    return code


def as_markdown() -> str:
    """The table for ``docs/reference/verdicts.md``."""
    lines = ["| code | Clearout's reason | our reasons |", "|---|---|---|"]
    lines += [f"| {code} | {words} | {_our_reasons(code)} |" for code, words in CLEAROUT_REASONS.items()]
    return "\n".join(lines) + "\n"


_SPECIAL = {
    416: "`dns_server_failure`, where the name servers answered SERVFAIL",
    419: "`server_trouble` with X.3.1, the mail system is full",
    428: "`mailbox_full`, where the reply calls the account inactive",
    603: "`allow_listed`, by an entry for the domain",
    604: "`block_listed`, by an entry for the domain",
}


def _our_reasons(code: int) -> str:
    if code in NEVER_GIVEN:
        return f"never given: {NEVER_GIVEN[code]}"
    return _SPECIAL.get(code) or ", ".join(f"`{reason}`" for reason, given in _CODES.items() if given == code)
