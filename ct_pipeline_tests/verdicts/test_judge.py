"""Which evidence makes which verdict?"""

from datetime import UTC, datetime, timedelta

import pytest

from ct_pipeline.verdicts.evidence import Reading, Settled
from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.vocabulary import About, BounceType, MailService, Reason, SafeToSend, Status

JUDGED_AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ASKED_AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
RULES = JudgingRules("rules-1")
VALID, INVALID, CATCH_ALL, UNKNOWN = Status.VALID, Status.INVALID, Status.CATCH_ALL, Status.UNKNOWN


def verdict_on(evidence, rules=RULES):
    return judge(evidence, rules, JUDGED_AT)


@pytest.mark.parametrize("reason", [Reason.SYNTAX_ERROR, Reason.UNSUPPORTED_CHARACTER])
def test_what_is_no_address_is_invalid(evidence, reason):
    verdict = verdict_on(evidence(syntax_reason=reason, mail_service=None, address="joe@"))
    assert (verdict.status, verdict.reason, verdict.bounce_type) == (INVALID, reason, BounceType.HARD)
    assert verdict.verified_at == JUDGED_AT


@pytest.mark.parametrize(
    ("service", "status", "reason"),
    [
        (MailService.DOMAIN_NOT_FOUND, INVALID, Reason.DOMAIN_NOT_FOUND),
        (MailService.NO_MAIL_SERVICE, INVALID, Reason.NO_MAIL_SERVICE),
        (MailService.NULL_MX, INVALID, Reason.NULL_MX),
        (MailService.UNROUTABLE, INVALID, Reason.UNROUTABLE_MAIL_SERVER),
        (MailService.DNS_TIMEOUT, UNKNOWN, Reason.DNS_TIMEOUT),
        (MailService.DNS_SERVER_FAILURE, UNKNOWN, Reason.DNS_SERVER_FAILURE),
        (MailService.MX, UNKNOWN, Reason.NOT_ASKED_YET),
        (MailService.IMPLICIT_MX, UNKNOWN, Reason.NOT_ASKED_YET),
        (None, UNKNOWN, Reason.NOT_ASKED_YET),
    ],
)
def test_what_dns_settles(evidence, service, status, reason):
    verdict = verdict_on(evidence(mail_service=service))
    assert (verdict.status, verdict.reason) == (status, reason)


def test_a_failing_look_up_does_not_undo_an_answer(answered):
    verdict = verdict_on(answered(250, Reason.ACCEPTED, mail_service=MailService.DNS_TIMEOUT))
    assert verdict.status is VALID


@pytest.mark.parametrize(
    ("code", "reason", "about", "status", "judged_reason", "bounce"),
    [
        (250, Reason.ACCEPTED, About.ADDRESS, VALID, Reason.ACCEPTED, BounceType.NONE),
        (252, Reason.CANNOT_VERIFY, About.UNCLEAR, UNKNOWN, Reason.CANNOT_VERIFY, BounceType.NONE),
        (550, Reason.MAILBOX_NOT_FOUND, About.ADDRESS, INVALID, Reason.MAILBOX_NOT_FOUND, BounceType.HARD),
        (550, Reason.MAILBOX_DISABLED, About.ADDRESS, INVALID, Reason.MAILBOX_DISABLED, BounceType.HARD),
        (551, Reason.MAILBOX_MOVED, About.ADDRESS, INVALID, Reason.MAILBOX_MOVED, BounceType.HARD),
        (553, Reason.DOMAIN_NOT_HOSTED, About.DOMAIN, INVALID, Reason.DOMAIN_NOT_HOSTED, BounceType.HARD),
        (556, Reason.NULL_MX, About.DOMAIN, INVALID, Reason.NULL_MX, BounceType.HARD),
        (552, Reason.MAILBOX_FULL, About.ADDRESS, INVALID, Reason.MAILBOX_FULL, BounceType.SOFT),
        (452, Reason.MAILBOX_FULL, About.ADDRESS, UNKNOWN, Reason.MAILBOX_FULL, BounceType.SOFT),
        (450, Reason.RECIPIENT_RATE_LIMITED, About.ADDRESS, UNKNOWN, Reason.RECIPIENT_RATE_LIMITED, BounceType.SOFT),
        (550, Reason.RECIPIENT_RATE_LIMITED, About.ADDRESS, UNKNOWN, Reason.RECIPIENT_RATE_LIMITED, BounceType.SOFT),
        (450, Reason.GREYLISTED, About.TEMPORARY, UNKNOWN, Reason.GREYLISTED, BounceType.NONE),
        (550, Reason.PROBER_BLOCKED, About.US, UNKNOWN, Reason.PROBER_BLOCKED, BounceType.NONE),
        (550, Reason.SENDER_REFUSED, About.US, UNKNOWN, Reason.SENDER_REFUSED, BounceType.NONE),
        (554, Reason.RELAY_DENIED, About.UNCLEAR, UNKNOWN, Reason.RELAY_DENIED, BounceType.NONE),
        (550, Reason.UNCLEAR_REPLY, About.UNCLEAR, UNKNOWN, Reason.UNCLEAR_REPLY, BounceType.NONE),
        (0, Reason.CONNECTION_TIMEOUT, About.TEMPORARY, UNKNOWN, Reason.CONNECTION_TIMEOUT, BounceType.NONE),
    ],
)
def test_what_a_reply_settles(answered, code, reason, about, status, judged_reason, bounce):
    verdict = verdict_on(answered(code, reason, about))
    assert (verdict.status, verdict.reason, verdict.bounce_type) == (status, judged_reason, bounce)
    assert verdict.verified_at == ASKED_AT
    assert verdict.rule.endswith("/some_rule")


def test_an_unclear_refusal_counts_only_where_another_name_was_accepted_after_it(answered):
    unclear = (550, Reason.UNCLEAR_REPLY, About.UNCLEAR)
    assert verdict_on(answered(*unclear, tells_apart=None)).status is UNKNOWN
    assert verdict_on(answered(*unclear, tells_apart=False)).status is UNKNOWN
    assert verdict_on(answered(*unclear, tells_apart=True)).status is UNKNOWN, "we may be refused by now"
    verdict = verdict_on(answered(*unclear, tells_apart=True, is_definitive=True))
    assert (verdict.status, verdict.reason) == (INVALID, Reason.MAILBOX_NOT_FOUND)
    verdict = verdict_on(answered(*unclear, tells_apart=True, is_definitive=True, is_catch_all=True))
    assert verdict.status is UNKNOWN


@pytest.mark.parametrize("about", [About.US, About.TEMPORARY])
def test_a_refusal_of_us_never_counts_however_well_the_domain_tells_names_apart(answered, about):
    assert verdict_on(answered(550, Reason.UNCLEAR_REPLY, about, tells_apart=True)).status is UNKNOWN


def test_an_acceptance_proves_nothing_where_every_name_is_accepted(answered):
    found_at = ASKED_AT + timedelta(seconds=1)
    verdict = verdict_on(answered(250, Reason.ACCEPTED, is_catch_all=True, catch_all_found_at=found_at))
    assert (verdict.status, verdict.reason) == (CATCH_ALL, Reason.CATCH_ALL)
    assert verdict.safe_to_send is SafeToSend.RISKY
    assert verdict.verified_at == found_at


def test_an_acceptance_waits_for_the_domain_to_refuse_some_name(answered):
    accepted = (250, Reason.ACCEPTED)
    assert verdict_on(answered(*accepted, is_catch_all=None)).status is UNKNOWN
    assert verdict_on(answered(*accepted, is_catch_all=None, tells_apart=True)).status is VALID
    assert verdict_on(answered(*accepted, is_catch_all=None, is_free=True)).status is VALID


def test_an_acceptance_without_a_2xx_is_not_believed(answered):
    assert verdict_on(answered(550, Reason.ACCEPTED)).status is UNKNOWN


def test_a_catch_all_domain_answers_for_an_address_that_was_not_asked(evidence, answered):
    assert verdict_on(evidence(is_catch_all=True)).status is CATCH_ALL
    assert verdict_on(answered(450, Reason.GREYLISTED, About.TEMPORARY, is_catch_all=True)).status is CATCH_ALL


def test_the_newer_of_refusal_and_catch_all_finding_counts(answered):
    refused = (550, Reason.MAILBOX_NOT_FOUND)
    same_visit = answered(*refused, is_catch_all=True, catch_all_found_at=ASKED_AT + timedelta(seconds=5))
    assert verdict_on(same_visit).status is INVALID
    found_later = answered(*refused, is_catch_all=True, catch_all_found_at=ASKED_AT + timedelta(days=3))
    assert verdict_on(found_later).status is CATCH_ALL


@pytest.mark.parametrize("reason", [Reason.PROVIDER_HIDES_ANSWER, Reason.PROVIDER_FORBIDS_PROBING])
def test_providers_that_are_not_asked(evidence, reason):
    reading = Reading(reason, About.UNCLEAR, "providers.toml")
    verdict = verdict_on(evidence(reading=reading, is_free=True))
    assert (verdict.status, verdict.reason) == (UNKNOWN, reason)
    gone = verdict_on(evidence(reading=reading, mail_service=MailService.DOMAIN_NOT_FOUND))
    assert gone.status is INVALID


@pytest.mark.parametrize(
    ("code", "reason", "flags", "safe"),
    [
        (250, Reason.ACCEPTED, {}, SafeToSend.YES),
        (250, Reason.ACCEPTED, {"is_free": True}, SafeToSend.YES),
        (250, Reason.ACCEPTED, {"is_role": True}, SafeToSend.RISKY),
        (250, Reason.ACCEPTED, {"is_disposable": True}, SafeToSend.RISKY),
        (550, Reason.MAILBOX_NOT_FOUND, {}, SafeToSend.NO),
        (552, Reason.MAILBOX_FULL, {}, SafeToSend.NO),
        (452, Reason.MAILBOX_FULL, {}, SafeToSend.RISKY),
        (450, Reason.SERVER_TROUBLE, {}, SafeToSend.UNKNOWN),
    ],
)
def test_safe_to_send(answered, code, reason, flags, safe):
    about = About.TEMPORARY if reason is Reason.SERVER_TROUBLE else About.ADDRESS
    assert verdict_on(answered(code, reason, about, **flags)).safe_to_send is safe


def test_a_role_address_is_safe_where_the_operator_says_so(answered):
    known = answered(250, Reason.ACCEPTED, is_role=True)
    assert verdict_on(known, JudgingRules("1", is_role_safe=True)).safe_to_send is SafeToSend.YES
    disposable = known._replace(is_disposable=True)
    assert verdict_on(disposable, JudgingRules("1", is_role_safe=True)).safe_to_send is SafeToSend.RISKY


# -- providers whose word is worth less ---


def test_a_doubtful_refusal_proves_nothing(answered):
    for reason, about in ((Reason.MAILBOX_NOT_FOUND, About.ADDRESS), (Reason.UNCLEAR_REPLY, About.UNCLEAR)):
        known = answered(550, reason, about, is_refusal_doubtful=True, tells_apart=True, is_definitive=True)
        verdict = verdict_on(known)
        assert (verdict.status, verdict.reason, verdict.bounce_type) == (UNKNOWN, reason, BounceType.NONE)
        assert verdict.rule == "refusal_in_doubt/some_rule"
        assert verdict.safe_to_send is SafeToSend.UNKNOWN


def test_a_doubtful_acceptance_needs_a_refused_name_even_at_a_free_provider(answered):
    accepted = answered(250, Reason.ACCEPTED, is_free=True, is_acceptance_doubtful=True, is_catch_all=None)
    assert verdict_on(accepted).status is UNKNOWN
    assert verdict_on(accepted._replace(is_catch_all=False)).status is VALID


# -- the last reply that settled it ---

OPEN_REPLIES = [
    (450, Reason.GREYLISTED, About.TEMPORARY),
    (550, Reason.PROBER_BLOCKED, About.US),
    (554, Reason.RELAY_DENIED, About.UNCLEAR),
    (0, Reason.CONNECTION_TIMEOUT, About.TEMPORARY),
]


def earlier(code: int, reason: Reason, days: float = 3) -> Settled:
    reading = Reading(reason, About.ADDRESS, "earlier_rule")
    return Settled(reading, code, "2.1.5", "earlier", ASKED_AT - timedelta(days=days), 77)


@pytest.mark.parametrize(("code", "reason", "about"), OPEN_REPLIES)
def test_a_reply_that_settles_nothing_leaves_an_earlier_one_in_force(answered, code, reason, about):
    due = JUDGED_AT + timedelta(hours=4)
    later = answered(code, reason, about, settled=earlier(250, Reason.ACCEPTED), next_attempt_at=due)
    verdict = verdict_on(later)
    assert (verdict.status, verdict.smtp_code, verdict.smtp_text) == (VALID, 250, "earlier")
    assert verdict.rule == "mailbox_accepted/earlier_rule"
    assert (verdict.verified_at, verdict.elapsed_ms) == (ASKED_AT - timedelta(days=3), 77)
    assert verdict.next_check_at == due, "it is asked again all the same"
    refused = verdict_on(later._replace(settled=earlier(550, Reason.MAILBOX_NOT_FOUND)))
    assert (refused.status, refused.reason, refused.bounce_type) == (INVALID, Reason.MAILBOX_NOT_FOUND, BounceType.HARD)


def test_a_reply_that_contradicts_an_earlier_one_leaves_the_address_unknown(answered):
    accepted, refused = earlier(250, Reason.ACCEPTED), earlier(550, Reason.MAILBOX_NOT_FOUND)
    vague = answered(554, Reason.UNCLEAR_REPLY, About.UNCLEAR)
    full = answered(452, Reason.MAILBOX_FULL)
    statuses = [
        verdict_on(one._replace(settled=settled)).status for one in (vague, full) for settled in (accepted, refused)
    ]
    assert statuses == [UNKNOWN, INVALID, VALID, UNKNOWN]


@pytest.mark.parametrize(("code", "reason", "about"), OPEN_REPLIES)
def test_an_earlier_reply_counts_while_it_is_fresh(answered, code, reason, about):
    stale = answered(code, reason, about, settled=earlier(250, Reason.ACCEPTED, days=31))
    assert verdict_on(stale).reason is reason
    assert verdict_on(stale, JudgingRules("1", fresh_for=timedelta(days=60))).status is VALID


def test_a_newer_reply_that_settles_it_wins(answered):
    gone = answered(550, Reason.MAILBOX_NOT_FOUND, settled=earlier(250, Reason.ACCEPTED))
    assert verdict_on(gone).status is INVALID
    back = answered(250, Reason.ACCEPTED, settled=earlier(550, Reason.MAILBOX_NOT_FOUND))
    assert verdict_on(back).status is VALID
    full = answered(552, Reason.MAILBOX_FULL, settled=earlier(250, Reason.ACCEPTED))
    assert (verdict_on(full).status, verdict_on(full).bounce_type) == (INVALID, BounceType.SOFT)


def test_a_catch_all_found_later_overrides_an_earlier_acceptance(answered):
    later = answered(
        450, Reason.GREYLISTED, About.TEMPORARY, settled=earlier(250, Reason.ACCEPTED),
        is_catch_all=True, catch_all_found_at=ASKED_AT,
    )  # fmt: skip
    assert verdict_on(later).status is CATCH_ALL
    assert verdict_on(later._replace(settled=earlier(550, Reason.MAILBOX_NOT_FOUND))).status is CATCH_ALL
    same_visit = later._replace(catch_all_found_at=ASKED_AT - timedelta(days=3))
    assert verdict_on(same_visit._replace(settled=earlier(550, Reason.MAILBOX_NOT_FOUND))).status is INVALID


def test_what_dns_or_a_providers_row_says_comes_before_any_earlier_reply(answered, evidence):
    settled = earlier(250, Reason.ACCEPTED)
    assert verdict_on(evidence(settled=settled, mail_service=MailService.NULL_MX)).reason is Reason.NULL_MX
    hidden = Reading(Reason.PROVIDER_HIDES_ANSWER, About.UNCLEAR, "providers.toml")
    assert verdict_on(evidence(settled=settled, reading=hidden)).reason is Reason.PROVIDER_HIDES_ANSWER


def test_the_verdict_carries_its_evidence(answered):
    due = JUDGED_AT + timedelta(hours=1)
    verdict = verdict_on(
        answered(450, Reason.GREYLISTED, About.TEMPORARY, smtp_enhanced="4.2.0", smtp_text="later", next_attempt_at=due)
    )
    assert (verdict.smtp_code, verdict.smtp_enhanced, verdict.smtp_text) == (450, "4.2.0", "later")
    assert (verdict.provider, verdict.mx_record) == ("hoster.example", "mx1.hoster.example")
    assert (verdict.attempt_count, verdict.next_check_at) == (1, due)
    assert (verdict.rules_version, verdict.judged_at) == ("rules-1", JUDGED_AT)
    assert "asked again" in verdict.verdict_text
