"""What must hold for any reply, also one that nobody has written yet."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_rules import load_rules
from ct_pipeline.vocabulary import About, Reason

READER = ReplyReader.load()
RULES = load_rules()
EXAMPLES = [(example, min(rule.providers, default="")) for rule in RULES.rules for example in rule.examples]

# Words that rules look for, so that random texts do reach them.
WORDS = sorted({word for example, _ in EXAMPLES for word in example.text.split()})
texts = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
enhanced_codes = st.one_of(
    st.none(), st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True), st.text(max_size=8)
)
replies = st.builds(
    Reply, stage=st.sampled_from(Stage), code=st.one_of(st.integers(0, 999)), enhanced=enhanced_codes, text=texts
)
providers = st.sampled_from(["", "google", "outlook", "comcast", "titan", "qq", "shop.example"])


@given(replies, providers)
def test_any_reply_gets_a_reading(reply, provider):
    reading = READER.read(reply, provider)
    assert isinstance(reading.reason, Reason)
    assert isinstance(reading.about, About)
    assert reading.rule
    assert reading.retry_seconds is None or 1 <= reading.retry_seconds <= 86_400
    assert READER.read(reply, provider) == reading


@given(replies, providers)
def test_only_a_permanent_reply_at_rcpt_condemns(reply, provider):
    reading = READER.read(reply, provider)
    if reading.about is About.DOMAIN:
        assert reply.stage is Stage.RCPT
        assert 500 <= reply.code <= 599
    if reading.about is About.ADDRESS:
        assert reply.stage is Stage.RCPT
        assert reply.code != 421
        if 400 <= reply.code <= 499:
            assert reading.reason in (Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED)
    if reading.reason is Reason.ACCEPTED:
        assert reply.code in (250, 251)
        assert reply.stage is Stage.RCPT


@given(
    st.sampled_from(EXAMPLES),
    st.one_of(
        st.integers(min_value=0).map(str),
        st.from_regex(r"[0-9][0-9a-f]{9,30}", fullmatch=True),
        st.from_regex(r"\[[0-9]{1,3}(?:\.[0-9]{1,3}){3}\]", fullmatch=True),
        st.from_regex(r"[a-z]{3}[0-9]{9}[a-z]{2}\.[0-9]{1,3} - gsmtp", fullmatch=True),
    ),
)
def test_numbers_and_session_ids_change_nothing(example_of_a_rule, identifier):
    example, provider = example_of_a_rule
    longer = Reply(example.stage, example.code, example.enhanced, f"{example.text} {identifier}")
    before, after = READER.read(example, provider), READER.read(longer, provider)
    assert (after.reason, after.about, after.rule) == (before.reason, before.about, before.rule)


names = st.from_regex(r"[a-z](?:[a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True)
words_that_mislead = st.sampled_from(["spamhaus", "blocked", "no-such-user", "sender", "mailer.spf", "quota", "virus"])


@given(st.sampled_from(EXAMPLES), st.one_of(names, words_that_mislead), st.one_of(names, words_that_mislead))
def test_the_address_that_a_reply_quotes_changes_nothing(example_of_a_rule, local_part, domain):
    example, provider = example_of_a_rule
    text = example.text.replace("user@example.com", f"{local_part}@{domain}.example")
    before, after = (
        READER.read(example, provider),
        READER.read(Reply(example.stage, example.code, example.enhanced, text), provider),
    )
    assert after == before


STILL_ALIVE = (Reason.RECIPIENT_RATE_LIMITED, Reason.MAILBOX_FULL)

# What surrounds the words of a refusal of us on its way through other hosts, and into logs.
AROUND_IT = [
    "{}",
    "Recipient address rejected: {}",
    "<joe@shop.example>: {}",
    "<joe@shop.example>: Recipient address rejected: {}",
    "sorry, {}",
    "Error: {}",
    "mx1.shop.example {}",
    "host mx.shop.example[192.0.2.1] said: 550 {}",
    "{} [192.0.2.7]",
    "{} (in reply to RCPT TO command)",
    "{} https://help.shop.example/errors?x=1",
]
REFUSALS_OF_US_BY_THEIR_WORDS = [
    (example.text, min(rule.providers, default=""))
    for rule in RULES.rules
    for example in rule.examples
    if rule.about is About.US and (rule.words or rule.patterns) and rule.enhanced is None and rule.code.match("550")
]
CODES_OF_ANY_REFUSAL = [(550, None), (554, "5.7.1"), (550, "5.0.0"), (553, None)]


@pytest.mark.parametrize("around", AROUND_IT)
def test_a_refusal_of_us_never_condemns_however_it_is_dressed(around):
    """Also where the codes are those of any refusal, and where its sentences come in another order."""
    assert len(REFUSALS_OF_US_BY_THEIR_WORDS) > 50
    for said, provider in REFUSALS_OF_US_BY_THEIR_WORDS:
        sentences = re.split(r"(?<=[.;:!]) |\n", said)
        for text in (said, said.upper(), said.lower(), " ".join(sentences), " ".join(reversed(sentences))):
            for code, enhanced in CODES_OF_ANY_REFUSAL:
                reading = READER.read(Reply(Stage.RCPT, code, enhanced, around.format(text)), provider)
                assert reading.about is not About.DOMAIN, (code, enhanced, text)
                assert reading.about is not About.ADDRESS or reading.reason in STILL_ALIVE, (code, enhanced, text)


OUR_ADDRESS = [
    *("sender", "the sender", "sender address", "sender's domain", "return path", "reverse path", "return address"),
    *("your domain", "your account", "your mailbox", "your email address", "From address", "envelope sender"),
    *("MAIL FROM address", "originator", "bounce address", "Reply-To address", "sending domain", "sending account"),
]
WHAT_ELSE_IS_NO_MAILBOX = [
    *("client", "client host", "your host", "host name", "HELO", "EHLO name", "header", "From: header", "password"),
    *("username", "user agent", "login", "credentials", "TLS certificate", "relay host", "message-id", "message"),
    *("attachment", "content", "subject", "MX record", "PTR record", "SPF record", "DKIM key", "session", "command"),
    *("parameter", "your IP", "IP address", "SMTP user", "license", "service", "server", "gateway", "LDAP server"),
    *(
        "network",
        "country",
        "SMTP extension",
        "protocol",
        "encoding",
        "character",
        "request",
        "URL",
        "list",
        "hostname",
    ),
    *("reverse DNS", "authentication", "mail server", "outgoing account", "authenticated user", "remote host"),
    "the account used to send",
]
WHAT_MAILBOXES_ARE = [
    *(
        "unknown",
        "is unknown",
        "not found",
        "was not found",
        "does not exist",
        "doesn't exist",
        "invalid",
        "is invalid",
    ),
    *("is not valid", "disabled", "is disabled", "has been suspended", "expired", "is closed", "locked", "removed"),
    *("not registered", "not recognized", "nonexistent"),
]
WHAT_A_CHECK_OF_OUR_ADDRESS_SAYS = [
    "rejected: user unknown",
    "check failed: no such user",
    "verification failed: mailbox not found",
    "could not be verified (550 no such user)",
]


@pytest.mark.parametrize("ours", OUR_ADDRESS + WHAT_ELSE_IS_NO_MAILBOX)
def test_nothing_of_ours_is_ever_a_dead_mailbox(ours):
    """What is said of mailboxes is said of many other things: only a subject that is a mailbox may condemn."""
    for predicate in WHAT_MAILBOXES_ARE + (WHAT_A_CHECK_OF_OUR_ADDRESS_SAYS if ours in OUR_ADDRESS else []):
        for text in (
            f"{ours} {predicate}",
            f"{ours}: {predicate}",
            ours if " " in predicate else f"{predicate} {ours}",
            f"<joe@shop.example>: Recipient address rejected: {ours} {predicate}",
        ):
            for code, enhanced in CODES_OF_ANY_REFUSAL:
                reading = READER.read(Reply(Stage.RCPT, code, enhanced, text))
                assert reading.about not in (About.ADDRESS, About.DOMAIN), (code, enhanced, text)
