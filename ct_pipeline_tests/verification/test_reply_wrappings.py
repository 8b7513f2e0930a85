"""Whatever hosts, relays and logs put around a refusal of us, it never becomes a dead mailbox."""

import random
import re
from collections.abc import Callable, Iterator

import pytest

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import Reply
from ct_pipeline.verification.replies import ReplyReader
from ct_pipeline.verification.reply_rules import load_rules
from ct_pipeline.vocabulary import About, Reason

READER = ReplyReader.load()
STILL_ALIVE = (Reason.ACCEPTED, Reason.RECIPIENT_RATE_LIMITED, Reason.MAILBOX_FULL)
SEED = 7504
MIXTURES_PER_EXAMPLE = 60

SAY_NOTHING_OF_A_MAILBOX = [
    (rule.name, example, min(rule.providers, default=""))
    for rule in load_rules().rules
    if rule.about in (About.US, About.TEMPORARY, About.UNCLEAR)
    for example in rule.examples
]

IN_FRONT = [
    *("550 ", "550-", "550 5.7.1 ", "550 550 5.7.1 ", "550-5.7.1 ", "5.7.1 ", "#5.7.1 ", "(#5.7.1) "),
    *("mx1.shop.example ", "mx1.shop.example: ", "host mx.shop.example[192.0.2.1] said: 550 "),
    *(
        "<joe@shop.example>: ",
        "<joe@shop.example> ",
        "<joe@shop.example>... ",
        "joe@shop.example ",
        "joe@shop.example: ",
    ),
    *("Remote server returned '550 ", "Remote Server returned: 550 ", "SMTP error: ", "Delivery failed: ", "Error: "),
    "SMTP error from remote mail server after RCPT TO:<joe@shop.example>: host mx.shop.example [192.0.2.1]: 550-",
    *(
        "sorry, ",
        "Sorry. ",
        "Rejected: ",
        "Recipient address rejected: ",
        "<joe@shop.example>: Recipient address rejected: ",
    ),
    *("Requested action not taken: ", "'", '"', "(", "[", "*** "),
]
BEHIND = [
    *(" [192.0.2.7]", " [2001:db8::1]", " (in reply to RCPT TO command)", " (in reply to end of DATA command)"),
    *(
        " a1b2c3d4e5f6-12si3456789abc.123 - gsmtp",
        " https://help.shop.example/errors?x=1",
        "; see http://help.shop.example",
    ),
    *(" #(4.7.1)", " (#5.7.1)", " (S3140)", " [416]", " id=1rAbCd-0001Xy-2B", " (9fa3b2c)", " (mode: normal)"),
    " [AM7EUR03FT007.eop-EUR03.prod.protection.outlook.com 2024-01-02T03:04:05.006Z 08DC0B2D6F1A]",
    *(
        " given",
        " for joe@shop.example",
        " <joe@shop.example>",
        ": joe@shop.example",
        ", closing connection",
        " Goodbye",
    ),
    *(
        " Please contact your administrator.",
        " For more information see the help page.",
        "!",
        "'",
        '"',
        ")",
        "]",
        " ***",
    ),
]
SPOKEN: list[Callable[[str], str]] = [
    str,
    str.upper,
    str.lower,
    lambda text: text.replace(" ", "  "),
    lambda text: re.sub(r"[.,;:!](?=\s|$)", " ", text),
    lambda text: text.rstrip(".!"),
    lambda text: text.replace("'", "\u2019"),
    lambda text: re.sub(r"(?<=[.;:]) ", "\n550-5.7.1 ", text),
    lambda text: text.replace(" ", "\n550 5.7.1 ", 1),
]


def wrappings(chance: random.Random) -> Iterator[tuple[Callable[[str], str], str, str]]:
    """Each prefix, suffix and way of speaking alone, then mixtures of the three."""
    yield from ((spoken, "", "") for spoken in SPOKEN)
    yield from ((str, front, "") for front in IN_FRONT)
    yield from ((str, "", behind) for behind in BEHIND)
    for _ in range(MIXTURES_PER_EXAMPLE):
        yield chance.choice(SPOKEN), chance.choice(IN_FRONT), chance.choice(BEHIND)


def condemns(reading: Reading) -> bool:
    return reading.about in (About.ADDRESS, About.DOMAIN) and reading.reason not in STILL_ALIVE


@pytest.mark.parametrize("chapter", range(8))
def test_no_wrapping_condemns(chapter):
    chance = random.Random(SEED + chapter)
    examples = SAY_NOTHING_OF_A_MAILBOX[chapter::8]
    assert len(examples) > 15
    for rule, example, provider in examples:
        for spoken, front, behind in wrappings(chance):
            text = f"{front}{spoken(example.text)}{behind}"
            reading = READER.read(Reply(example.stage, example.code, example.enhanced, text), provider)
            assert not condemns(reading), (rule, reading.rule, text)
