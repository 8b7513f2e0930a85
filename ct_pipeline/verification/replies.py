"""What did the mail host mean? Stage, code, enhanced code and text are read together, by ordered rules. Pure.

The rules are data (``reply_chapters/*.toml``). Refusals of us and of our sender stand before refusals of the
recipient, because they often quote words of the latter: "Sender verify failed ... User unknown" speaks of our own
return path.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Self

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.recheck import might_hint, retry_hint
from ct_pipeline.verification.reply_gist import GistMaker, enhanced_in
from ct_pipeline.verification.reply_rules import ReplyRules, load_rules
from ct_pipeline.verification.rule_search import RuleSearch
from ct_pipeline.vocabulary import About, Reason

_CACHED_READINGS = 65_536
_NO_READING = Reading(Reason.UNCLEAR_REPLY, About.UNCLEAR, "no_rule_fits")  # it is no refusal, or no SMTP at all


class ReplyReader:
    """Reads replies; the same reply always gets the same reading, and no reply raises."""

    def __init__(self, rules: ReplyRules) -> None:
        self.version = rules.version
        self._named_providers = frozenset(provider for rule in rules.rules for provider in rule.providers)
        self._gists = GistMaker(rules.kept_names, rules.kept_codes)
        examples = (self._gists.gist(example.text) for rule in rules.rules for example in rule.examples)
        self._search = RuleSearch(rules.rules, heard=examples)
        self._readings = {rule.name: Reading(rule.reason, rule.about, rule.name) for rule in rules.rules}
        self._cached = lru_cache(maxsize=_CACHED_READINGS)(self._decide)

    @classmethod
    def load(cls) -> Self:
        """A reader with the rules that come with the package."""
        return cls(load_rules())

    def read(self, reply: Reply, provider: str = "") -> Reading:
        """What ``reply`` means, coming from a host of ``provider`` (a row of providers.toml, or any other name).

        ``retry_seconds`` is set where the host asks for patience and says how much.
        """
        enhanced = reply.enhanced or enhanced_in(reply.code, reply.text)
        gist = self._gists.gist(reply.text)
        if provider not in self._named_providers:
            provider = ""  # to the rules all others are one, and the cache would hold each reply once for every site
        reading, may_hint = self._cached(reply.stage, reply.code, enhanced, gist, provider)
        if may_hint and (seconds := retry_hint(reply.text)):
            return replace(reading, retry_seconds=seconds)
        return reading

    def _decide(self, stage: Stage, code: int, enhanced: str, gist: str, provider: str) -> tuple[Reading, bool]:
        """The reading of all replies with this gist, and whether the whole text may name a time to come back."""
        rule = self._search.first(stage, code, enhanced, provider, gist)
        if rule is None:
            return _NO_READING, False
        asks_for_patience = rule.about in (About.TEMPORARY, About.US) and code > 0
        return self._readings[rule.name], asks_for_patience and might_hint(gist)
