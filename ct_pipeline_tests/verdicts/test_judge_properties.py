"""Replies, read and judged: no temporary trouble and no refusal of us may ever cost someone their subscription."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verdicts.judge import judge
from ct_pipeline.verdicts.judging_rules import JudgingRules
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_rules import load_rules
from ct_pipeline.vocabulary import About, BounceType, MailService, Reason, SafeToSend, Status

READER = ReplyReader.load()
ASKED_AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
JUDGED_AT = ASKED_AT + timedelta(hours=1)

EXAMPLE_TEXTS = sorted({example.text for rule in load_rules().rules for example in rule.examples})
texts = st.one_of(st.sampled_from(EXAMPLE_TEXTS), st.text(max_size=100))
enhanced_codes = st.one_of(st.none(), st.from_regex(r"[245]\.[0-7]\.[0-9]{1,2}", fullmatch=True))
providers = st.sampled_from(["", "google", "microsoft365", "outlook", "yandex", "titan"])
surroundings = st.fixed_dictionaries(
    {
        "is_catch_all": st.sampled_from([None, True, False]),
        "tells_apart": st.sampled_from([None, True, False]),
        "is_definitive": st.booleans(),
        "is_free": st.booleans(),
        "is_role": st.booleans(),
        "is_disposable": st.booleans(),
        "mail_service": st.sampled_from([MailService.MX, MailService.IMPLICIT_MX, MailService.DNS_TIMEOUT, None]),
        "catch_all_found_at": st.sampled_from([None, ASKED_AT, ASKED_AT + timedelta(days=2)]),
    }
)


def judged(evidence, reply, provider, around):
    reading = READER.read(reply, provider)
    return judge(
        evidence(
            reading=reading,
            smtp_code=reply.code,
            smtp_enhanced=reply.enhanced,
            smtp_text=reply.text,
            asked_at=ASKED_AT,
            **around,
        ),
        JudgingRules("rules"),
        JUDGED_AT,
    )


@given(
    stage=st.sampled_from(Stage),
    code=st.integers(400, 499),
    enhanced=enhanced_codes,
    text=texts,
    provider=providers,
    around=surroundings,
)
def test_a_4xx_never_makes_an_address_invalid(evidence, stage, code, enhanced, text, provider, around):
    assert judged(evidence, Reply(stage, code, enhanced, text), provider, around).status is not Status.INVALID


@given(stage=st.sampled_from(Stage), text=texts, provider=providers, around=surroundings)
def test_silence_never_makes_an_address_invalid_or_valid(evidence, stage, text, provider, around):
    verdict = judged(evidence, Reply(stage, 0, None, text), provider, around)
    assert verdict.status in (Status.UNKNOWN, Status.CATCH_ALL)


@given(
    stage=st.sampled_from([stage for stage in Stage if stage is not Stage.RCPT]),
    code=st.integers(200, 599),
    enhanced=enhanced_codes,
    text=texts,
    provider=providers,
    around=surroundings,
)
def test_nothing_before_rcpt_makes_an_address_invalid_or_valid(evidence, stage, code, enhanced, text, provider, around):
    # An unclear one could only pair with a control probe, and none is made before RCPT.
    around = around | {"tells_apart": None}
    verdict = judged(evidence, Reply(stage, code, enhanced, text), provider, around)
    assert verdict.status in (Status.UNKNOWN, Status.CATCH_ALL)


@given(code=st.integers(500, 599), enhanced=enhanced_codes, text=texts, provider=providers, around=surroundings)
def test_a_refusal_of_us_never_makes_an_address_invalid(evidence, code, enhanced, text, provider, around):
    reply = Reply(Stage.RCPT, code, enhanced, text)
    if READER.read(reply, provider).about in (About.US, About.TEMPORARY):
        assert judged(evidence, reply, provider, around).status is not Status.INVALID


@given(code=st.integers(0, 599), enhanced=enhanced_codes, text=texts, provider=providers, around=surroundings)
def test_the_fields_of_a_verdict_agree(evidence, code, enhanced, text, provider, around):
    verdict = judged(evidence, Reply(Stage.RCPT, code, enhanced, text), provider, around)
    assert (verdict.safe_to_send is SafeToSend.NO) == (verdict.status is Status.INVALID)
    assert (verdict.reason is Reason.ACCEPTED) == (verdict.status is Status.VALID)
    assert (verdict.reason is Reason.CATCH_ALL) == (verdict.status is Status.CATCH_ALL)
    if verdict.safe_to_send is SafeToSend.YES:
        assert not verdict.is_role
        assert not verdict.is_disposable
    if verdict.status is Status.INVALID:
        assert verdict.bounce_type is not BounceType.NONE
    assert verdict == judged(evidence, Reply(Stage.RCPT, code, enhanced, text), provider, around)
