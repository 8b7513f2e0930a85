"""The short way to the first rule that fits leads where trying one after the other does, for any rules."""

import re
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ct_pipeline.verification.probe import Reply, Stage
from ct_pipeline.verification.reply_gist import GistMaker
from ct_pipeline.verification.reply_patterns import TextPattern
from ct_pipeline.verification.reply_rules import ReplyRule, load_rules
from ct_pipeline.verification.rule_search import RuleSearch
from ct_pipeline.vocabulary import About, Reason

RULES = load_rules()
GISTS = GistMaker(RULES.kept_names, RULES.kept_codes)
EXAMPLES = [(example, min(rule.providers, default="")) for rule in RULES.rules for example in rule.examples]
HEARD = [GISTS.gist(example.text) for example, _ in EXAMPLES]
SEARCH = RuleSearch(RULES.rules, HEARD)
CODES = sorted(
    {(example.code, example.enhanced or "") for example, _ in EXAMPLES} | {(450, ""), (550, ""), (599, "5.9.9")}
)
PROVIDERS = sorted({provider for _, provider in EXAMPLES})


def first_of_all(
    rules: Sequence[ReplyRule], stage: Stage, code: int, enhanced: str, provider: str, gist: str
) -> ReplyRule | None:
    """One rule after the other, every word and pattern of it tried: what chapters and rules mean."""
    for rule in rules:
        has_text = any(word in gist for word in rule.words) or any(one.regex.search(gist) for one in rule.patterns)
        if (
            rule.applies(stage, code, provider)
            and (rule.enhanced is None or rule.enhanced.fullmatch(enhanced))
            and (has_text or not (rule.words or rule.patterns))
        ):
            return rule
    return None


def test_examples_at_every_stage_and_under_every_class_of_code() -> None:
    for (example, provider), gist in zip(EXAMPLES, HEARD, strict=True):
        for stage in (example.stage, Stage.CONNECT):
            for code, enhanced in {(example.code, example.enhanced or ""), (550, ""), (450, "4.7.1"), (421, "")}:
                found = SEARCH.first(stage, code, enhanced, provider, gist)
                assert found is first_of_all(RULES.rules, stage, code, enhanced, provider, gist), (stage, code, gist)


PIECES = sorted({piece for gist in HEARD for piece in re.split(r"(?<=[.;:,!]) ", gist)})
WORDS = sorted({word for gist in HEARD for word in gist.split()})
mixtures = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
    st.tuples(st.sampled_from(HEARD), st.integers(0, 60), st.integers(0, 200)).map(lambda cut: cut[0][cut[1] : cut[2]]),
    st.sampled_from([pattern for rule in RULES.rules for pattern in rule.patterns])
    .flatmap(lambda pattern: st.from_regex(pattern.regex))
    .map(GISTS.gist),
)


@given(st.sampled_from(Stage), st.sampled_from(CODES), st.sampled_from(PROVIDERS), mixtures)
def test_what_is_mixed_of_examples(stage: Stage, codes: tuple[int, str], provider: str, gist: str) -> None:
    assert SEARCH.first(stage, *codes, provider, gist) is first_of_all(RULES.rules, stage, *codes, provider, gist)


# Rules that nobody wrote, of few letters so that they meet often; they have the form of those of the chapters.
few_letters = st.text("ab -", min_size=1, max_size=4)
atoms = st.one_of(few_letters.map(re.escape), st.sampled_from([r"\b", ".{0,3}", "[ab]", "a?", "b{2}", "^", "$", r"\w"]))
groups = st.lists(st.lists(atoms, min_size=1, max_size=3).map("".join), min_size=1, max_size=3).map("|".join)
looks = st.tuples(st.sampled_from(["(?:{})", "(?:{})?", "(?!{})", "(?:{}){{1,2}}", r"\b(?:{})", r"\b(?:{})\b"]), groups)
regexes = st.lists(st.one_of(atoms, looks.map(lambda one: one[0].format(one[1]))), min_size=1, max_size=4).map("".join)


@st.composite
def made_up_rules(draw: st.DrawFn) -> list[ReplyRule]:
    return [
        ReplyRule(
            name=f"rule {number}",
            stages=frozenset(Stage),
            code=re.compile(draw(st.sampled_from(["5..", "[45]..", "55[04]"]))),
            enhanced=draw(st.sampled_from([None, None, re.compile(r"5\.1\.[12]"), re.compile("")])),
            words=tuple(draw(st.lists(few_letters, max_size=2))),
            patterns=tuple(map(TextPattern.compile, draw(st.lists(regexes, max_size=3)))),
            providers=draw(st.sampled_from([frozenset[str](), frozenset({"google"})])),
            reason=Reason.POLICY_REFUSED,
            about=About.US,
            source="none",
            examples=(Reply(Stage.RCPT, 550, None, draw(few_letters)),),
        )
        for number in range(draw(st.integers(1, 6)))
    ]


@given(
    made_up_rules(),
    st.sampled_from([(550, ""), (550, "5.1.1"), (450, ""), (552, "5.1.2")]),
    st.sampled_from(["", "google"]),
    st.lists(st.text("ab -_", max_size=12), min_size=1, max_size=4),
)
def test_rules_that_nobody_wrote(
    rules: list[ReplyRule], codes: tuple[int, str], provider: str, gists: list[str]
) -> None:
    search = RuleSearch(rules, [example.text for rule in rules for example in rule.examples])
    for gist in gists:
        found = search.first(Stage.RCPT, *codes, provider, gist)
        assert found is first_of_all(rules, Stage.RCPT, *codes, provider, gist), gist
