"""The reply rules as data: the records of ``reply_chapters/*.toml`` and how one of them matches."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_patterns import TextPattern
from ct_pipeline.vocabulary import About, Reason

_ANY_REFUSAL = "[45].."
_KNOWN_FIELDS = {"name", "stages", "code", "enhanced", "text", "provider", "reason", "about", "source", "examples"}
_PLAIN_TEXT = re.compile(r"[^\\.^$*+?{}\[\]|()]+")
_WORD_FAMILY = re.compile(r"\{([a-z_]+)\}")  # quantifiers begin with a digit

# The only two things that a 4xx can say of an address, and the judge keeps both Unknown.
_PASSING_TROUBLE_OF_A_MAILBOX = frozenset({Reason.MAILBOX_FULL, Reason.RECIPIENT_RATE_LIMITED})


class ReplyRulesError(ValueError):
    """``reply_chapters`` hold a rule that cannot be used; the text names it."""


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """One row of a chapter: what a reply must look like, and what it then means."""

    name: str
    stages: frozenset[Stage]
    code: re.Pattern[str]
    enhanced: re.Pattern[str] | None  # fits the whole enhanced code, "" when the reply has none; None: any code does
    words: tuple[str, ...]  # one of these, or of ``patterns``, is in the gist; both empty: any text
    patterns: tuple[TextPattern, ...]
    providers: frozenset[str]  # empty: any
    reason: Reason
    about: About
    source: str
    examples: tuple[Reply, ...]

    def applies(self, stage: Stage, code: int, provider: str) -> bool:
        """Whether the rule can decide about such replies at all, whatever they say."""
        return (
            stage in self.stages
            and self.code.fullmatch(f"{code:03d}") is not None
            and (not self.providers or provider in self.providers)
            and may_say(self.reason, self.about, stage, code)
        )


@dataclass(frozen=True, slots=True)
class ReplyRules:
    """All chapters: the rules in order, what gists keep, and a hash that changes whenever a reading might."""

    rules: tuple[ReplyRule, ...]
    kept_names: tuple[str, ...]
    kept_codes: tuple[str, ...]
    version: str


def may_say(reason: Reason, about: About, stage: Stage, code: int) -> bool:
    """What no rule can overturn: before RCPT, with 421 and with other 4xx, no reply says that a mailbox is dead.

    A 2xx is read as acceptance and nothing else.
    """
    if about not in (About.ADDRESS, About.DOMAIN):
        return True
    if stage is not Stage.RCPT or code == 421 or not 200 <= code <= 599:
        return False
    if code < 500:
        return about is About.ADDRESS and (reason in _PASSING_TROUBLE_OF_A_MAILBOX) is (code >= 400)
    return True


@cache
def load_rules() -> ReplyRules:
    """Read the rules that come with the package, once in a process.

    Raises:
        ReplyRulesError: a rule is malformed, or two share a name.
    """
    folder = files("ct_pipeline.verification").joinpath("reply_chapters")
    chapters = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    return parse_rules(b"\n".join(chapter.read_bytes() for chapter in chapters))


def parse_rules(raw: bytes) -> ReplyRules:
    """The rules of one TOML document, the chapters one after the other; see ``load_rules``."""
    document = tomllib.loads(raw.decode())
    families = {name: f"(?:{'|'.join(members)})" for name, members in document.get("families", {}).items()}
    rules = tuple(_rule(row, families) for row in document["rule"])
    names = [rule.name for rule in rules]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ReplyRulesError(f"reply_chapters: two rules are called {sorted(doubled)}")
    gist = document["gist"]
    return ReplyRules(rules, tuple(gist["names"]), tuple(gist["codes"]), hashlib.sha256(raw).hexdigest()[:12])


def _rule(row: Mapping[str, Any], families: Mapping[str, str]) -> ReplyRule:
    name = row.get("name", "without a name")
    if unknown := set(row) - _KNOWN_FIELDS:
        raise ReplyRulesError(f"reply_chapters: rule {name} has unknown fields {sorted(unknown)}")
    try:
        texts = [_WORD_FAMILY.sub(lambda match: families[match[1]], text) for text in row.get("text", [])]
        return ReplyRule(
            name=row["name"],
            stages=frozenset(map(Stage, row.get("stages", list(Stage)))),
            code=re.compile(row.get("code", _ANY_REFUSAL)),
            enhanced=re.compile(row["enhanced"]) if "enhanced" in row else None,
            words=tuple(text for text in texts if _PLAIN_TEXT.fullmatch(text)),
            # One pattern per alternative: the regex engine then looks for its first letters instead of trying all.
            patterns=tuple(TextPattern.compile(text) for text in texts if not _PLAIN_TEXT.fullmatch(text)),
            providers=frozenset(row.get("provider", [])),
            reason=Reason(row["reason"]),
            about=About(row["about"]),
            source=row["source"],
            examples=tuple(
                Reply(Stage(one["stage"]), one["code"], one.get("enhanced"), one["text"]) for one in row["examples"]
            ),
        )
    except (KeyError, ValueError, TypeError, re.error) as error:
        raise ReplyRulesError(f"reply_chapters: rule {name}: {error!r}") from error
