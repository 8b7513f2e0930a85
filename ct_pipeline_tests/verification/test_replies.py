"""Whom does a reply speak about? The examples of the rules, the traps of the field, and what no rule can overturn."""

import re

import pytest

from ct_pipeline.domains.providers import load_providers
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_rules import ReplyRulesError, load_rules, parse_rules
from ct_pipeline.vocabulary import About, Reason

RULES = load_rules()
READER = ReplyReader.load()
EXAMPLES = [
    pytest.param(rule, example, id=f"{rule.name}-{number}")
    for rule in RULES.rules
    for number, example in enumerate(rule.examples)
]


def read(code: int, text: str, enhanced: str | None = None, *, stage: Stage = Stage.RCPT, provider: str = ""):
    return READER.read(Reply(stage, code, enhanced, text), provider)


@pytest.mark.parametrize(("rule", "example"), EXAMPLES)
def test_each_example_is_decided_by_its_own_rule(rule, example):
    reading = READER.read(example, min(rule.providers, default=""))
    assert (reading.rule, reading.reason, reading.about) == (rule.name, rule.reason, rule.about)


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.name)
def test_every_rule_has_a_source_and_an_example(rule):
    assert rule.source
    assert rule.examples


def test_patterns_are_lower_case_and_every_quantifier_is_bounded():
    """Gists are lower case; and texts come from strangers, so no pattern may take long on any of them."""
    for rule in RULES.rules:
        for pattern in rule.patterns:
            letters = re.sub(r"\\.", "", pattern.regex.pattern)
            assert letters == letters.lower(), rule.name
            assert not re.search(r"[*+]|\{\d*,\}", letters), (rule.name, pattern.regex.pattern)


def test_rules_are_scoped_to_providers_that_exist():
    providers = load_providers()
    for rule in RULES.rules:
        for name in rule.providers:
            assert providers.named(name) is not None, (rule.name, name)


TRAPS = [
    # the words of an unknown mailbox, quoted in a refusal of our own sender
    (550, None, "Verification failed for <us@our.example>\nNo Such User\nSender verify failed", Reason.SENDER_REFUSED),
    (550, "5.1.1", "<us@our.example>: Sender address rejected: User unknown in alias table", Reason.SENDER_REFUSED),
    (550, "5.1.8", "Sender address rejected: Domain not found", Reason.SENDER_REFUSED),
    # our block, given as the answer about the recipient
    (550, "5.7.1", "<joe@a.example>: Recipient address rejected: listed at zen.spamhaus.org", Reason.PROBER_BLOCKED),
    (554, "5.7.1", "<unknown[192.0.2.1]>: Client host rejected: Access denied", Reason.PROBER_BLOCKED),
    (450, "4.7.25", "Client host rejected: cannot find your hostname", Reason.PROBER_BLOCKED),
    (550, None, "Too many unknown users from your IP", Reason.PROBER_BLOCKED),
    (554, "5.7.1", "Access denied", Reason.POLICY_REFUSED),
    (530, "5.7.0", "Must issue a STARTTLS command first", Reason.TLS_OR_LOGIN_REQUIRED),
    # a limit that begins like an unknown mailbox
    (550, "5.4.6", "Mailbox Does Not Exist : Domains Hourly Quota Exceeded", Reason.RATE_LIMITED),
    (550, "5.2.1", "The user you are trying to contact is receiving mail at a rate", Reason.RECIPIENT_RATE_LIMITED),
    (552, None, "Too many recipients", Reason.TOO_MANY_RECIPIENTS),
    # temporary, whatever the words
    (450, "4.1.1", "<joe@a.example>: Recipient address rejected: User unknown in local table", Reason.UNCLEAR_REPLY),
    (451, None, "Greylisted, try again later. No such user? Ask the postmaster", Reason.GREYLISTED),
    (550, "5.4.1", "All recipient addresses rejected: Access denied", Reason.POLICY_REFUSED),
    (550, "5.1.1", "This email doesn't exist. a1-b2.3 - gcdp", Reason.POLICY_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("code", "enhanced", "text", "reason"), TRAPS)
def test_what_is_not_about_the_mailbox_is_not_read_so(code, enhanced, text, reason):
    reading = read(code, text, enhanced)
    assert reading.reason is reason
    assert reading.about not in (About.ADDRESS, About.DOMAIN) or reason is Reason.RECIPIENT_RATE_LIMITED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Benutzer unbekannt", Reason.MAILBOX_NOT_FOUND),
        ("Le compte du destinataire est bloqué", Reason.MAILBOX_DISABLED),
        ("Adresse destinataire invalide", Reason.MAILBOX_NOT_FOUND),
        ("El usuario no existe", Reason.MAILBOX_NOT_FOUND),
        ("Usuário inexistente", Reason.MAILBOX_NOT_FOUND),
        ("Utente sconosciuto", Reason.MAILBOX_NOT_FOUND),
        ("Пользователь не найден", Reason.MAILBOX_NOT_FOUND),
        ("用户不存在", Reason.MAILBOX_NOT_FOUND),
        ("宛先のメールアドレスが存在しません", Reason.MAILBOX_NOT_FOUND),
        ("Boîte du destinataire pleine", Reason.MAILBOX_FULL),
        ("Votre adresse IP est bloquée", Reason.PROBER_BLOCKED),
        ("发件人地址不存在", Reason.SENDER_REFUSED),
        ("Absender unbekannt", Reason.SENDER_REFUSED),
    ],
)
def test_other_languages(text, reason):
    assert read(550, text).reason is reason


def test_an_address_never_speaks_for_the_host_that_quotes_it():
    for address in ("spamhaus@blocked.example", "sender@greylisted.test", "no-such-user@quota-exceeded.com"):
        assert read(550, f"<{address}>: User unknown", "5.1.1").reason is Reason.MAILBOX_NOT_FOUND
        assert read(550, f"{address} rejected").reason is Reason.UNCLEAR_REPLY


def test_enhanced_codes_are_found_where_cisco_and_qmail_write_them():
    assert read(550, "#5.1.0 Address rejected.").reason is Reason.MAILBOX_NOT_FOUND
    assert read(550, "Sorry (#5.2.2)").reason is Reason.MAILBOX_FULL
    assert read(450, "Sorry (#5.2.2)").reason is Reason.SERVER_TROUBLE  # contradicts the reply code


def test_a_meaning_of_one_provider_is_not_lent_to_others():
    text = "Requested action not taken: mailbox unavailable"
    assert read(550, text, provider="outlook").reason is Reason.MAILBOX_NOT_FOUND
    assert read(550, text).about is About.UNCLEAR


def test_acceptance_is_read_from_the_code_alone():
    for text in ("User unknown", "Blocked using spamhaus", ""):
        assert read(250, text).reason is Reason.ACCEPTED
        assert read(251, text).reason is Reason.ACCEPTED
        assert read(252, text).reason is Reason.CANNOT_VERIFY
    assert read(250, "Ok", stage=Stage.MAIL).reason is not Reason.ACCEPTED
    assert read(354, "Go ahead").reason is not Reason.ACCEPTED


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.RCPT])
def test_nothing_before_rcpt_is_about_the_mailbox(stage):
    reading = read(550, "User unknown", "5.1.1", stage=stage)
    assert reading.about not in (About.ADDRESS, About.DOMAIN)


def test_the_hint_of_the_host_is_carried():
    assert read(450, "Greylisted, try again in 20 seconds", "4.2.0").retry_seconds == 20
    assert read(450, "Greylisted, try again in 25 seconds", "4.2.0").retry_seconds == 25
    assert read(450, "Greylisted", "4.2.0").retry_seconds is None
    assert read(550, "User unknown, try again in 20 seconds").about is About.TEMPORARY


RULE = b"""
[gist]
names = []
codes = []
[[rule]]
name = "one"
reason = "greylisted"
about = "temporary"
source = "none"
examples = [{ stage = "rcpt", code = 450, text = "" }]
"""


def test_rule_files_that_cannot_be_used_name_the_rule():
    assert len(parse_rules(RULE).rules) == 1
    for broken in (
        RULE.replace(b'"greylisted"', b'"greylsted"'),
        RULE.replace(b"source", b"sauce"),
        RULE.replace(b'about = "temporary"\n', b""),
        RULE + b'text = ["("]\n',
        RULE + RULE[RULE.index(b"[[rule]]") :],
    ):
        with pytest.raises(ReplyRulesError, match="one"):
            parse_rules(broken)


def test_a_family_of_words_is_written_once():
    families = b'[families]\nmailbox = ["user", "box"]\n'
    (rule,) = parse_rules(families + RULE + b'text = ["{mailbox} {0,2}away"]\n').rules
    assert [pattern.regex.pattern for pattern in rule.patterns] == ["(?:user|box) {0,2}away"]
    with pytest.raises(ReplyRulesError, match=r"one.*nobody"):
        parse_rules(families + RULE + b'text = ["{nobody} away"]\n')


def test_the_version_follows_the_rules():
    assert parse_rules(RULE).version == parse_rules(RULE).version
    assert parse_rules(RULE).version != parse_rules(RULE + b"# said otherwise\n").version
    assert READER.version == RULES.version
