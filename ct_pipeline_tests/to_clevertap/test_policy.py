"""The settings of an export, checked and in words."""

import itertools
from datetime import UTC, datetime

import pytest

from ct_pipeline.errors import SettingsError
from ct_pipeline.settings import load_settings
from ct_pipeline.to_clevertap.policy import DOMAIN_REASONS, HARD_REASONS, Policy
from ct_pipeline.verdicts.evidence import Evidence, Reading
from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.vocabulary import About, BounceType, MailService, Reason, Status

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_the_defaults_unsubscribe_whatever_bounces_hard_and_append_four_columns() -> None:
    policy = Policy.from_settings(load_settings())
    assert (policy.unsubscribes, policy.appends) == (True, True)
    assert policy.unsubscribe_reasons == HARD_REASONS
    assert policy.words() == [
        "Unsubscribe every address that is invalid and would bounce hard.",
        "Append to profiles: EV Status, EV Safe To Send, EV Reason, EV Verified At.",
    ]


def test_one_action_alone() -> None:
    policy = Policy.from_settings(load_settings(export_actions="append", unsubscribe_reasons="mailbox_not_found"))
    assert policy.words()[0] == "Unsubscribe nobody."
    policy = Policy.from_settings(load_settings(export_actions="unsubscribe", unsubscribe_reasons="mailbox_not_found"))
    assert policy.words() == [
        "Unsubscribe every address that is invalid because of mailbox_not_found.",
        "Append nothing to profiles.",
    ]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in HARD_REASONS])
def test_a_reason_that_never_bounces_hard_is_refused(reason: Reason) -> None:
    with pytest.raises(SettingsError, match=rf"CT_UNSUBSCRIBE_REASONS holds {reason}, .* Choose from"):
        Policy.from_settings(load_settings(unsubscribe_reasons=f"mailbox_not_found,{reason}"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"append_columns": "status,colour"}, "CT_APPEND_COLUMNS holds colour; choose from email, status"),
        ({"append_columns": ()}, "CT_APPEND_COLUMNS is empty"),
        ({"export_actions": ()}, "CT_EXPORT_ACTIONS is empty"),
        ({"property_prefix": "a.b"}, "CT_PROPERTY_PREFIX is 'a.b': 'a.b Status' holds '.'"),
        ({"property_prefix": "x" * 120}, "at most 120"),
        ({"property_prefix": "MSG-"}, "of CleverTap's own"),
        ({"property_prefix": "  "}, "CT_PROPERTY_PREFIX is blank"),
    ],
)
def test_settings_that_make_no_sense_name_the_variable_and_the_mend(changes: dict, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Policy.from_settings(load_settings(**changes))
    assert words in str(raised.value)


def test_the_hard_reasons_are_those_of_the_judge() -> None:
    """Every evidence that the judge can be shown, as far as its verdict's reason depends on it."""
    found: set[Reason] = set()
    for reason in Reason:
        found |= hard_reason(evidence(syntax_reason=reason)) if reason in HARD_REASONS[:2] else set()
        for about, code, catch_all, apart in itertools.product(
            About, (250, 450, 550), (None, True, False), (True, False)
        ):
            reading = Reading(reason, about, "rule")
            found |= hard_reason(evidence(reading=reading, smtp_code=code, is_catch_all=catch_all, tells_apart=apart))
    by_domain: set[Reason] = set()
    for service in MailService:
        by_domain |= hard_reason(evidence(mail_service=service))
    assert by_domain == set(DOMAIN_REASONS)
    assert found | by_domain == set(HARD_REASONS)


def hard_reason(known: Evidence) -> set[Reason]:
    verdict = judge(known, JudgingRules("1"), NOON)
    is_hard = verdict.status is Status.INVALID and verdict.bounce_type is BounceType.HARD
    return {verdict.reason} if is_hard else set()


def evidence(**changes: object) -> Evidence:
    fields: dict[str, object] = {
        "address_id": 1, "address": "ann@a.test", "syntax_reason": None, "is_role": False,
        "is_gibberish": False, "suggested_email": None, "canonical_email": None, "listing": None,
        "mail_service": MailService.MX, "dns_detail": "", "provider": "a.test", "mx_record": "mx.a.test",
        "is_disposable": False, "is_free": False, "is_acceptance_doubtful": False, "is_refusal_doubtful": False,
        "domain_looked_up_at": NOON,
        "reading": None, "smtp_code": None, "smtp_enhanced": None, "smtp_text": None, "asked_at": NOON,
        "is_definitive": True, "elapsed_ms": 5, "settled": None, "attempt_count": 1, "next_attempt_at": None,
        "is_catch_all": None, "tells_apart": None, "catch_all_found_at": None,
    }  # fmt: skip
    return Evidence(**{**fields, **changes})  # pyright: ignore[reportArgumentType]
