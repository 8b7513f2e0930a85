"""Evidence in, verdict out. Pure: the same evidence and rules always give the same verdict.

The order of the questions, each a function below: is it an address at all; has the operator settled it; does its
domain take mail; may it be asked; what did its mail host say; is the domain a catch-all. Beside the operator's word,
only two kinds of evidence make an address Invalid: facts about the string or its domain, and a permanent reply that
speaks of the mailbox or of the domain. A temporary reply, one that speaks of us, and an unclear one never do; an
unclear permanent refusal counts only where the domain tells names apart and has accepted another one after it, in the
same visit: a host that has come to refuse us may say the same to everybody.

A reply that settles nothing does not wipe out an earlier one that did: while that is fresh, the verdict rests on it,
unless the two contradict each other.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from ct_pipeline.verdicts.clearout_codes import clearout_code
from ct_pipeline.verdicts.evidence import Evidence, Reading, Settled
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.verdicts.score import score_of
from ct_pipeline.verdicts.verdict import Verdict
from ct_pipeline.verdicts.wording import explain
from ct_pipeline.vocabulary import DOMAIN_IS_REFUSED, About, BounceType, MailService, Reason, SafeToSend, Status

JUDGE_VERSION = "5"  # part of the rules version: raise it whenever a verdict may come out differently

# A refusal and a catch-all finding this close together come from one visit; otherwise the newer one counts.
SAME_VISIT = timedelta(hours=1)

_DOMAIN_TAKES_NO_MAIL: dict[MailService | None, Reason] = {
    MailService.DOMAIN_NOT_FOUND: Reason.DOMAIN_NOT_FOUND,
    MailService.NO_MAIL_SERVICE: Reason.NO_MAIL_SERVICE,
    MailService.NULL_MX: Reason.NULL_MX,
    MailService.UNROUTABLE: Reason.UNROUTABLE_MAIL_SERVER,
}
_NO_ANSWER_FROM_DNS: dict[MailService | None, Reason] = {
    MailService.DNS_TIMEOUT: Reason.DNS_TIMEOUT,
    MailService.DNS_SERVER_FAILURE: Reason.DNS_SERVER_FAILURE,
}
_NOT_TO_BE_ASKED = frozenset({Reason.PROVIDER_HIDES_ANSWER, Reason.PROVIDER_FORBIDS_PROBING})
_MAILBOX_IS_GONE = frozenset(
    {Reason.MAILBOX_NOT_FOUND, Reason.MAILBOX_DISABLED, Reason.MAILBOX_MOVED, Reason.SYNTAX_ERROR}
)
_DECIDED = frozenset({Status.VALID, Status.INVALID})

# Unknown, but a person is probably there: usable by those who can bear a few bounces.
_RISKY_THOUGH_UNKNOWN = frozenset({Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED, Reason.PROVIDER_HIDES_ANSWER})
_WOULD_BOUNCE_SOFTLY = frozenset({Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED})


class _Finding(NamedTuple):
    """What one question settles."""

    status: Status
    reason: Reason
    rule: str
    observed_at: datetime | None
    bounce_type: BounceType = BounceType.NONE
    is_heard: bool = False  # the mail host's reply decided


def judge(evidence: Evidence, rules: JudgingRules, judged_at: datetime) -> Verdict:
    """The verdict on one address, by ``rules``, as of ``judged_at``.

    ``verified_at`` is when the deciding evidence was observed; for a syntax fault, which needs no observation, it is
    ``judged_at``; for an address that nobody has asked about, or need not, it is None.
    """
    finding, evidence = _find(evidence, rules, judged_at)
    status, reason = finding.status, finding.reason
    safe_to_send = _safe_to_send(evidence, finding, rules)
    score, score_basis = score_of(evidence, status, reason, rules.calibration)
    return Verdict(
        address_id=evidence.address_id,
        address=evidence.address,
        status=status,
        reason=reason,
        clearout_code=clearout_code(
            reason,
            listing=evidence.listing,
            smtp_enhanced=evidence.smtp_enhanced,
            smtp_text=evidence.smtp_text,
            dns_detail=evidence.dns_detail,
        ),
        safe_to_send=safe_to_send,
        bounce_type=finding.bounce_type,
        score=score,
        score_basis=score_basis,
        verdict_text=explain(
            status,
            reason,
            address=evidence.address,
            bounce_type=finding.bounce_type,
            is_disposable=evidence.is_disposable,
            is_role=evidence.is_role,
            suggested_email=evidence.suggested_email,
            will_be_asked_again=evidence.next_attempt_at is not None,
            attempt_count=evidence.attempt_count,
        ),
        is_disposable=evidence.is_disposable,
        is_free=evidence.is_free,
        is_role=evidence.is_role,
        is_gibberish=evidence.is_gibberish,
        suggested_email=evidence.suggested_email,
        canonical_email=evidence.canonical_email,
        provider=evidence.provider,
        mx_record=evidence.mx_record,
        is_catch_all_domain=evidence.is_catch_all,
        smtp_code=evidence.smtp_code,
        smtp_enhanced=evidence.smtp_enhanced,
        smtp_text=evidence.smtp_text,
        elapsed_ms=evidence.elapsed_ms if finding.is_heard else None,
        attempt_count=evidence.attempt_count,
        verified_at=finding.observed_at,
        next_check_at=evidence.next_attempt_at,
        rule=finding.rule,
        rules_version=rules.version,
        judged_at=judged_at,
    )


def _find(evidence: Evidence, rules: JudgingRules, judged_at: datetime) -> tuple[_Finding, Evidence]:
    """What is found, and the evidence it rests on: with the earlier reply in place of the last where that decides."""
    if evidence.syntax_reason is not None:
        return _Finding(Status.INVALID, evidence.syntax_reason, "syntax", judged_at, BounceType.HARD), evidence
    if evidence.listing is not None:
        return _operator_decided(evidence), evidence
    if (reason := _DOMAIN_TAKES_NO_MAIL.get(evidence.mail_service)) is not None:
        observed_at = evidence.domain_looked_up_at
        return _Finding(Status.INVALID, reason, "domain_takes_no_mail", observed_at, BounceType.HARD), evidence
    finding = _find_by_reply(evidence)
    settled = evidence.settled
    if settled is None or finding.status in _DECIDED or finding.reason in _NOT_TO_BE_ASKED:
        return finding, evidence
    if settled.asked_at < judged_at - rules.fresh_for or _contradicts(evidence.reading, settled):
        return finding, evidence
    earlier = evidence._replace(**settled._asdict())
    decided = _find_by_reply(earlier)
    return (decided, earlier) if decided.status in _DECIDED else (finding, evidence)


def _contradicts(later: Reading | None, settled: Settled) -> bool:
    """Whether the last reply speaks against the one that settled the mailbox, though it settles nothing itself.

    A permanent refusal in vague words speaks against an acceptance; a full or busy mailbox is none that does not exist.
    """
    if later is None:
        return False
    if settled.reading.reason is Reason.ACCEPTED:
        return _is_vague(later)
    return later.reason in _WOULD_BOUNCE_SOFTLY


def _is_vague(reading: Reading) -> bool:
    return reading.about is About.UNCLEAR and reading.reason is Reason.UNCLEAR_REPLY


def _operator_decided(evidence: Evidence) -> _Finding:
    assert evidence.listing is not None
    if evidence.listing.is_allowed:
        return _Finding(Status.VALID, Reason.ALLOW_LISTED, f"allow_list_{evidence.listing.covers}", None)
    return _Finding(Status.INVALID, Reason.BLOCK_LISTED, f"block_list_{evidence.listing.covers}", None)


def _find_by_reply(evidence: Evidence) -> _Finding:
    reading = evidence.reading
    if reading is None:
        return _nothing_was_said(evidence)
    if reading.reason in _NOT_TO_BE_ASKED:
        observed_at = evidence.domain_looked_up_at
        return _Finding(Status.UNKNOWN, reading.reason, f"not_to_be_asked/{reading.rule}", observed_at)
    if reading.reason is Reason.ACCEPTED:
        return _host_accepted(evidence, reading)
    if (refusal := _host_refused(evidence, reading)) is not None and _is_newest(evidence):
        return refusal
    if evidence.is_catch_all:
        return _catch_all(evidence)
    return _host_left_it_open(evidence, reading)


def _nothing_was_said(evidence: Evidence) -> _Finding:
    """No reply about the address: the domain may answer for it, or its look-up has failed for now."""
    if evidence.is_catch_all:
        return _catch_all(evidence)
    if (reason := _NO_ANSWER_FROM_DNS.get(evidence.mail_service)) is not None:
        return _Finding(Status.UNKNOWN, reason, "domain_not_looked_up", evidence.domain_looked_up_at)
    return _Finding(Status.UNKNOWN, Reason.NOT_ASKED_YET, "not_asked_yet", None)


def _host_accepted(evidence: Evidence, reading: Reading) -> _Finding:
    """An accepted name proves a mailbox only where a name that does not exist is refused."""
    if not 200 <= (evidence.smtp_code or 0) <= 299:
        return _heard(evidence, Status.UNKNOWN, Reason.UNCLEAR_REPLY, "acceptance_without_2xx")
    if evidence.is_catch_all:
        return _catch_all(evidence)
    names_are_told_apart = evidence.is_catch_all is False or evidence.tells_apart is True
    # A free provider's domain is shared by strangers: it has no catch-all, even where no made-up name may be tried.
    if names_are_told_apart or (evidence.is_free and not evidence.is_acceptance_doubtful):
        return _heard(evidence, Status.VALID, Reason.ACCEPTED, f"mailbox_accepted/{reading.rule}")
    return _heard(evidence, Status.UNKNOWN, Reason.CANNOT_VERIFY, f"catch_all_not_known/{reading.rule}")


def _host_refused(evidence: Evidence, reading: Reading) -> _Finding | None:
    """Invalid, where a permanent reply says so; None when the reply leaves the mailbox open."""
    if not 500 <= (evidence.smtp_code or 0) <= 599:
        return None
    if reading.about is About.ADDRESS:
        if reading.reason in _MAILBOX_IS_GONE:
            if evidence.is_refusal_doubtful:
                return _heard(evidence, Status.UNKNOWN, reading.reason, f"refusal_in_doubt/{reading.rule}")
            rule = f"mailbox_refused/{reading.rule}"
            return _heard(evidence, Status.INVALID, reading.reason, rule, BounceType.HARD)
        if reading.reason is Reason.MAILBOX_FULL:
            rule = f"mailbox_full/{reading.rule}"
            return _heard(evidence, Status.INVALID, reading.reason, rule, BounceType.SOFT)
    if reading.about is About.DOMAIN and reading.reason in DOMAIN_IS_REFUSED:
        rule = f"domain_refused/{reading.rule}"
        return _heard(evidence, Status.INVALID, reading.reason, rule, BounceType.HARD)
    if _is_vague(reading) and evidence.is_definitive and evidence.tells_apart:
        if evidence.is_catch_all:
            return _heard(evidence, Status.UNKNOWN, reading.reason, f"refused_by_a_catch_all/{reading.rule}")
        if evidence.is_refusal_doubtful:
            return _heard(evidence, Status.UNKNOWN, reading.reason, f"refusal_in_doubt/{reading.rule}")
        rule = f"refused_where_others_are_accepted/{reading.rule}"
        return _heard(evidence, Status.INVALID, Reason.MAILBOX_NOT_FOUND, rule, BounceType.HARD)
    return None


def _host_left_it_open(evidence: Evidence, reading: Reading) -> _Finding:
    bounce_type = BounceType.SOFT if reading.reason in _WOULD_BOUNCE_SOFTLY else BounceType.NONE
    rule = f"left_open_{reading.about.value}/{reading.rule}"
    return _heard(evidence, Status.UNKNOWN, reading.reason, rule, bounce_type)


def _heard(
    evidence: Evidence, status: Status, reason: Reason, rule: str, bounce_type: BounceType = BounceType.NONE
) -> _Finding:
    return _Finding(status, reason, rule, evidence.asked_at, bounce_type, is_heard=True)


def _catch_all(evidence: Evidence) -> _Finding:
    return _Finding(Status.CATCH_ALL, Reason.CATCH_ALL, "domain_accepts_every_name", evidence.catch_all_found_at)


def _is_newest(evidence: Evidence) -> bool:
    """Whether the last reply about the address is not overtaken by a later catch-all finding."""
    if not evidence.is_catch_all or evidence.asked_at is None or evidence.catch_all_found_at is None:
        return True
    return evidence.asked_at >= evidence.catch_all_found_at - SAME_VISIT


def _safe_to_send(evidence: Evidence, finding: _Finding, rules: JudgingRules) -> SafeToSend:
    if finding.status is Status.INVALID:
        return SafeToSend.NO
    if finding.status is Status.CATCH_ALL:
        return SafeToSend.RISKY
    if finding.status is Status.VALID:
        if finding.reason is Reason.ALLOW_LISTED:
            return SafeToSend.YES
        is_risky = evidence.is_disposable or (evidence.is_role and not rules.is_role_safe)
        return SafeToSend.RISKY if is_risky else SafeToSend.YES
    return SafeToSend.RISKY if finding.reason in _RISKY_THOUGH_UNKNOWN else SafeToSend.UNKNOWN
