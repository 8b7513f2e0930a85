"""Clearout's reason codes: every reason has one, and every code but one is given."""

from datetime import UTC, datetime

import pytest

from ct_pipeline.addresses.operator_lists import Listing
from ct_pipeline.verdicts.clearout_codes import CLEAROUT_REASONS, NEVER_GIVEN, clearout_code
from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.vocabulary import About, MailService, Reason, SafeToSend, Status

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def test_there_are_the_26_codes_and_each_is_given_or_says_why_not():
    assert len(CLEAROUT_REASONS) == 26
    given = {clearout_code(reason) for reason in Reason}
    given |= {
        clearout_code(Reason.ALLOW_LISTED, listing=Listing(True, "domain", "a.test")),
        clearout_code(Reason.BLOCK_LISTED, listing=Listing(False, "domain", "a.test")),
        clearout_code(Reason.SERVER_TROUBLE, smtp_enhanced="4.3.1"),
        clearout_code(Reason.MAILBOX_FULL, smtp_text="The recipient's inbox is out of storage space and inactive."),
        clearout_code(Reason.DNS_SERVER_FAILURE, dns_detail="192.0.2.1 answered SERVFAIL"),
    }
    assert given == CLEAROUT_REASONS.keys() - NEVER_GIVEN.keys()


@pytest.mark.parametrize(
    ("reason", "known", "code"),
    [
        (Reason.SERVER_TROUBLE, {"smtp_enhanced": "4.3.2"}, 405),
        (Reason.SERVER_TROUBLE, {"smtp_enhanced": "4.3.1"}, 419),
        (Reason.MAILBOX_FULL, {"smtp_text": "Mailbox full"}, 413),
        (Reason.MAILBOX_NOT_FOUND, {"smtp_text": "inactive"}, 406),
        (Reason.DNS_SERVER_FAILURE, {"dns_detail": "NoRootSOA: "}, 418),
        (Reason.ALLOW_LISTED, {"listing": Listing(True, "address", "ann@a.test")}, 601),
        (Reason.BLOCK_LISTED, {"listing": Listing(False, "address", "ann@a.test")}, 602),
        (Reason.BLOCK_LISTED, {"listing": Listing(False, "domain", ".test")}, 604),
    ],
)
def test_the_evidence_tells_codes_apart(reason, known, code):
    assert clearout_code(reason, **known) == code


def test_a_verdict_carries_the_code_of_what_decided_it(evidence, answered):
    def code_of(known) -> int:
        return judge(known, JudgingRules("1"), NOW).clearout_code

    assert code_of(answered(550, Reason.MAILBOX_NOT_FOUND)) == 406
    assert code_of(answered(452, Reason.SERVER_TROUBLE, About.TEMPORARY, smtp_enhanced="4.3.1")) == 419
    assert code_of(evidence(mail_service=MailService.DNS_SERVER_FAILURE, dns_detail="x answered SERVFAIL")) == 416
    assert code_of(answered(250, Reason.ACCEPTED, listing=Listing(False, "domain", "shop.example"))) == 604


@pytest.mark.parametrize(
    ("listing", "status", "reason", "safe"),
    [
        (Listing(True, "domain", "shop.example"), Status.VALID, Reason.ALLOW_LISTED, SafeToSend.YES),
        (Listing(False, "address", "joe@shop.example"), Status.INVALID, Reason.BLOCK_LISTED, SafeToSend.NO),
    ],
)
def test_the_operators_lists_come_before_every_reply(answered, listing, status, reason, safe):
    for known in (
        answered(550, Reason.MAILBOX_NOT_FOUND, listing=listing, is_role=True),
        answered(250, Reason.ACCEPTED, listing=listing, is_disposable=True),
        answered(250, Reason.ACCEPTED, listing=listing, mail_service=MailService.DOMAIN_NOT_FOUND),
    ):
        verdict = judge(known, JudgingRules("1"), NOW)
        assert (verdict.status, verdict.reason, verdict.safe_to_send) == (status, reason, safe)
        assert verdict.verified_at is None
        assert verdict.elapsed_ms is None
    nonsense = answered(250, Reason.ACCEPTED, listing=listing, syntax_reason=Reason.SYNTAX_ERROR)
    assert judge(nonsense, JudgingRules("1"), NOW).reason is Reason.SYNTAX_ERROR
