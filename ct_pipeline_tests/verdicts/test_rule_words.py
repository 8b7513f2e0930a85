"""Can every rule of the judge be explained to someone who asks why?"""

import ast
import inspect

import pytest

from ct_pipeline.verdicts import judge
from ct_pipeline.verdicts.rule_words import reply_rule_of, rule_in_words
from ct_pipeline.vocabulary import About

OF_ANOTHER_VERSION = "a rule of another version decided; judged anew, it is explained here"


def rules_of_the_judge() -> set[str]:
    """The names as ``judge.py`` writes them: every text that is passed on, or kept, as a rule."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(judge))):
        texts: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_Finding", "_heard"):
            texts = list(node.args)
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "rule" for t in node.targets):
            texts = [node.value]
        for text in texts:
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                found.add(text.value)
            elif isinstance(text, ast.JoinedStr) and isinstance(text.values[0], ast.Constant):
                found.add(str(text.values[0].value))
    return found


def names(beginning: str) -> list[str]:
    """The rules that begin so: of a name that is put together, each ending."""
    if beginning.startswith("left_open_"):
        return [f"left_open_{about.value}/any_rule" for about in About]
    if beginning in ("allow_list_", "block_list_"):
        return [f"{beginning}{covers}" for covers in ("address", "domain")]
    return [beginning.rstrip("/") + ("/any_rule" if beginning.endswith("/") else "")]


def test_the_rules_are_found_in_the_source() -> None:
    assert {"syntax", "mailbox_refused/", "left_open_", "domain_accepts_every_name"} <= rules_of_the_judge()


@pytest.mark.parametrize("rule", [name for beginning in sorted(rules_of_the_judge()) for name in names(beginning)])
def test_every_rule_has_words_of_its_own(rule: str) -> None:
    words = rule_in_words(rule)
    assert words != OF_ANOTHER_VERSION
    assert not words.endswith("."), "a clause: more may follow"


def test_no_two_rules_share_their_words() -> None:
    rules = [name for beginning in rules_of_the_judge() for name in names(beginning)]
    assert len({rule_in_words(rule) for rule in rules}) == len(rules)


def test_a_provider_that_forbids_asking_is_told_from_one_that_hides_the_answer() -> None:
    forbidden, hidden = (f"not_to_be_asked/providers.toml:yahoo:{claim}" for claim in ("probing", "accepts"))
    assert "forbids asking" in rule_in_words(forbidden)
    assert "forbids" not in rule_in_words(hidden)


def test_a_rule_that_is_no_more_is_said_to_be_so() -> None:
    assert rule_in_words("some_rule_of_2025/user_unknown") == OF_ANOTHER_VERSION


def test_a_reply_to_a_whole_session_is_said_to_be_shared() -> None:
    shared = rule_in_words("left_open_temporary/lent/user_unknown")
    assert shared.startswith(rule_in_words("left_open_temporary/user_unknown"))
    assert "given to a whole session" in shared


@pytest.mark.parametrize(
    ("rule", "reply_rule"),
    [
        ("syntax", None),
        ("mailbox_refused/user_unknown", "user_unknown"),
        ("left_open_temporary/lent/user_unknown", "user_unknown"),
        ("not_to_be_asked/providers.toml:yahoo:hides_answer", "providers.toml:yahoo:hides_answer"),
    ],
)
def test_the_reply_rule_is_the_last_part(rule: str, reply_rule: str | None) -> None:
    assert reply_rule_of(rule) == reply_rule
