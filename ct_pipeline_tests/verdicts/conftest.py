"""Evidence for tests of judgement: an ordinary address at an ordinary domain, changed where a test says so."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ct_pipeline.verdicts.evidence import Evidence, Reading
from ct_pipeline.vocabulary import About, MailService, Reason

ORDINARY = Evidence(
    address_id=1,
    address="joe@shop.example",
    syntax_reason=None,
    is_role=False,
    is_gibberish=False,
    suggested_email=None,
    canonical_email=None,
    listing=None,
    mail_service=MailService.MX,
    dns_detail="",
    provider="hoster.example",
    mx_record="mx1.hoster.example",
    is_disposable=False,
    is_free=False,
    is_acceptance_doubtful=False,
    is_refusal_doubtful=False,
    domain_looked_up_at=datetime(2026, 11, 20, 8, 0, tzinfo=UTC),
    reading=None,
    smtp_code=None,
    smtp_enhanced=None,
    smtp_text=None,
    is_definitive=False,
    asked_at=None,
    elapsed_ms=None,
    settled=None,
    attempt_count=0,
    next_attempt_at=None,
    is_catch_all=False,
    tells_apart=None,
    catch_all_found_at=None,
)


@pytest.fixture(scope="session")
def evidence() -> Callable[..., Evidence]:
    """``evidence(**changes)``: nobody has been asked yet."""

    def make(**changes: Any) -> Evidence:
        return ORDINARY._replace(**changes)

    return make


@pytest.fixture(scope="session")
def answered() -> Callable[..., Evidence]:
    """``answered(code, reason, about, **changes)``: the last reply had this code and this reading, at 9:00."""

    def make(code: int, reason: Reason, about: About = About.ADDRESS, **changes: Any) -> Evidence:
        reply = {
            "reading": Reading(reason, about, "some_rule"),
            "smtp_code": code,
            "asked_at": datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
            "elapsed_ms": 120,
            "attempt_count": 1,
        }
        return ORDINARY._replace(**{**reply, **changes})

    return make
