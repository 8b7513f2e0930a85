"""A verdict in one plain sentence, for someone who plans a campaign and has never read an SMTP reply. Pure."""

from ct_pipeline.vocabulary import BounceType, Reason, Status

# {domain} is the part after the @. No full stop at the end: a tail may follow.
_SENTENCES: dict[Reason, str] = {
    Reason.ACCEPTED: "The mail server of {domain} accepts mail for this mailbox",
    Reason.CATCH_ALL: "{domain} accepts mail for every name, so nobody outside can tell whether this mailbox exists",
    Reason.SYNTAX_ERROR: "This is not a valid email address",
    Reason.UNSUPPORTED_CHARACTER: "This address contains characters that email does not support",
    Reason.DOMAIN_NOT_FOUND: "The domain {domain} does not exist",
    Reason.NO_MAIL_SERVICE: "The domain {domain} exists but has no mail server",
    Reason.NULL_MX: "The domain {domain} states that it takes no mail",
    Reason.UNROUTABLE_MAIL_SERVER: "The mail servers of {domain} cannot be reached from the internet",
    Reason.DNS_TIMEOUT: "The domain {domain} could not be looked up in time",
    Reason.DNS_SERVER_FAILURE: "The domain {domain} could not be looked up because its name servers fail",
    Reason.MAILBOX_NOT_FOUND: "The mail server of {domain} says that this mailbox does not exist",
    Reason.MAILBOX_DISABLED: "The mail server of {domain} says that this mailbox is closed",
    Reason.MAILBOX_MOVED: "The mail server of {domain} says that this mailbox has moved elsewhere",
    Reason.MAILBOX_FULL: "The mailbox exists but is full",
    Reason.RECIPIENT_RATE_LIMITED: "The mailbox exists but receives too much mail at the moment",
    Reason.DOMAIN_NOT_HOSTED: "The mail server that {domain} names does not take mail for it",
    Reason.PROBER_BLOCKED: "The mail server of {domain} turns our server away, which says nothing about the mailbox",
    Reason.SENDER_REFUSED: "The mail server of {domain} refuses our sender address and says nothing about the mailbox",
    Reason.POLICY_REFUSED: "The mail server of {domain} refused us by a rule of its own, not for the mailbox",
    Reason.RELAY_DENIED: "The mail server of {domain} does not take mail for it from us; its set-up may be faulty",
    Reason.RATE_LIMITED: "The mail server of {domain} found that we ask too much at once",
    Reason.TLS_OR_LOGIN_REQUIRED: "The mail server of {domain} wants encryption or a login before it answers",
    Reason.GREYLISTED: "The mail server of {domain} asks everyone new to come back later",
    Reason.SERVER_TROUBLE: "The mail server of {domain} has trouble of its own at the moment",
    Reason.TOO_MANY_RECIPIENTS: "The mail server of {domain} takes fewer questions at once than there were",
    Reason.CONNECTION_REFUSED: "The mail servers of {domain} do not accept connections",
    Reason.CONNECTION_TIMEOUT: "The mail servers of {domain} could not be reached in time",
    Reason.CONNECTION_LOST: "The mail server of {domain} hung up before it answered",
    Reason.COMMAND_TIMEOUT: "The mail server of {domain} did not answer in time",
    Reason.OUT_OF_STEP: "The mail server of {domain} gave answers that match no question, so none was believed",
    Reason.EGRESS_TROUBLE: "Our own server could not connect to anyone, which says nothing about the mailbox",
    Reason.ALLOW_LISTED: "Your allow list says that mail to this address is wanted, so it was not checked",
    Reason.BLOCK_LISTED: "Your block list says that this address is not to be mailed",
    Reason.UNCLEAR_REPLY: "The mail server of {domain} gave an answer that cannot be interpreted safely",
    Reason.CANNOT_VERIFY: "The mail server of {domain} did not say whether this mailbox exists",
    Reason.SMTPUTF8_REQUIRED: "The mail server of {domain} cannot handle the international letters of this address",
    Reason.PROVIDER_HIDES_ANSWER: "The provider of {domain} does not reveal whether a mailbox exists",
    Reason.PROVIDER_FORBIDS_PROBING: "The provider of {domain} does not allow us to ask whether a mailbox exists",
    Reason.NOT_ASKED_YET: "This address has not been checked yet",
}
# A refusal in such words that is not taken for the last: temporary, or of a host that has said it of living mailboxes.
_NOT_TO_BE_RELIED_ON = frozenset({
    Reason.MAILBOX_NOT_FOUND, Reason.MAILBOX_DISABLED, Reason.MAILBOX_MOVED, Reason.DOMAIN_NOT_HOSTED, Reason.NULL_MX,
    Reason.SYNTAX_ERROR,
})  # fmt: skip
_ASKED_AGAIN = "; it will be asked again"
_ASKED_ONCE = "; it was asked only once"
_ASKED_IN_VAIN = "; repeated attempts have not settled it"
_TRIED = frozenset({
    Reason.GREYLISTED, Reason.SERVER_TROUBLE, Reason.CONNECTION_REFUSED, Reason.CONNECTION_TIMEOUT,
    Reason.CONNECTION_LOST, Reason.COMMAND_TIMEOUT, Reason.TOO_MANY_RECIPIENTS, Reason.RATE_LIMITED,
    Reason.PROBER_BLOCKED, Reason.OUT_OF_STEP,
})  # fmt: skip


def explain(
    status: Status,
    reason: Reason,
    *,
    address: str,
    bounce_type: BounceType = BounceType.NONE,
    is_disposable: bool = False,
    is_role: bool = False,
    suggested_email: str | None = None,
    will_be_asked_again: bool = False,
    attempt_count: int = 0,
) -> str:
    """One sentence, with a full stop.

    >>> explain(Status.INVALID, Reason.MAILBOX_NOT_FOUND, address="joe@shop.example")
    'The mail server of shop.example says that this mailbox does not exist.'
    """
    sentence = _SENTENCES[reason].format(domain=address.rpartition("@")[2] or "this domain")
    if status is Status.VALID and reason is not Reason.ALLOW_LISTED:
        sentence += _reservations(is_disposable, is_role)
    elif status is Status.UNKNOWN:
        if reason in _NOT_TO_BE_RELIED_ON:
            sentence += ", but its word is not to be relied on here"
        if will_be_asked_again:
            sentence += _ASKED_AGAIN
        elif reason in _TRIED:
            sentence += _ASKED_IN_VAIN if attempt_count > 1 else _ASKED_ONCE if attempt_count else ""
    elif status is Status.INVALID and bounce_type is BounceType.SOFT:
        sentence += ", so a message would bounce for now"
    elif status is Status.INVALID and will_be_asked_again:
        sentence += _ASKED_AGAIN
    if suggested_email and status is not Status.VALID and reason is not Reason.BLOCK_LISTED:
        sentence += f"; {suggested_email} may have been meant"
    return sentence + "."


def as_markdown() -> str:
    """The table of reasons for ``docs/reference/verdicts.md``."""
    lines = ["| reason | in words |", "|---|---|"]
    lines += [f"| `{reason}` | {_SENTENCES[reason].format(domain='example.org')}. |" for reason in Reason]
    return "\n".join(lines) + "\n"


def _reservations(is_disposable: bool, is_role: bool) -> str:
    if is_disposable:
        return ", but it is a throw-away address"
    if is_role:
        return ", but it names a function rather than a person"
    return ""
