"""Verdicts in words: every reason has a sentence that a marketer can read."""

import itertools
import re

import pytest

from ct_pipeline.verdicts.wording import explain
from ct_pipeline.vocabulary import BounceType, Reason, Status

JARGON = re.compile(r"SMTP|RCPT|\b[245][0-9][0-9]\b|_|\bprob|\bMX\b|greylist|[{}]", re.IGNORECASE)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_one_plain_sentence_whatever_the_flags(reason):
    for status, bounce, disposable, role, again, suggested in itertools.product(
        Status, BounceType, (True, False), (True, False), (True, False), (None, "joe@gmail.com")
    ):
        sentence = explain(
            status,
            reason,
            address="joe@shop.example",
            bounce_type=bounce,
            is_disposable=disposable,
            is_role=role,
            suggested_email=suggested,
            will_be_asked_again=again,
        )
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence.startswith("shop.example")
        assert ". " not in sentence
        assert not JARGON.search(sentence)
        assert len(sentence) < 200


@pytest.mark.parametrize(
    ("status", "reason", "more", "sentence"),
    [
        (
            Status.INVALID,
            Reason.DOMAIN_NOT_FOUND,
            {"suggested_email": "joe@gmail.com"},
            "The domain gmial.com does not exist; joe@gmail.com may have been meant.",
        ),
        (
            Status.INVALID,
            Reason.MAILBOX_NOT_FOUND,
            {"will_be_asked_again": True},
            "The mail server of gmial.com says that this mailbox does not exist; it will be asked again.",
        ),
        (
            Status.UNKNOWN,
            Reason.GREYLISTED,
            {"will_be_asked_again": True},
            "The mail server of gmial.com asks everyone new to come back later; it will be asked again.",
        ),
        (
            Status.UNKNOWN,
            Reason.GREYLISTED,
            {"attempt_count": 1},
            "The mail server of gmial.com asks everyone new to come back later; it was asked only once.",
        ),
        (
            Status.UNKNOWN,
            Reason.GREYLISTED,
            {"attempt_count": 2},
            "The mail server of gmial.com asks everyone new to come back later; repeated attempts have not settled it.",
        ),
        (
            Status.INVALID,
            Reason.MAILBOX_FULL,
            {"bounce_type": BounceType.SOFT},
            "The mailbox exists but is full, so a message would bounce for now.",
        ),
        (
            Status.UNKNOWN,
            Reason.MAILBOX_NOT_FOUND,
            {},
            "The mail server of gmial.com says that this mailbox does not exist, "
            "but its word is not to be relied on here.",
        ),
        (
            Status.VALID,
            Reason.ALLOW_LISTED,
            {},
            "Your allow list says that mail to this address is wanted, so it was not checked.",
        ),
        (
            Status.INVALID,
            Reason.BLOCK_LISTED,
            {},
            "Your block list says that this address is not to be mailed.",
        ),
        (
            Status.VALID,
            Reason.ACCEPTED,
            {"is_role": True},
            "The mail server of gmial.com accepts mail for this mailbox, but it names a function rather than a person.",
        ),
    ],
)
def test_sentences(status, reason, more, sentence):
    assert explain(status, reason, address="joe@gmial.com", **more) == sentence


def test_what_is_no_address_is_named_as_such():
    assert explain(Status.INVALID, Reason.SYNTAX_ERROR, address="") == "This is not a valid email address."
